"""Freed memory is kept between steps, handed back at the end, and no number depends on it."""

import subprocess
import sys

import pytest

from dferlib import device
from dferlib.device import freed_memory_kept

SIZE = 256 * 2**20  # bytes; 65,536 pages of 4 KB, or 128 huge ones

PROBE = f"""
import resource

import numpy as np

from dferlib.device import freed_memory_kept


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones({SIZE} // 8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


faults()
print(faults())
with freed_memory_kept():
    faults()
    with freed_memory_kept():
        faults()
    print(faults())
    kept = resident()
print(kept - resident())
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own numbers of a process")
def test_pages_are_mapped_once_inside_and_anew_outside():
    if device._glibc() is None:
        pytest.skip("the C library is not glibc")
    probe = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
    )
    outside, inside, handed_back, after = map(int, probe.stdout.split())
    assert inside <= 8  # inner blocks that end change nothing
    assert min(outside, after) > 10 * (inside + 1)
    assert handed_back > 0.9 * SIZE


def test_an_error_inside_ends_the_block_too():
    with pytest.raises(KeyError), freed_memory_kept():
        raise KeyError
    assert device._inside == 0


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(device, "_glibc", lambda: None)
    with freed_memory_kept():
        assert device._inside == 0
