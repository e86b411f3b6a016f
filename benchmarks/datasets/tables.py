"""How long a table of very many clips takes to be read, and folds to be made of its subjects.

    python benchmarks/datasets/tables.py                       # 10,000 and 100,000 clips

Clips are folders of frames, ten to a subject, hard links to one picture. Seconds are those of a
core, of a tree that was just written. The record goes to results/store/tables.json.
"""

import argparse
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path

from PIL import Image

from dferlib.datasets import load_manifest
from dferlib.datasets.folds import split_fold
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

LABELS = ("anger", "fear", "happiness", "sadness")
PER_SUBJECT = 10
PER_PICTURE = 1000  # clips whose frames are one file


def write_tree(root: Path, clips: int, frames: int) -> None:
    """Write so many clips and their table."""
    root.mkdir()
    picture = root.parent / "picture.png"
    Image.new("L", (8, 8)).save(picture)
    rows = ["path,label,subject"]
    for number in range(clips):
        subject = f"S{number // PER_SUBJECT:05d}"
        folder = root / subject / f"{number:06d}"
        folder.mkdir(parents=True)
        if number % PER_PICTURE == 0:  # a disk allows so many names of one file
            shutil.copy(picture, root / f"{number}.png")
            source = root / f"{number}.png"
        for frame in range(frames):
            os.link(source, folder / f"{frame:03d}.png")
        rows.append(f"{subject}/{folder.name},{LABELS[number % len(LABELS)]},{subject}")
    (root / "labels.csv").write_text("\n".join([*rows, ""]))


def measure(place: Path, clips: int, frames: int) -> dict:
    """Seconds of a core to read a table of so many clips, and to make ten folds of it."""
    root = place / str(clips)
    write_tree(root, clips, frames)
    started = time.process_time()
    manifest = load_manifest("folder", root)
    read = time.process_time()
    for fold in range(1, 11):
        split_fold(manifest, fold)
    folds = time.process_time() - read
    return {
        "clips": len(manifest),
        "subjects": manifest["subject"].nunique(),
        "frames_per_clip": frames,
        "read_seconds": round(read - started, 2),
        "ten_folds_seconds": round(folds, 2),
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--frames", type=int, default=1, help="of each clip")
    parser.add_argument("--out", type=Path, help="default: results/store in the project")
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for clips in chosen.clips:
            rows.append(measure(Path(place), clips, chosen.frames))
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    folder = chosen.out or (project_root() or Path()) / "results" / "store"
    write_json(folder / "tables.json", {"rows": rows, "provenance": provenance()})


if __name__ == "__main__":
    main()
