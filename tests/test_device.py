"""Freed memory is kept between steps, handed back at the end, and no number depends on it."""

import os
import subprocess
import sys

import pytest
import torch

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


@pytest.mark.parametrize(("given", "kept"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(given, kept):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    code = "import os, sys, dferlib; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [kept, "False"]


def test_layouts_change_strides_and_no_value():
    clip = torch.arange(2 * 3 * 4 * 5 * 5, dtype=torch.float32).view(2, 3, 4, 5, 5)
    assert device.lay_out_clip(clip, "contiguous") is clip
    laid = device.lay_out_clip(clip, "channels_last")
    assert torch.equal(laid, clip)
    assert laid.is_contiguous(memory_format=torch.channels_last_3d)
    frames = laid.transpose(1, 2).flatten(0, 1)  # as 2-D backbones read them: still no copy
    assert frames.is_contiguous(memory_format=torch.channels_last)
    assert frames.data_ptr() == laid.data_ptr()
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(4, 4, 3))
    device.lay_out_model(model, "channels_last")
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    with pytest.raises(ValueError, match="layout is 'blocked'; allowed are contiguous, channels"):
        device.lay_out_clip(clip, "blocked")


def test_an_error_inside_ends_the_block_too():
    with pytest.raises(KeyError), freed_memory_kept():
        raise KeyError
    assert device._inside == 0


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(device, "_glibc", lambda: None)
    with freed_memory_kept():
        assert device._inside == 0


def write_machine(root, groups, files):
    """What Linux says about two cores of two threads each, and about control groups."""
    content = {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{k}": v for k, v in files.items()}
    for cpu in range(4):
        place = f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        content[place] = f"{cpu % 2},{cpu % 2 + 2}\n"
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V1 = "4:memory:/a\n3:cpu,cpuacct:/a/b\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="control groups are Linux's")
@pytest.mark.parametrize(
    ("cpus", "groups", "files", "cores"),
    [
        ({0, 1, 2, 3}, "", {}, 2),  # no group: physical cores
        ({0, 2}, "", {}, 1),  # both threads of one core
        ({0, 1, 2, 3}, "0::/a/b\n", {"a/b/cpu.max": "max 100000\n"}, 2),
        ({0, 1, 2, 3}, "0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1),
        ({0, 1, 2, 3}, "0::/a/b\n", {"a/b/cpu.max": "max 1", "a/cpu.max": "50000 100000"}, 1),
        ({0, 1, 2, 3}, "0::/outside\n", {"cpu.max": "120000 100000\n"}, 1),  # a container
        ({0, 1, 2, 3}, "0::/a\n", {"a/cpu.max": "900000 100000"}, 2),  # more than there are
        ({0, 1, 2, 3}, V1, {"cpu/a/b/cpu.cfs_quota_us": "-1"}, 2),
        (
            {0, 1, 2, 3},
            V1,
            {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"},
            1,
        ),
    ],
)
def test_cores_are_physical_and_within_the_limit_of_the_group(
    tmp_path, monkeypatch, cpus, groups, files, cores
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cpus)
    write_machine(tmp_path, groups, files)
    assert device.usable_cores(tmp_path) == cores


def test_threads_are_the_cores_unless_the_user_says_otherwise(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(device, "usable_cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    device.set_threads()
    assert not chosen
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    device.set_threads()
    assert chosen == [3]


def test_a_busy_machine_is_named_and_an_idle_one_is_not(monkeypatch):
    monkeypatch.setattr("psutil.cpu_percent", lambda seconds, percpu: [100.0, 60.0])
    monkeypatch.setattr("psutil.Process.cpu_percent", lambda self: 30.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert device.cores_taken() == pytest.approx(1.3)
    assert "busy: other processes take 1.3 of its 2 cores" in device.busy_notice()
    monkeypatch.setattr("psutil.Process.cpu_percent", lambda self: 150.0)
    assert device.busy_notice() == ""
