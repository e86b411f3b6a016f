"""Where a number comes from: commit, versions, machine type, time.

Never user names, host names or paths. Imports nothing else of this package but its version, and
asks for versions without importing the packages.
"""

import os
import platform
import re
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import dferlib
from dferlib.files import project_root

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn")
CODE_PATHS = ("dferlib", "pyproject.toml", "requirements.lock")


def provenance() -> dict[str, Any]:
    """Describe what made a number: commit, dirty flag, versions, platform, processor, time (UTC).

    Holds no user name, host name or path. `git_dirty` looks at the code only, so that writing
    results leaves it false; commit and flag are None outside a git checkout.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", *CODE_PATHS) if commit else None
    return {
        "git_commit": commit,
        "git_dirty": None if changes is None else bool(changes),
        "dferlib": dferlib.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}".strip(),
        "processor": processor_name(),
        "cpu_count": os.cpu_count(),
        "time_utc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{name: _version(name) for name in PACKAGES},
    }


def _git(*arguments: str) -> str | None:
    root = project_root()
    if root is None or not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor_name() -> str:
    """Model name of the processor, as the system gives it."""
    # platform.processor() is empty on most Linux systems.
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return found.group(1).strip()
    return platform.processor() or platform.machine()
