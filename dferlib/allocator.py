"""Keeping the memory that one training step frees for the next one, where the C library is glibc.

A step takes the same large tensors as the step before it. On a CPU torch asks the C library for
each of them, and glibc hands large blocks back to the system as soon as they are freed, so that
every page of every tensor is taken, zeroed and mapped anew in every step. With many frames in one
batch that costs more than the arithmetic saves. No number that is computed depends on this.

The price is memory: blocks that are kept do not fit all later ones, so that a process may hold more
than it uses at once, the more so the larger its tensors are.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# of malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}  # no block of its own for large ones, nothing handed back
# where glibc's own adjustment ends in a process that has freed a large block once
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 * 2**20, TRIM_THRESHOLD: 64 * 2**20}

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
