"""How often faces are found, how steady their crops are, and how many frames a second that takes.

    python benchmarks/datasets/crops.py                          # rendered faces only
    python benchmarks/datasets/crops.py --footage FOLDER  # and the videos of a folder
    python benchmarks/datasets/crops.py --sheets FOLDER ...  # and contact sheets of the crops

rendered  each detector on single rendered faces, at several tilts: share found, and where its box
          lies to that of the 68 true landmarks, in sides of the latter
clips     whole clips under the options for crops: share of frames with an own face, the trembling
          of the boxes before and after smoothing, frames per second of processor time

Prints rates and ratios and keeps them in results/faces/crops.json. Sheets of footage are for
looking only.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from faces import detection_frames
from PIL import Image

from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.faces.detectors import make_detector
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.media.video import probe
from dferlib.datasets.readers.scan import Clip
from dferlib.datasets.standins.trees.film import film
from dferlib.evidence.provenance import provenance
from dferlib.files import project_root, write_json

DETECTORS, TILTS = ("haar", "mtcnn"), (0, 10, 20, 30)
OPTIONS = (
    "box=clip",
    "box=frame",
    "box=frame detector=mtcnn",
    "align=first",
    "align=upright margin=0.25",
)
SIZE, SHOWN = 112, 24  # pixels of a crop; crops on a sheet


def tilt(frame: np.ndarray, points: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn a frame about its middle, and its landmarks with it."""
    middle = (frame.shape[1] / 2, frame.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, -degrees, 1.0)
    turned = cv2.warpAffine(frame, matrix, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return turned, points @ matrix[:, :2].T + matrix[:, 2]


def measure_rendered(count: int, seed: int) -> list[dict]:
    """Rates and places of both detectors on rendered faces, by tilt."""
    shots = [
        (frame, points.numpy())
        for frames, landmarks, _ in detection_frames(count, 224, seed)
        for frame, points in zip(frames, landmarks, strict=True)
    ]
    rows = []
    for name in DETECTORS:
        detect = make_detector(name, 0.2)
        detect([shots[0][0]])
        for degrees in TILTS:
            turned = [tilt(frame, points, degrees) for frame, points in shots]
            begun = time.process_time()
            found = detect([frame for frame, _ in turned])
            seconds = time.process_time() - begun
            away = [
                compare(faces.boxes[0], t[1])
                for faces, t in zip(found, turned, strict=True)
                if len(faces[0])
            ]
            x, y, side = np.array(away).reshape(-1, 3).T
            rows.append(
                {
                    "detector": name,
                    "tilt": degrees,
                    "found": len(away) / count,
                    "more_than_one": sum(len(faces.boxes) > 1 for faces in found) / count,
                    "x": [round(float(v), 3) for v in (x.mean(), x.std())],
                    "y": [round(float(v), 3) for v in (y.mean(), y.std())],
                    "side": [round(float(v), 3) for v in (side.mean(), side.std())],
                    "frames_per_second": round(count / seconds, 1),
                }
            )
    return rows


def compare(box: np.ndarray, points: np.ndarray) -> tuple[float, float, float]:
    """Offset and side of a box to the tight square of the landmarks, in sides of that."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = (high - low).max()
    x, y = ((box[:2] + box[2:]) - (low + high)) / 2 / side
    return x, y, (box[2:] - box[:2]).max() / side


def rendered_clip(folder: Path, length: int) -> Clip:
    """A rendered clip as images of 320 x 240."""
    paths = []
    for index, picture in enumerate(film(5, 2, "happiness", length, (320, 240))):
        paths.append(str(folder / f"{index:03d}.png"))
        Image.fromarray(picture.pixels).save(paths[-1])
    return Clip("rendered", "5", "happiness", tuple(paths), 25.0, length - 1)


def footage_clip(path: Path) -> Clip:
    """A video as a clip."""
    facts = probe(path)
    return Clip(path.stem, "", "", (), facts.fps, -1, video=str(path), count=facts.count)


def measure_clip(clip: Clip, sheets: Path | None) -> list[dict]:
    """One row for each way of cutting the clip's faces out."""
    rows = []
    for text in OPTIONS:
        begun = time.process_time()
        crops = read_clip(clip, SIZE, parse_faces(text))
        seconds = time.process_time() - begun
        row = {"clip": clip.clip_id, "faces": text, **crops.record.row(), "note": crops.note}
        rows.append(row | {"frames_per_second": round(len(crops.frames) / seconds, 1)})
        if sheets:
            save_sheet(crops.frames, sheets / f"{clip.clip_id}-{text.replace(' ', '-')}.png")
    return rows


def save_sheet(frames: np.ndarray, path: Path) -> None:
    """Crops at even distances through a clip, eight in a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = frames[np.linspace(0, len(frames) - 1, SHOWN).round().astype(int)]
    rows = chosen.reshape(-1, 8, SIZE, SIZE, 3).transpose(0, 2, 1, 3, 4)
    Image.fromarray(rows.reshape(-1, 8 * SIZE, 3)).save(path)


def ratios(rows: list[dict]) -> dict[str, float]:
    """What smoothing leaves of the trembling, and what aligning costs."""
    by = {row["faces"]: row for row in rows}
    plain, aligned = by["box=frame detector=mtcnn"], by["align=first"]
    found = {"speed_aligned": aligned["frames_per_second"] / plain["frames_per_second"]}
    for text in ("box=frame", "box=frame detector=mtcnn"):
        if by[text]["jitter"] == by[text]["jitter"]:  # no face, no boxes to tremble
            found[f"jitter_left {text}"] = by[text]["jitter"] / by[text]["raw_jitter"]
    return {name: round(float(value), 3) for name, value in found.items()}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=160, help="single rendered faces")
    parser.add_argument("--length", type=int, default=60, help="frames of the rendered clip")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--footage", type=Path, help="a folder of mp4 files")
    parser.add_argument("--sheets", type=Path, help="a folder for contact sheets")
    parser.add_argument("--out", type=Path, help="default: results/faces in the project")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    record: dict = {"rendered": measure_rendered(chosen.frames, chosen.seed), "clips": {}}
    for row in record["rendered"]:
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        clips = [rendered_clip(Path(folder), chosen.length)]
        clips += map(footage_clip, sorted(chosen.footage.glob("*.mp4")) if chosen.footage else ())
        for clip in clips:
            rows = measure_clip(clip, chosen.sheets)
            record["clips"][clip.clip_id] = {"rows": rows, "ratios": ratios(rows)}
            for row in rows:
                print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
            print(clip.clip_id, record["clips"][clip.clip_id]["ratios"], flush=True)
    folder = chosen.out or (project_root() or Path()) / "results" / "faces"
    settings = {"size": SIZE, "frames": chosen.frames, "seed": chosen.seed}
    settings |= {"opencv": cv2.__version__, "facenet-pytorch": version("facenet-pytorch")}
    write_json(folder / "crops.json", record | {"settings": settings, "provenance": provenance()})


if __name__ == "__main__":
    main()
