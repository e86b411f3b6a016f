"""Bars of the procedural face: is it found, does it obey FACS, how long does a frame take.

    # everything, about ten minutes on one core
    python benchmarks/synthface/faces.py
    python benchmarks/synthface/faces.py --only signs speed

detection  OpenCV's frontal Haar cascade and MTCNN find exactly one face, at the right place
signs      each action unit moves its landmarks as FACS prescribes
pixels     MTCNN's mouth corners, read from the pixels, move with the right sign
speed      milliseconds a frame on one thread, by quality
sheets     contact sheets of expressions, action units, poses and masks

Prints the bars and keeps them in results/faces/bars.json, with tables beside it; needs the optional
package facenet-pytorch (its wheel holds the weights) for MTCNN.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from face_sheets import save_sheets, to_bytes
from torch import Tensor

from dferlib.evidence.provenance import provenance
from dferlib.files import write_csv, write_json
from dferlib.synthface import (
    ACTION_UNITS,
    AU_NAMES,
    EXPRESSIONS,
    FACE_VERSION,
    au_vector,
    default_light,
    expression_aus,
    render,
    sample_identities,
    seeded_generator,
)
from dferlib.synthface.facs_signs import AU_EFFECTS, measure

BATCH = 10
PIXEL_EFFECTS = {  # what MTCNN's mouth corners must do
    12: ("height", 1),
    15: ("height", -1),
    20: ("width", 1),
    26: ("height", -1),
    27: ("height", -1),
}
SPEED_SETTINGS = (("fast", 72, 20.0), ("standard", 128, 62.0), ("fine", 224, None))


# ---------------------------------------------------------------- detection


def detection_frames(count: int, size: int, seed: int) -> Iterator[tuple[np.ndarray, Tensor, list]]:
    """Yield batches of frontal frames: one identity a frame, mixed expressions, light and greys."""
    for first in range(0, count, BATCH):
        n = min(BATCH, count - first)
        generator = seeded_generator("detection", seed, first)
        names = [EXPRESSIONS[(first + i) % len(EXPRESSIONS)] for i in range(n)]
        intensity = 0.3 + 0.7 * torch.rand(n, generator=generator)
        pairs = zip(names, intensity.tolist(), strict=True)
        aus = torch.stack([expression_aus(name, level, generator) for name, level in pairs])
        pose = torch.rand(n, 3, generator=generator) * 2 - 1
        camera = torch.tensor([[0.0, -0.12, 1.3]]).repeat(n, 1)
        camera[:, 2] += 0.2 * torch.rand(n, generator=generator)
        light = default_light(n)
        light.key.add_(torch.randn(n, 3, generator=generator) * torch.tensor([0.4, 0.25, 0.1]))
        grey = 0.15 + 0.7 * torch.rand(n, 1, 1, 1, generator=generator)
        shown = render(
            sample_identities(n, seed, start=first),
            aus,
            size=size,
            pose=pose * torch.tensor([0.08, 0.06, 0.05]),
            camera=camera,
            light=light,
            background=grey.expand(n, 3, size, size).contiguous(),
            quality="standard",
            truth=True,
        )
        yield to_bytes(shown.image), shown.landmarks, names


def at_right_place(boxes: list[tuple[float, float, float, float]], landmarks: Tensor) -> bool:
    """Is there exactly one box (x0, y0, x1, y1), around the nose tip and of the face's size?"""
    if len(boxes) != 1:
        return False
    x0, y0, x1, y1 = boxes[0]
    nose_x, nose_y = landmarks[30].tolist()
    across, down = (nose_x - x0) / (x1 - x0), (nose_y - y0) / (y1 - y0)
    face_width = (landmarks[16, 0] - landmarks[0, 0]).item()
    return 0.25 < across < 0.75 and 0.25 < down < 0.85 and 0.7 < (x1 - x0) / face_width < 1.8


def haar_boxes(frames: np.ndarray, cascade: cv2.CascadeClassifier) -> list[list[tuple]]:
    """Detect faces with OpenCV's cascade: scale 1.1, 4 neighbours, at least 40 % of the frame."""
    found = []
    for frame in frames:
        grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        least = int(0.4 * frame.shape[0])
        boxes = cascade.detectMultiScale(grey, 1.1, 4, minSize=(least, least))
        found.append([(x, y, x + w, y + h) for x, y, w, h in boxes])
    return found


def make_mtcnn() -> Callable:
    """Load MTCNN with its default thresholds, keeping all faces."""
    from facenet_pytorch import MTCNN  # optional, and slow to import

    return MTCNN(keep_all=True, device="cpu")


def measure_detection(count: int, size: int, seed: int) -> tuple[dict, pd.DataFrame]:
    """Share of frames in which each detector finds exactly one face at the right place."""
    cascade = cv2.CascadeClassifier(
        str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml")
    )
    mtcnn, rows = make_mtcnn(), []
    for frames, landmarks, names in detection_frames(count, size, seed):
        haar = haar_boxes(frames, cascade)
        boxes, _ = mtcnn.detect(list(frames))
        for i, name in enumerate(names):
            mtcnn_boxes = [] if boxes[i] is None else [tuple(b) for b in boxes[i]]
            rows.append(
                {
                    "frame": len(rows),
                    "expression": name,
                    "haar": at_right_place(haar[i], landmarks[i]),
                    "haar_faces": len(haar[i]),
                    "mtcnn": at_right_place(mtcnn_boxes, landmarks[i]),
                    "mtcnn_faces": len(mtcnn_boxes),
                }
            )
    table = pd.DataFrame(rows)
    settings = {
        "frames": count,
        "size": size,
        "quality": "standard",
        "intensity": [0.3, 1.0],
        "yaw_pitch_roll": [0.08, 0.06, 0.05],
        "half_height": [1.3, 1.5],
        "haar": "default frontal cascade, equalised grey, scale 1.1, neighbours 4",
    }
    bars = {name: {"share": float(table[name].mean()), "bar": 0.97} for name in ("haar", "mtcnn")}
    by_expression = table.groupby("expression")[["haar", "mtcnn"]].mean().round(3)
    return bars | {"settings": settings, "by_expression": by_expression.to_dict("index")}, table


# ---------------------------------------------------------------- FACS


def measure_signs(count: int, seed: int) -> tuple[dict, pd.DataFrame]:
    """Share of identities whose landmarks move with the prescribed sign, per action unit."""
    people = sample_identities(count, seed)
    rest = torch.zeros(count, len(ACTION_UNITS), 2)
    options = {"size": 128, "quality": "fast", "truth": True}
    before = measure(render(people, rest, **options).landmarks)
    rows = []
    for au, effects in AU_EFFECTS.items():
        raised = au_vector({au: 1.0}).expand(count, -1, -1)
        after = measure(render(people, raised, **options).landmarks)
        for name, sign in effects.items():
            moved = after[name] - before[name]
            rows.append(
                {
                    "au": au,
                    "name": AU_NAMES[au],
                    "distance": name,
                    "sign": sign,
                    "share": (sign * moved > 0).float().mean().item(),
                    "mean_change": round(moved.mean().item(), 4),
                }
            )
    table = pd.DataFrame(rows)
    return {"identities": count, "lowest_share": float(table.share.min()), "bar": 0.99}, table


def mouth_corners(frames: np.ndarray, mtcnn: Callable) -> tuple[Tensor, Tensor]:
    """MTCNN's mouth height below the eyes, upwards, and width; NaN where no face is found."""
    _, _, points = mtcnn.detect(list(frames), landmarks=True)
    height, width = [], []
    for found in points:
        if found is None:
            height.append(float("nan"))
            width.append(float("nan"))
            continue
        left_eye, right_eye, _, left, right = found[0]
        scale = float(np.linalg.norm(right_eye - left_eye))
        eyes = (left_eye[1] + right_eye[1]) / 2
        height.append(float(eyes - (left[1] + right[1]) / 2) / scale)
        width.append(float(right[0] - left[0]) / scale)
    return torch.tensor(height), torch.tensor(width)


def measure_pixels(count: int, size: int, seed: int) -> tuple[dict, pd.DataFrame]:
    """Share of identities whose mouth corners move rightly in the pixels, by MTCNN."""
    people, mtcnn = sample_identities(count, seed), make_mtcnn()

    def corners(aus: Tensor) -> tuple[Tensor, Tensor]:
        shown = render(people, aus, size=size, quality="standard").image
        return mouth_corners(to_bytes(shown), mtcnn)

    calm = dict(
        zip(("height", "width"), corners(torch.zeros(count, len(ACTION_UNITS), 2)), strict=True)
    )
    rows = []
    for au, (what, sign) in PIXEL_EFFECTS.items():
        raised = au_vector({au: 1.0}).expand(count, -1, -1)
        moved = dict(zip(("height", "width"), corners(raised), strict=True))[what] - calm[what]
        rows.append(
            {
                "au": au,
                "name": AU_NAMES[au],
                "corners": what,
                "sign": sign,
                "share": (sign * moved > 0).float().mean().item(),  # a missed face counts as wrong
                "mean_change": round(moved.nanmean().item(), 4),
            }
        )
    table = pd.DataFrame(rows)
    settings = {"identities": count, "size": size}
    return settings | {"lowest_share": float(table.share.min()), "bar": 0.90}, table


# ---------------------------------------------------------------- speed


def measure_speed(repeats: int) -> pd.DataFrame:
    """Milliseconds of processor time a frame on one thread, without and with truth."""
    rows = []
    for quality, size, bar in SPEED_SETTINGS:
        people = sample_identities(8, 0)
        aus = torch.stack([expression_aus(e, 0.9, seeded_generator(e)) for e in EXPRESSIONS])
        for truth in (False, True):
            spent = []
            for _ in range(repeats + 1):  # the first run warms up
                start = time.process_time()
                render(people, aus, size=size, quality=quality, truth=truth)
                spent.append((time.process_time() - start) * 1000 / len(people))
            rows.append(
                {
                    "quality": quality,
                    "size": size,
                    "batch": len(people),
                    "truth": truth,
                    "ms_per_frame": round(float(np.median(spent[1:])), 1),
                    "bar_ms": bar,
                }
            )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- main


def main() -> None:
    """Measure what is asked for and merge it into bars.json."""
    parts = ("detection", "signs", "pixels", "speed", "sheets")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--frames", type=int, default=500, help="frames for detection")
    parser.add_argument("--identities", type=int, default=200, help="for the signs of landmarks")
    parser.add_argument("--pixel-identities", type=int, default=60, help="for the signs in pixels")
    parser.add_argument("--size", type=int, default=224, help="pixels, for detectors")
    parser.add_argument("--tile", type=int, default=160, help="pixels of a sheet's tile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/faces"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    bars: dict = {}
    if "detection" in chosen.only:
        bars["detection"], table = measure_detection(chosen.frames, chosen.size, chosen.seed)
        misses = table[~(table.haar & table.mtcnn)]
        write_csv(chosen.out / "detection_misses.csv", misses)
    if "signs" in chosen.only:
        bars["signs"], table = measure_signs(chosen.identities, chosen.seed)
        write_csv(chosen.out / "signs.csv", table)
    if "pixels" in chosen.only:
        bars["pixels"], table = measure_pixels(chosen.pixel_identities, chosen.size, chosen.seed)
        write_csv(chosen.out / "pixels.csv", table)
    if "speed" in chosen.only:
        bars["speed"] = measure_speed(5).to_dict("records")
    if "sheets" in chosen.only:
        save_sheets(chosen.out, chosen.tile, chosen.seed)
    path = chosen.out / "bars.json"
    # Parts measured on another day stay, with their own provenance.
    record = json.loads(path.read_text()) if path.is_file() else {}
    for part, values in bars.items():
        print(part, values, sep="\n    ")
        stamp = {"face_version": FACE_VERSION, "seed": chosen.seed, "provenance": provenance()}
        record[part] = {"bars": values} | stamp
    write_json(path, record)


if __name__ == "__main__":
    main()
