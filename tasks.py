"""What one does with this project, with nothing but Python: `python tasks.py help`.

    python tasks.py env                     make .venv from requirements.lock
    python tasks.py run                     execute a notebook on procedural faces
    python tasks.py run -p dataset ckplus   ... with other parameters
    python tasks.py sweep --papers stcam    train on all cores what notebooks then read
    python tasks.py all                     every stored result from nothing, into out/results
    python tasks.py site                    notebooks and docstrings as pages, into out/site
    python tasks.py test                    lint and tests

Every task may be repeated: what is there already is not made again. The Makefile calls this file.
"""

from __future__ import annotations  # an old Python must get as far as the message below

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "dferlib-env.sha256"  # written last: there, the environment is complete
LOCK = ROOT / "requirements.lock"
CONSTRAINTS = ROOT / "constraints.txt"
NEEDED = ("3.11", "3.12", "3.13")
EXTRAS = ("test", "video", "face", "sweep", "site")
DISK_GB = 8
OWN_RESULTS = ("--results-dir", "out/results")  # those in git would be read, and nothing trained
STRIPPED = "metadata.papermill metadata.dferlib metadata.widgets cell.metadata.papermill"


def main() -> int:
    """Run one task; returns the exit code of what failed, or 0."""
    named = (env, run, sweep, everything, site, test, lint, tidy, lock, clean)
    tasks = {"all" if f is everything else f.__name__: f for f in named}  # all is a builtin
    name, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("help", [])
    if name in ("help", "-h", "--help"):
        for task, function in tasks.items():
            print(f"  {task:6} {function.__doc__.splitlines()[0]}")
        return 0
    if name not in tasks:
        return say(f"there is no task {name!r}; there are: help, {', '.join(tasks)}")
    try:
        tasks[name](rest)
    except subprocess.CalledProcessError as error:
        return error.returncode if error.returncode > 0 else 1
    except KeyboardInterrupt:
        return say("stopped; the same command goes on from here", 130)
    return 0


def env(rest: list[str]) -> None:
    """Make .venv with the locked versions; nothing is done when it is up to date."""
    wanted = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text().strip() == wanted and PYTHON.exists():
        return
    STAMP.unlink(missing_ok=True)
    if not works(PYTHON, "-m", "pip", "--version"):
        make_venv()
    print(f"Installing the packages of {LOCK.name} into {VENV} (about 6 GB with CUDA builds).")
    install = (PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile")
    locked = ("--require-hashes", "--no-deps", "--no-build-isolation")
    tools = VENV / "build-tools.txt"  # first, for one package that comes as source
    tools.write_text(lock_entry("setuptools"), encoding="utf-8")
    call(*install, *locked, "-q", "-r", tools)
    call(*install, *locked, "-r", LOCK)
    call(*install, "-q", "--no-deps", "--no-build-isolation", "-e", ROOT)
    call(PYTHON, "-m", "pip", "check", "--disable-pip-version-check")
    STAMP.write_text(wanted + "\n")


def run(rest: list[str]) -> None:
    """Execute a notebook, quick and on procedural faces unless -p NAME VALUE says otherwise."""
    parser = argparse.ArgumentParser(prog="tasks.py run", description=run.__doc__)
    parser.add_argument("notebook", nargs="?", default="stcam", help="name in notebooks/")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    chosen = parser.parse_args(rest)
    env([])
    # Own results: those in git would be read, and nothing trained.
    given = {"dataset": "oulu", "source": "synthetic", "preset": "quick"}
    given |= {"results_dir": "out/results", **dict(chosen.p)}
    output = ROOT / "out" / f"{chosen.notebook}-{given['dataset']}.ipynb"
    notebook = ROOT / "notebooks" / f"{chosen.notebook}.ipynb"
    options = [part for name, value in given.items() for part in ("-p", name, value)]
    call(PYTHON, "-m", "dferlib.notebook", notebook, output, *options)
    call(PYTHON, "-m", "dferlib.notebook.page", output)
    print(f"\nThe executed notebook: {output}")
    print(f"to read in a browser:  {output.with_suffix('.html')}")
    base = ROOT / Path(given["results_dir"] or "results").expanduser()
    for folder in sorted((base / chosen.notebook).glob(f"{given['dataset']}-*/figures")):
        print(f"its figures:           {folder}")


def sweep(rest: list[str]) -> None:
    """Train what --papers, --datasets, --preset ... name, several at a time; --plan stops early."""
    env([])
    call(PYTHON, "-m", "dferlib.sweep", *rest)


def everything(rest: list[str]) -> None:
    """Make every stored result from nothing, into out/results; prints its plan and asks first."""
    env([])
    given = () if any(word.startswith("--results-dir") for word in rest) else OWN_RESULTS
    call(PYTHON, "-m", "dferlib.sweep", "all", *given, *rest)


def site(rest: list[str]) -> None:
    """Make the site of notebooks, pages and docstrings, offline, into out/site."""
    env([])
    kept = ROOT / "out" / "site-doctrees"  # what was read: a second call reads what changed
    call(PYTHON, "-m", "sphinx", "-b", "html", "-c", "docs", "-d", kept, *rest, ".", "out/site")
    print(f"\nto read in a browser: {ROOT / 'out' / 'site' / 'index.html'}")


def test(rest: list[str]) -> None:
    """Lint, then run the tests; more words are passed on to pytest."""
    env([])
    lint([])
    # Two workers with a thread each: more threads would only wait for each other. The one that is
    # done first takes tests from the other, or the notebooks at the end would keep one core idle.
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    call(PYTHON, "-m", "pytest", "-n", "2", "--dist", "worksteal", *rest, extra=threads)


def lint(rest: list[str]) -> None:
    """Check style, and that the notebooks in git hold no outputs."""
    env([])
    call(PYTHON, "-m", "ruff", "check", ".")
    call(PYTHON, "-m", "ruff", "format", "--check", ".")
    strip("--verify")


def tidy(rest: list[str]) -> None:
    """Format code and notebooks, and take the outputs out of the notebooks."""
    env([])
    call(PYTHON, "-m", "ruff", "check", "--fix", ".")
    call(PYTHON, "-m", "ruff", "format", ".")
    strip()


def strip(*options: str) -> None:
    """Run nbstripout over the notebooks in git."""
    notebooks = sorted((ROOT / "notebooks").rglob("*.ipynb"))
    notebooks = [path for path in notebooks if ".ipynb_checkpoints" not in path.parts]
    if notebooks:
        call(BIN / "nbstripout", *options, "--extra-keys", STRIPPED, *notebooks)


def lock(rest: list[str]) -> None:
    """Resolve requirements.lock (needs uv); versions change only with --upgrade."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(BIN))
    if not uv:
        sys.exit(say("lock needs uv: `pip install uv`, or see its documentation"))
    extras = [part for name in EXTRAS for part in ("--extra", name)]
    form = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate")
    wheels = ("--only-binary", ":all:", "--no-binary", "grad-cam")  # that one has no wheel
    header = ("--no-header", "-q", "-o", LOCK)
    call(uv, "pip", "compile", ROOT / "pyproject.toml", *extras, *form, *wheels, *header, *rest)
    text = LOCK.read_text(encoding="utf-8")
    made = "made by `python tasks.py lock`."
    LOCK.write_text(
        f"# Every package and its hashes, for Linux, macOS and Windows; {made}\n{text}",
        encoding="utf-8",
    )
    CONSTRAINTS.write_text(
        f"# The versions of {LOCK.name} without hashes, for environment.yml; {made}\n"
        + "".join(f"{line.removesuffix(chr(92)).rstrip()}\n" for line in pins(text)),
        encoding="utf-8",
    )


def clean(rest: list[str]) -> None:
    """Remove .venv and the caches of the tools; results and out/ stay."""
    caches = (".venv", "build", "dist", ".pytest_cache", ".ruff_cache", ".hypothesis")
    for path in [ROOT / name for name in caches] + list(ROOT.glob("*.egg-info")):
        shutil.rmtree(path, ignore_errors=True)


def pins(text: str) -> list[str]:
    """Lines of a lock that name a version, without comments and hashes."""
    return [line for line in text.splitlines() if line[:1].isalnum()]


def lock_entry(name: str) -> str:
    """One package of the lock, with its hashes."""
    lines = LOCK.read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][:1].isalnum()), len(lines))
    return "".join(lines[start:end])


def make_venv() -> None:
    """Make .venv with a Python that is new enough, or say what is missing."""
    names = [sys.executable, *(shutil.which(f"python{version}") or "" for version in NEEDED)]
    test = "import sys; sys.exit(sys.version_info < (3, 11))"
    base = next((name for name in names if name and works(name, "-c", test)), None)
    if base is None:
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(say(f"this is Python {version}; 3.11 or newer is needed, and none was found"))
    if not works(base, "-c", "import ensurepip, venv"):
        sys.exit(
            say(
                f"{base} cannot make virtual environments: its ensurepip module is missing. On "
                "Debian and Ubuntu: sudo apt install python3-venv"
            )
        )
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK_GB:
        sys.exit(say(f"{free:.1f} GB are free in {ROOT}; {DISK_GB} GB are needed"))
    call(base, "-m", "venv", VENV)


def works(*command: str | Path) -> bool:
    """Tell whether a command can be run and succeeds."""
    try:
        return subprocess.run([str(c) for c in command], capture_output=True).returncode == 0
    except OSError:
        return False


def call(*command: str | Path, extra: dict[str, str] | None = None) -> None:
    """Run a command in the project's folder; raises CalledProcessError when it fails."""
    # Settings of the caller's shell that would send packages or figures elsewhere.
    away = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH", "MPLBACKEND")
    kept = {name: value for name, value in os.environ.items() if name not in away}
    words = [str(word) for word in command]
    subprocess.run(words, check=True, cwd=ROOT, env={**kept, **(extra or {})})


def say(message: str, code: int = 2) -> int:
    """Tell what is wrong on stderr; returns the exit code."""
    print(f"tasks.py: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
