"""Executing a notebook from outside: papermill's engine, and what it does not promise.

papermill warns about unknown parameters and goes on, writes its output in place, and reports cells
that a dead kernel never reached as completed. Here a parameter is refused before a kernel starts,
the output appears under its name in one step and only after the end mark, and everything else is
kept as `<output>.partial.ipynb` with the reason.
"""

import argparse
import ast
import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill

from dferlib.names import did_you_mean, unknown_name
from dferlib.notebook.engine import ENGINE, Record
from dferlib.notebook.parameters import ParameterError, declared_parameters, refusal

START_SECONDS = 180
BEAT_EVERY = 60.0  # seconds between two signs of life of a long cell
TYPES = {"str": str, "int": int, "float": int | float, "bool": bool}


class NotebookError(RuntimeError):
    """A notebook that did not run to its end; the message names the cell and what is kept."""


def execute(
    notebook: str | Path,
    output: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    cwd: str | Path | None = None,
    timeout: float | None = None,
    progress: bool | Callable[[str], None] = True,
) -> Path:
    """Execute a notebook in a kernel of this environment and return the path of the executed copy.

    `parameters` may hold what the notebook's parameters cell declares; `cwd` is the kernel's
    folder (by default the caller's), `timeout` seconds for one cell; `progress` is True for a line
    per cell on stderr, or a function that takes such a line. Raises ParameterError before anything
    runs, OSError naming a path that cannot be written, and NotebookError for a cell that raised
    or took too long, a kernel that died, or a missing end mark; the old output then stays, and what
    was reached is in `<output>.partial.ipynb`.
    """
    source, target = Path(notebook), Path(output)
    node = _read(source)
    values = _check_injection(node, parameters or {})
    if target.resolve() == source.resolve():
        raise ValueError(f"output is the notebook itself ({source}); name another file")
    say = _printer(progress)
    record = Record(target, source.name, say)
    record.save(node)  # a folder that cannot be written shows now, not after hours
    say(f"{source.name} starts; if it is stopped, the same command goes on from there")
    try:
        with _beating(record):
            papermill.execute_notebook(
                node,
                None,
                parameters=values,
                engine_name=ENGINE,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                start_timeout=START_SECONDS,
                execution_timeout=timeout,
                cwd=cwd,
                record=record,
            )
        record.check_end()
    except BaseException as error:
        record.fail(error)
        if isinstance(error, Exception):
            raise NotebookError(record.reason(error)) from error
        raise
    record.finish()
    return target


def _read(path: Path) -> nbformat.NotebookNode:
    if not path.is_file():
        hint = did_you_mean(path.name, [p.name for p in path.parent.glob("*.ipynb")])
        raise FileNotFoundError(f"there is no notebook {path}{hint}")
    try:
        node = nbformat.read(path, as_version=4)
        if not all({"cell_type", "source", "metadata"} <= set(cell) for cell in node.cells):
            raise ValueError("it has a cell without a type, a source or metadata")
        return node
    except Exception as error:  # nbformat raises its own, KeyError and JSON errors
        raise ValueError(f"{path} is not a notebook: {error}") from error


def _check_injection(node: nbformat.NotebookNode, given: Mapping[str, Any]) -> dict[str, Any]:
    declared = _declared(node)
    problems = []
    for name, value in given.items():
        if name not in declared:
            lacks = "" if declared else " (it has no cell tagged 'parameters')"
            problems.append(unknown_name("parameter", name, declared) + lacks)
            continue
        kind, default = declared[name]
        wanted = TYPES.get(kind, object)
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind in ("int", "float")):
            problems.append(
                f"{name} is {value!r} of type {type(value).__name__}; the notebook declares "
                f"{kind}, as in {default!r}"
            )
    if problems:
        raise refusal(problems)
    return dict(given)


def _declared(node: nbformat.NotebookNode) -> dict[str, tuple[str, Any]]:
    for cell in node.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", ()):
            return declared_parameters(cell.source)
    return {}


def _printer(progress: bool | Callable[[str], None]) -> Callable[[str], None]:
    if callable(progress):
        return progress
    return _to_stderr if progress else lambda line: None


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextmanager
def _beating(record: Record):
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT_EVERY):
            record.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def main(arguments: list[str] | None = None) -> int:
    """Execute a notebook from the command line; 0 finished, 1 failed, 2 refused."""
    parser = argparse.ArgumentParser(prog="python -m dferlib.notebook", description=main.__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--cwd", type=Path, help="folder of the kernel (default: this one)")
    parser.add_argument("--timeout", type=float, help="seconds that one cell may take")
    chosen = parser.parse_args(arguments)
    stop_on_signals()
    try:
        kinds = _declared(_read(chosen.notebook)) if chosen.p else {}
        values = {name: _parse(text, kinds.get(name, ("str", ""))[0]) for name, text in chosen.p}
        execute(chosen.notebook, chosen.output, values, cwd=chosen.cwd, timeout=chosen.timeout)
    except (ParameterError, FileNotFoundError) as error:
        _to_stderr(str(error))
        return 2
    except (NotebookError, OSError, ValueError) as error:
        _to_stderr(str(error))
        return 1
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # would tell of the cut-off cell
        _to_stderr("stopped; start the same command again to go on")
        return 130
    return 0


def stop_on_signals() -> None:
    """Let SIGTERM, and SIGUSR1 by which Slurm warns of a job's end, stop it as Ctrl+C does."""
    for name in ("SIGTERM", "SIGUSR1"):  # Windows has no SIGUSR1
        with suppress(ValueError, AttributeError):  # only the main thread may
            signal.signal(getattr(signal, name), signal.default_int_handler)


def _parse(text: str, kind: str) -> Any:
    if kind == "str":
        return text
    with suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text
