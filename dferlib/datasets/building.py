"""Building a frame store: jobs in parallel, results written at their place, renamed when complete.

Everything is written into `<store>.partial` beside the store's place. Every finished job leaves a
line with checksums in a journal there, so that a build that was killed goes on where it was. A
build that fails removes the folder. In a folder that several machines share, one builds at a time
as far as the file system keeps locks of `flock` for all of them; where it does not, two may, and
the one that comes second takes the store of the first if its checksums fit.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm.auto import tqdm

from dferlib.datasets.faces.report import FACES_FILE, make_faces_table
from dferlib.datasets.manifest import StoreError
from dferlib.datasets.sources import Make, Produced, Source
from dferlib.files import digest, seal, write_atomic, write_csv, write_json

STORE_VERSION = 1  # raise when the layout of a store or of its jobs changes
MANIFEST_FILE, RECORD_FILE, JOURNAL_FILE = "manifest.csv", "store.json", "journal.jsonl"
TIMING_FILE = "build.json"  # seconds of the build that finished the store
PARTIAL = ".partial"
HOST_FILE = "host"  # in it, which machine began to build
STALE_SECONDS = 7 * 24 * 3600  # builds that were killed so long ago are not taken up again
FRAMES_PER_JOB = 64
FRAMES_PER_WORKER = 400  # starting a process costs as much as about this many frames
IDLE_SECONDS = 10  # worker processes give their memory back so long after the build
NO_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


@dataclass(frozen=True)
class Job:
    """Some consecutive clips: how to make them, and the rows of the arrays that they fill."""

    number: int
    make: Make
    start: int
    stop: int


def build_store(
    what: Source, path: Path, size: int, *, workers: int | None = None, progress: bool = True
) -> None:
    """Build the store of a source at `path`; the caller holds the lock.

    StoreError naming the path if the disk is full or cannot be written; any failure removes what
    was begun. A killed or interrupted build is resumed by the next one.
    """
    partial = path.with_name(f"{path.name}{PARTIAL}")
    started = time.perf_counter()
    jobs = _jobs(what)
    total = jobs[-1].stop
    _remove_stale(path.parent)
    try:
        done = _fill(partial, jobs, size, workers, progress, f"{what.dataset} faces")
        _finish(what, partial, path, size, done, time.perf_counter() - started)
    except StoreError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        need = total * size * size * 3 / 2**20
        raise StoreError(
            f"cannot write the frame store {path} ({need:.0f} MB): {error.strerror or error}. "
            "Free some space or choose another folder with cache_dir or DFER_CACHE; "
            "nothing half-written was left"
        ) from error
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _remove_stale(folder: Path) -> None:
    for partial in folder.glob(f"*{PARTIAL}"):
        with suppress(OSError):
            if time.time() - (partial / JOURNAL_FILE).stat().st_mtime <= STALE_SECONDS:
                continue
            host = partial / HOST_FILE
            if host.is_file() and host.read_text() != _this_host():
                warnings.warn(
                    f"{partial} was begun on another machine and is more than a week old; delete "
                    "it if nothing builds a store there any more",
                    stacklevel=3,
                )
            else:
                shutil.rmtree(partial)


def _this_host() -> str:
    return digest(platform.node())  # the name itself is nobody's business


def _jobs(what: Source) -> list[Job]:
    jobs, rows, start = [], [], 0
    offsets = what.manifest["offset"].to_numpy()
    stops = offsets + what.manifest["n_frames"].to_numpy()
    for row, stop in enumerate(stops):
        if rows and stop - start > FRAMES_PER_JOB:
            jobs.append(Job(len(jobs), what.job(rows), start, int(offsets[row])))
            rows, start = [], int(offsets[row])
        rows.append(row)
    return [*jobs, Job(len(jobs), what.job(rows), start, int(stops[-1]))]


def _fill(
    partial: Path, jobs: list[Job], size: int, workers: int | None, progress: bool, title: str
) -> list[dict[str, Any]]:
    """Make all jobs that are not done yet; returns the journal's entries of all."""
    total = jobs[-1].stop
    done = _resume(partial, jobs, size)
    if not done:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        (partial / HOST_FILE).write_text(_this_host())
        arrays, said = _produce(jobs[0], size)
        for name, array in arrays.items():
            _allocate(partial / f"{name}.npy", array.dtype, (total, *array.shape[1:]))
        done[0] = _log(partial, _write_job(partial, jobs[0], arrays, said))
    ready = sum(job.stop - job.start for job in jobs if job.number in done)
    left = [job for job in jobs if job.number not in done]
    bar = tqdm(
        total=total, initial=ready, desc=title, unit="frame", leave=False, disable=not progress
    )
    with bar:
        for entry in _run(partial, left, size, _count_workers(workers, total - ready)):
            done[entry["job"]] = _log(partial, entry)
            bar.update(jobs[entry["job"]].stop - jobs[entry["job"]].start)
    return [done[number] for number in sorted(done)]


def _count_workers(workers: int | None, frames: int) -> int:
    if workers is not None:
        return max(1, int(workers))
    return max(1, min(cpu_count(), frames // FRAMES_PER_WORKER))


def _run(partial: Path, jobs: list[Job], size: int, workers: int) -> Iterator[dict[str, Any]]:
    if workers == 1 or len(jobs) < 2:
        yield from (_do(partial, job, size) for job in jobs)
        return
    # loky's processes do not import the caller's main module: no guard is needed in scripts, and
    # notebooks work.
    with parallel_config("loky", inner_max_num_threads=1, idle_worker_timeout=IDLE_SECONDS):
        pool = Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")
        try:
            yield from pool(delayed(_do_away)(partial, job, size, os.getpid()) for job in jobs)
        except TerminatedWorkerError as error:
            raise StoreError(
                f"a process that filled {partial} was killed, most likely for want of memory; "
                "try workers=1"
            ) from error


def _do(partial: Path, job: Job, size: int) -> dict[str, Any]:
    return _write_job(partial, job, *_produce(job, size))


def _do_away(partial: Path, job: Job, size: int, parent: int) -> dict[str, Any]:
    _follow_parent(parent)
    return _do(partial, job, size)


@cache
def _follow_parent(parent: int) -> None:
    """End this worker process when the one that started it is gone: a killed one cannot say so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _produce(job: Job, size: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    made = Produced(*job.make(size))
    frames, truth = made.frames, made.truth
    arrays = {"frames": frames, **truth}
    count = job.stop - job.start
    if frames.shape != (count, size, size, 3) or frames.dtype != np.uint8:
        raise RuntimeError(f"a job gave {frames.dtype} {frames.shape}, not {count} crops of {size}")
    if any(len(array) != count for array in arrays.values()):
        raise RuntimeError(f"a job's truth does not have {count} rows")
    return arrays, {"notes": made.notes, "faces": list(made.faces)}


def _write_job(partial: Path, job: Job, arrays: dict[str, np.ndarray], said: dict) -> dict:
    crc = {}
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        with open(partial / f"{name}.npy", "r+b") as file:
            _seek_row(file, job.start)
            file.write(data.data)
        crc[name] = zlib.crc32(data.data)
    return {"job": job.number, "crc": crc, **said}


def _log(partial: Path, entry: dict[str, Any]) -> dict[str, Any]:
    with open(partial / JOURNAL_FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    return entry


def _resume(partial: Path, jobs: list[Job], size: int) -> dict[int, dict[str, Any]]:
    """Journal entries of an interrupted build whose pixels are on disk as they were written."""
    done: dict[int, dict[str, Any]] = {}
    journal = partial / JOURNAL_FILE
    lines = journal.read_bytes().splitlines() if journal.is_file() else []
    for line in lines:
        with suppress(OSError, ValueError, KeyError, IndexError, TypeError):  # a line may be torn
            entry = json.loads(line)
            job = jobs[entry["job"]]
            if all(_crc(partial, name, job) == crc for name, crc in entry["crc"].items()):
                done[job.number] = entry
    frames = partial / "frames.npy"
    if done and np.load(frames, mmap_mode="r").shape != (jobs[-1].stop, size, size, 3):
        return {}
    if done:  # what is appended now must not join a torn line
        text = "".join(json.dumps(entry) + "\n" for entry in done.values())
        write_atomic(journal, lambda file: file.write(text), mode="w")
    return done


def _crc(partial: Path, name: str, job: Job) -> int:
    array = np.load(partial / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return zlib.crc32(np.ascontiguousarray(array[job.start : job.stop]).data)


def _allocate(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Make an .npy file of its full size, so that a full disk shows now and not half-way."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        _reserve(file, int(np.prod(shape)) * dtype.itemsize)


def _reserve(file: Any, count: int) -> None:
    if hasattr(os, "posix_fallocate"):
        file.flush()
        try:
            return os.posix_fallocate(file.fileno(), file.tell(), count)
        except OSError as error:
            if error.errno not in NO_RESERVE:
                raise
    block = bytes(2**20)
    for start in range(0, count, len(block)):
        file.write(block[: count - start])


def _seek_row(file: Any, row: int) -> None:
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    file.seek(file.tell() + row * int(np.prod(shape[1:])) * dtype.itemsize)


def _finish(
    what: Source, partial: Path, path: Path, size: int, done: list[dict[str, Any]], seconds: float
) -> None:
    """Write manifest, record and faces, then give the folder its name in one step."""
    notes = {clip: note for entry in done for clip, note in entry["notes"].items()}
    if faces := [row for entry in done for row in entry.get("faces", ())]:
        write_csv(partial / FACES_FILE, make_faces_table(faces))
    for rest in partial.glob(".*.tmp"):  # of a process that was killed while it wrote
        rest.unlink()
    arrays = {file.stem: _facts(file) for file in sorted(partial.glob("*.npy"))}
    write_csv(partial / MANIFEST_FILE, what.manifest)
    tables = {file.name: _checksum(file) for file in sorted(partial.glob("*.csv"))}
    record = {"version": STORE_VERSION, "key": path.name.rsplit("-", 1)[1], "size": size}
    record |= {"dataset": what.dataset, "source": what.source, "classes": list(what.classes)}
    record |= {"pixels": what.pixels, "inputs": what.inputs, "arrays": arrays, "notes": notes}
    write_json(partial / RECORD_FILE, seal({**record, "tables": tables}))
    # apart from the record, which is the same for the same input
    timing = {"seconds": round(seconds, 1), "key": record["key"]}
    write_json(partial / TIMING_FILE, seal(timing))
    (partial / HOST_FILE).unlink(missing_ok=True)
    (partial / JOURNAL_FILE).unlink()
    os.rename(partial, path)


def _facts(file: Path) -> dict[str, Any]:
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    facts: dict[str, Any] = {"shape": list(array.shape), "dtype": array.dtype.str}
    return {**facts, "bytes": file.stat().st_size, "sha256": _checksum(file)}


def _checksum(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
