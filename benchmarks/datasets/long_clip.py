"""What one very long clip costs: memory beside its crops, and seconds of a core for each frame.

    python benchmarks/datasets/long_clip.py                      # 10,000 frames of 320 x 240, Haar
    python benchmarks/datasets/long_clip.py --frames 2000 --faces "box=frame detector=mtcnn"

A film of a procedural face that wanders is written and cropped as the frame store crops it, in a
process of its own, after a short clip of the same kind that pays for libraries and models. Memory
is the growth of that process's peak; one clip should never need more than twice its crops. The
record goes to results/store/long-clip.json.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

SHORT = 64  # frames of the clip that is read first
FACES = 8  # pictures of the face that the film goes through
STEP = 2  # pixels by which the face moves from frame to frame


def write_film(path: Path, count: int, size: tuple[int, int]) -> None:
    """An MPEG-4 film of so many frames (width, height), encoded frame by frame."""
    import av

    from dferlib.datasets.standins.trees.film import film

    pictures = [frame.pixels for frame in film(0, 0, "happiness", FACES, size)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.bit_rate = 1_000_000
        for number in range(count):
            away = round(size[0] / 8 * np.sin(number * STEP * 8 / size[0]))
            pixels = np.roll(pictures[number // 4 % FACES], away, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def peak_bytes() -> int:
    """Most memory that this process had in use so far."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) * 1024


def read(path: str, count: int, size: int, faces: str) -> dict:
    """Crop a clip of so many frames; how its face was found, what was said, seconds of a core."""
    from dferlib.datasets.faces.crops import read_clips
    from dferlib.datasets.faces.options import parse_faces
    from dferlib.datasets.readers.scan import Clip

    clip = Clip("long", "S1", "happiness", (), 25.0, -1, video=path, count=count)
    started = time.process_time()
    frames, _, notes, (record,) = read_clips([clip], parse_faces(faces), size)
    seconds = time.process_time() - started
    return {"bytes": frames.nbytes, "own": record["own"], "notes": notes, "seconds": seconds}


def child(short: str, long: str, count: int, size: int, faces: str) -> dict:
    """Read a short and a long clip in this process; the second one's costs."""
    read(short, SHORT, size, faces)
    before = peak_bytes()
    cost = read(long, count, size, faces)
    return {**cost, "grown": peak_bytes() - before}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--wide", type=int, default=320, help="pixels; the height is 3/4 of it")
    parser.add_argument("--size", type=int, default=128, help="side of the crops")
    parser.add_argument("--faces", default="box=frame detector=haar")
    parser.add_argument("--out", type=Path, help="default: results/store in the project")
    chosen = parser.parse_args()
    film = (chosen.wide, chosen.wide * 3 // 4)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.avi" for name in ("short", "long")]
        for path, count in zip(paths, (SHORT, chosen.frames), strict=True):
            write_film(path, count, film)
        call = (*map(str, paths), chosen.frames, chosen.size, chosen.faces)
        code = f"import json, long_clip; print(json.dumps(long_clip.child(*{call!r})))"
        here = Path(__file__).parent
        done = subprocess.run([sys.executable, "-c", code], cwd=here, check=True, text=True,
                              stdout=subprocess.PIPE)  # fmt: skip
    cost = json.loads(done.stdout)
    record = {
        "frames": chosen.frames,
        "frame_size": film,
        "crop_size": chosen.size,
        "faces": chosen.faces,
        "frames_with_a_face": cost["own"],
        "notes": cost["notes"],
        "crops_mb": round(cost["bytes"] / 2**20, 1),
        "memory_mb": round(cost["grown"] / 2**20, 1),
        "memory_over_crops": round(cost["grown"] / cost["bytes"], 2),
        "core_seconds_per_frame": round(cost["seconds"] / chosen.frames, 5),
    }
    print("  ".join(f"{name} {value}" for name, value in record.items()))
    folder = chosen.out or (project_root() or Path()) / "results" / "store"
    write_json(folder / "long-clip.json", {**record, "provenance": provenance()})


if __name__ == "__main__":
    main()
