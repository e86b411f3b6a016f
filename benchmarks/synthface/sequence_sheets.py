"""Draw the contact sheets of the stand-ins: expressions over time, and what films add.

    # writes results/faces/sequences.png and wild.png
    python benchmarks/synthface/sequence_sheets.py

Each row is one clip in eight frames; a white bar marks the frame nearest to the apex.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from dferlib.datasets.standins.plans import StandInPlan, plan_standin
from dferlib.synthface import EXPRESSIONS
from dferlib.synthface.scene import film

FOLDER = Path(__file__).parents[2] / "results" / "faces"
COLUMNS = 8
MARGIN = 84  # pixels for a row's name
BAR = 3


def choose_rows(plan: StandInPlan, labels: Sequence[str], each: int = 1) -> list[int]:
    """The first clips of each class, of different subjects."""
    clips, rows, seen = plan.manifest, [], set()
    for label in labels:
        fresh = clips[(clips["label"] == label) & ~clips["subject"].isin(seen)]
        chosen = fresh.drop_duplicates("subject").iloc[:each]
        seen |= set(chosen["subject"])
        rows += chosen.index.tolist()
    return rows


def draw_rows(plan: StandInPlan, rows: Sequence[int], size: int, note: str = "") -> Image.Image:
    """One strip of eight frames for each clip, evenly spread from its first to its last frame."""
    clips = plan.manifest.iloc[list(rows)]
    last = clips["n_frames"].to_numpy() - 1
    chosen = (last[:, None] * np.linspace(0, 1, COLUMNS)).round().astype(int)
    scenes = [plan.scene(row).take(take.tolist()) for row, take in zip(rows, chosen, strict=True)]
    frames, _ = film(scenes, size, quality="standard")
    frames = frames.reshape(len(rows), COLUMNS, size, size, 3).copy()
    nearest = np.abs(chosen - clips["apex"].to_numpy()[:, None]).argmin(axis=1)
    for row, apex in enumerate(clips["apex"]):
        if apex >= 0:
            frames[row, nearest[row], -BAR:] = 255
    sheet = Image.new("RGB", (MARGIN + COLUMNS * size, len(rows) * size), "white")
    strips = frames.transpose(0, 2, 1, 3, 4).reshape(len(rows) * size, COLUMNS * size, 3)
    sheet.paste(Image.fromarray(strips), (MARGIN, 0))
    pen = ImageDraw.Draw(sheet)
    for row, label in enumerate(clips["label"]):
        pen.text((6, row * size + size // 2 - 18), f"{label}\n{plan.name}\n{note}", fill="black")
    return sheet


def stack_sheets(sheets: Sequence[Image.Image]) -> Image.Image:
    """Put sheets of one width below each other."""
    return Image.fromarray(np.concatenate([np.asarray(sheet) for sheet in sheets]))


def main() -> None:
    """Draw both sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=100, help="pixels of a frame")
    size = parser.parse_args().size
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    clean = plan_standin("ckplus", difficulty="clean")
    oulu, mmi = plan_standin("oulu"), plan_standin("mmi")
    sequences = [
        draw_rows(clean, choose_rows(clean, EXPRESSIONS[:7]), size, "clean"),
        draw_rows(oulu, choose_rows(oulu, ("fear", "sadness")), size),
        draw_rows(mmi, choose_rows(mmi, ("anger", "happiness")), size),
    ]
    afew, wilder = plan_standin("afew"), plan_standin("afew", difficulty="wilder")
    wild = [
        draw_rows(afew, choose_rows(afew, EXPRESSIONS[:1] + EXPRESSIONS[2:]), size),
        draw_rows(wilder, choose_rows(wilder, EXPRESSIONS[2:6], 2)[1::2], size, "wilder"),
    ]
    for name, sheets in {"sequences": sequences, "wild": wild}.items():
        path = FOLDER / f"{name}.png"
        stack_sheets(sheets).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
