"""What hangs on the machine: memory, precision, how tensors lie in memory, and its description.

Keeping freed memory: a training step takes the same large tensors as the step before it. On a CPU
torch asks the C library for each of them, and glibc hands large blocks back to the system as soon
as they are freed, so that every page of every tensor is taken, zeroed and mapped anew in every
step. With many frames in one batch that costs more than the arithmetic saves. No number that is
computed depends on this. The price is memory: blocks that are kept do not fit all later ones, so
that a process may hold more than it uses at once, the more so the larger its tensors are.

Threads: one for each physical core that this process may use. A second thread on a core gains
nothing in matrix products, and threads beyond a container's share are stopped in turn while the
others wait for them. How waiting threads wait is set in `dferlib/__init__.py`, before torch loads.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

# of malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}  # no block of its own for large ones, nothing handed back
# where glibc's own adjustment ends in a process that has freed a large block once
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 * 2**20, TRIM_THRESHOLD: 64 * 2**20}

LAYOUTS = ("contiguous", "channels_last")  # how clips and kernels lie in memory
BUSY = 0.5  # cores that other processes take, from where on a machine is not called idle

_lock = threading.Lock()
_inside = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory in the process until the outermost of these blocks ends.

    Does nothing where the C library is another. What is free at the end is handed back.
    """
    global _inside
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(library, KEEP)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(library, USUAL)
                library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") else None


def _set(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for name, value in options.items():
        library.mallopt(name, value)


def choose_precision(precision: str, device: str | torch.device) -> str:
    """Replace ``auto`` by bf16 where the device has units for it, and by float32 elsewhere.

    bf16 without such units is emulated and slower than float32.
    """
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # torch has no public question for this yet; a version without these names means no
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        fast = any(getattr(torch.cpu, name, bool)() for name in names)
    return "bf16" if fast else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the mixed-precision context of a recipe's ``precision``: float32 (off) or bf16."""
    if precision not in ("float32", "bf16"):
        raise ValueError(f"unknown precision {precision!r}; choose float32 or bf16")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def widened(values: Tensor) -> Tensor:
    """Values of half precision in float32, all others as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def lay_out_clip(clip: Tensor, layout: str) -> Tensor:
    """Lay clips (B, C, T, H, W) out in memory; no shape and no value changes.

    Frames that are folded into the batch are then channels-last pictures without a copy.
    """
    return clip.contiguous(memory_format=_formats(layout)[5])


def lay_out_model(model: nn.Module, layout: str) -> None:
    """Lay the kernels of a model's 2-D and 3-D convolutions out in memory, in place."""
    formats = _formats(layout)
    for parameter in model.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])


def _formats(layout: str) -> dict[int, torch.memory_format]:
    """Memory format by number of dimensions."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}; allowed are {', '.join(LAYOUTS)}")
    if layout == "contiguous":
        return dict.fromkeys((4, 5), torch.contiguous_format)
    return {4: torch.channels_last, 5: torch.channels_last_3d}


def peak_memory_mb(device: str | torch.device = "cpu") -> int:
    """Peak memory of this process, or of the GPU when the run used one, in MB."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() // 2**20
    if sys.platform == "win32":
        import psutil  # comes with the notebook kernel

        return psutil.Process().memory_info().peak_wset // 2**20
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def describe_device(device: str | torch.device) -> dict:
    """Kind of device, its name, number of threads and determinism settings."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "type": device.type,
        "name": name,
        "threads": torch.get_num_threads(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
    }


def usable_cores(root: str | Path = "/") -> int:
    """Physical cores that this process may use, 1 or more.

    Those of its affinity, siblings of one core counted once, and no more than the share of time
    that a control group of Linux leaves it, of either version, also of a group further up. Below
    `root` lie the files that say so.
    """
    root = Path(root)
    if not hasattr(os, "sched_getaffinity"):  # only Linux has it, and control groups
        return max(1, _physical_cores())
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        cores.add(_content(siblings) or str(cpu))
    return max(1, min([len(cores), *map(int, _quotas(root))]))


def _physical_cores() -> int:
    import psutil  # comes with the notebook kernel

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Cores' worth of time that each control group around this process leaves it."""
    for line in _content(root / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        base = root / "sys/fs/cgroup" / ("" if not controllers else "cpu")
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = base / place.strip("/")
        # a container may see its own group at the top, under the name that it has outside
        for folder in (group, *group.parents):
            limit = _content(folder / "cpu.max").split()
            if controllers:
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                limit = [_content(folder / name) for name in names]
            if len(limit) == 2 and limit[0].isdigit() and limit[1].isdigit():
                yield int(limit[0]) / int(limit[1])
            if folder == base:
                break


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def set_threads() -> int:
    """Let torch use `usable_cores` threads, unless the user has said how many; returns them."""
    if not any(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")):
        torch.set_num_threads(usable_cores())
    return torch.get_num_threads()


def cores_taken(seconds: float = 0.2) -> float:
    """Cores' worth of work that other processes did while this one watched for so many seconds."""
    import psutil

    own = psutil.Process()
    own.cpu_percent()  # counting starts
    used = sum(psutil.cpu_percent(seconds, percpu=True))
    return max(0.0, used - own.cpu_percent()) / 100


def busy_notice() -> str:
    """A sentence for readers of times where other processes are at work; else nothing."""
    taken = cores_taken()
    if taken < BUSY:
        return ""
    count = os.cpu_count() or 1
    return (
        f"The machine is busy: other processes take {taken:.1f} of its {count} cores, so that "
        "times below are longer than on an idle one."
    )
