"""What a Python process writes and whom it calls: a line for each, in a file, by an audit hook.

A kernel starts with a folder on its path in which this is `sitecustomize`; so do all processes that
it starts. Seen is what goes through Python; connections that a library opens by itself are not.
"""

import os
import socket
import sys
import tempfile
from pathlib import Path

LOG = os.environ.get("DFER_AUDIT", "")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", "None")
# what Jupyter, matplotlib and Python keep for themselves, wherever the user has it
THEIRS = (
    "__pycache__",
    ".ipython",
    "ipython",
    ".jupyter",
    "jupyter",
    "matplotlib",
    "fontconfig",
    "joblib",
)


def told(event: str, arguments: tuple) -> str:
    """A line about an event: what is written, or who is called; "" for any other."""
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not (flags or 0) & WRITING:
            return ""
        return f"write\t{whole(path)}"
    if event in CHANGES:
        paths = [item for item in arguments if isinstance(item, str | bytes | os.PathLike)]
        return "\n".join(f"write\t{whole(path)}" for path in paths[:2])
    if event == "socket.connect":  # sockets that are a path or a name stay on this machine
        internet = arguments[0].family in (socket.AF_INET, socket.AF_INET6)
        return f"call\t{arguments[1][0]}" if internet else ""
    if event in CALLS:
        return f"call\t{arguments[0]}"
    return ""


def whole(path: str | bytes | os.PathLike) -> str:
    """The path from the root on, or as it is where the process has no folder any more."""
    try:
        return os.path.abspath(os.fsdecode(path))
    except OSError:
        return os.fsdecode(path)


def install(log: str) -> None:
    """Write what happens from now on to a file; there is no way to take the hook out again."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    watched = {"open", *CHANGES, *CALLS}

    def hook(event: str, arguments: tuple) -> None:
        if event in watched and (line := told(event, arguments)):
            os.write(handle, (line + "\n").encode("utf-8", "backslashreplace"))

    sys.addaudithook(hook)


def outside(lines: list[str], allowed: list[Path]) -> list[str]:
    """Lines of a log about what may not be: a write elsewhere, a call to another machine."""
    temporary, here = Path(tempfile.gettempdir()), (*HERE, socket.gethostname())
    # made on the way to what matplotlib and Jupyter keep, in a home that is new
    homes = {Path.home() / name for name in (".cache", ".config", ".local", ".local/share")}
    found = []
    for line in lines:
        kind, _, what = line.partition("\t")
        if kind == "call":
            if what not in here:
                found.append(line)
            continue
        path = Path(what)
        ours = any(path.is_relative_to(place) for place in allowed)
        # a file of its own right below the temporary folder is no place that anybody looks at
        scratch = path.is_relative_to(temporary) and "pytest-" not in what
        theirs = set(THEIRS) & set(path.parts) or path.is_relative_to("/dev")
        if not (ours or scratch or theirs or path in homes or path.is_relative_to("/proc")):
            found.append(line)
    return sorted(set(found))


if LOG and __name__ == "sitecustomize":
    install(LOG)
