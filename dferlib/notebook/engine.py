"""papermill's engine with a record of its own: where a notebook is, and how it is kept.

Used by `dferlib.notebook.execution` only. papermill writes its output in place and calls cells that
a dead kernel never reached completed; the record writes atomically and the manager tells the truth.
"""

import html
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import zmq
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from dferlib.evidence.damage import NOTEBOOK_SEAL, notebook_digest
from dferlib.files import write_atomic
from dferlib.notebook.display import END_MARK
from dferlib.notebook.stored import presentable

ENGINE = "dferlib"
SAVE_EVERY = 10.0  # seconds between two states of the partial notebook
LOOK_AGAIN = 2.0  # seconds between two looks for the kernel's reply


class Record:
    """The notebook while it runs: where it is, and how it is kept."""

    def __init__(self, target: Path, name: str, say: Callable[[str], None]) -> None:
        self.target, self.name, self.say = target, name, say
        self.partial = target.with_name(f"{target.stem}.partial{target.suffix or '.ipynb'}")
        self.node: nbformat.NotebookNode | None = None
        self.index, self.place = -1, "its start"
        self.begun = self.started = time.monotonic()
        self.saved = 0.0
        self.bar = ""  # last text of a progress bar in the notebook

    def save(self, node: nbformat.NotebookNode, path: Path | None = None) -> None:
        """Write the notebook as it stands, by default as the partial one."""
        node.metadata.setdefault("dferlib", {"status": "running"})
        stored = presentable(node, self.name, self.target.name)
        stored.metadata[NOTEBOOK_SEAL] = notebook_digest(json.loads(nbformat.writes(stored)))
        text = nbformat.writes(stored)
        write_atomic(path or self.partial, lambda file: file.write(text + "\n"), mode="w")
        self.saved = time.monotonic()

    def enter(self, index: int) -> None:
        """Note that a cell starts, and its place: papermill adds cells once one has failed."""
        self.index, self.started, self.bar = index, time.monotonic(), ""
        above = [cell for cell in self.node.cells[:index] if cell.cell_type == "markdown"]
        titles = [t for cell in above for t in cell.source.splitlines() if t.startswith("#")]
        heading = f" ({titles[-1].lstrip('# ').strip()})" if titles else ""
        self.place = f"cell {index + 1}/{len(self.node.cells)}{heading}"

    def cell_done(self) -> None:
        """Say that a code cell is done, and how long it took."""
        if self.node and self.node.cells[self.index].cell_type == "code":
            self.say(f"[{_clock(self.begun)}] {self.place}: {_clock(self.started)}")

    def beat(self) -> None:
        """Say that a long cell is still running, with the state of its progress bar."""
        if self.index >= 0:
            bar = f" {self.bar}" if self.bar else ""
            self.say(f"[{_clock(self.begun)}] {self.place}: running {_clock(self.started)}{bar}")

    def check_end(self) -> None:
        """Raise unless the last code cell left the end mark."""
        cells = [cell for cell in self.node.cells if cell.cell_type == "code"]
        outputs = cells[-1].outputs if cells else []
        if not any(END_MARK in output.get("metadata", {}) for output in outputs):
            raise ValueError(
                "the notebook stopped before its end mark; its last code cell has to be "
                "finish(settings)"
            )

    def fail(self, error: BaseException) -> None:
        """Keep what was reached, marked as failed: papermill would call it complete."""
        node = self.node
        if node is None:
            return
        node.metadata["dferlib"] = {"status": "failed", "reason": type(error).__name__}
        node.metadata.setdefault("papermill", {})["exception"] = True
        with suppress(OSError):  # the error that is on its way tells more
            self.save(node)

    def reason(self, error: Exception) -> str:
        """Word what went wrong, where, and how to go on."""
        if isinstance(error, PapermillExecutionError):
            what = f"{error.ename}: {error.evalue}"
        else:
            what = f"{type(error).__name__}: {error}".strip()
        kept = f"what was reached is in {self.partial}" if self.node else "no cell was run"
        return (
            f"{self.name} failed in {self.place}: {what}\n{kept}. Once the cause is gone, start "
            "the same command again: finished runs are read, not repeated"
        )

    def finish(self) -> None:
        """Put the executed notebook under its name and take the partial one away."""
        self.node.metadata["dferlib"] = {"status": "finished"}
        self.save(self.node, self.target)
        self.partial.unlink(missing_ok=True)
        self.say(f"[{_clock(self.begun)}] finished: {self.target}")


def _clock(since: float) -> str:
    seconds = int(time.monotonic() - since)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class _Manager(NotebookExecutionManager):
    """papermill's callbacks, told to a record; cells that never ran are not called completed."""

    def __init__(self, nb: nbformat.NotebookNode, record: Record) -> None:
        self.record = record
        super().__init__(nb, progress_bar=False)

    def save(self, **kwargs: Any) -> None:
        record = self.record
        record.node = self.nb
        if time.monotonic() - record.saved >= SAVE_EVERY:
            try:
                record.save(self.nb)
            except OSError as error:  # no reason to stop a training; the last save will tell
                record.saved = time.monotonic()
                record.say(str(error))

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        self.record.enter(cell_index)
        super().cell_start(cell, cell_index, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        if isinstance(sys.exception(), BaseException):  # called on the way out of an error
            cell.metadata.papermill["status"] = self.FAILED
            cell.metadata.papermill["exception"] = True
        super().cell_complete(cell, cell_index, **kwargs)
        self.record.cell_done()

    def notebook_complete(self, **kwargs: Any) -> None:
        self.end_time = self.now()
        taken = (self.end_time - self.start_time).total_seconds()
        self.nb.metadata.papermill |= {"end_time": self.end_time.isoformat(), "duration": taken}


class _Client(PapermillNotebookClient):
    """papermill's client that hears progress bars and leaves no process of the kernel behind."""

    group: int | None = None

    def start_new_kernel(self, **kwargs: Any) -> None:
        # Without a backend in the environment the kernel takes the one that shows figures.
        environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        super().start_new_kernel(env=environment, **kwargs)
        self.group = getattr(self.km.provisioner, "pgid", None)

    def start_new_kernel_client(self, **kwargs: Any) -> Any:
        client = super().start_new_kernel_client(**kwargs)
        client.shell_channel.get_msg = _looking_again(client.shell_channel.get_msg)
        return client

    def handle_comm_msg(self, outs: list, msg: dict, cell_index: int) -> None:
        value = msg["content"].get("data", {}).get("state", {}).get("value")
        if isinstance(value, str) and "[" in value:  # tqdm: 34/112 [02:10<05:00, 1.9s/epoch]
            self.nb_man.record.bar = html.unescape(value).strip()
        super().handle_comm_msg(outs, msg, cell_index)

    def execute(self, **kwargs: Any) -> nbformat.NotebookNode:
        try:
            return super().execute(**kwargs)
        finally:
            if self.group:  # a killed kernel's loader workers would go on
                with suppress(OSError):
                    os.killpg(self.group, signal.SIGKILL)


def _looking_again(get_msg: Callable) -> Callable:
    """A channel's `get_msg` that asks the socket every `LOOK_AGAIN` seconds.

    A cell with a widget makes nbclient send on the channel on which it waits for the cell's reply.
    That goes past the bookkeeping of the waiting socket, and where the reply comes in that moment,
    the sign that it is there is lost: the kernel is done, and its runner would wait for ever.
    """

    async def get(timeout: float | None = None) -> dict[str, Any]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK_AGAIN if end is None else min(LOOK_AGAIN, max(0, end - time.monotonic()))
            try:
                return await get_msg(timeout=left)
            except Empty:
                if end is not None and time.monotonic() >= end:
                    raise

    return get


class _Engine(Engine):
    """papermill engine that keeps its notebook in a record instead of writing it in place."""

    @classmethod
    def execute_notebook(cls, nb, kernel_name, record, **kwargs):
        """Execute the prepared notebook; called by papermill."""
        manager = _Manager(nb, record)
        manager.notebook_start()
        try:
            _Client(
                manager,
                timeout=kwargs.get("execution_timeout"),
                startup_timeout=kwargs["start_timeout"],
                kernel_name=kernel_name,
                config=_private_transport(),
            ).execute()
        finally:
            manager.notebook_complete()
        return manager.nb


def _private_transport() -> Config:
    # Other users of a shared machine could read what goes to a kernel and back in plain text.
    policy = "auto" if zmq.has("curve") else "disabled"
    return Config({"KernelManager": {"transport_encryption": policy}})


papermill_engines.register(ENGINE, _Engine)
