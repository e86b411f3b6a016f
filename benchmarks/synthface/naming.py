"""Can a reader who knows only the seven names tell the expressions of the procedural faces?

    # sheets, and the key put aside
    python benchmarks/synthface/naming.py make --seed 7 --key key.csv
    python benchmarks/synthface/naming.py score --key key.csv  # after the reader's answers.csv

`make` writes shuffled, numbered, unlabelled peak frames, eight per expression, every frame of
another person, at intensities from .65 to 1. The reader gets the sheets and the list of names, and
writes answers.csv (frame, answer). `score` compares with the key and keeps frames, answers, key and
result side by side in results/faces/naming.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw

from dferlib.evidence.provenance import provenance
from dferlib.evidence.stats import binomial_interval
from dferlib.files import project_root, write_csv, write_json
from dferlib.synthface import (
    EXPRESSIONS,
    FACE_VERSION,
    expression_aus,
    render,
    sample_identities,
)

NAMES = tuple(name for name in EXPRESSIONS if name != "neutral")
EACH = 8  # frames per expression
INTENSITY = (0.65, 1.0)
SIDE = 220  # pixels of a frame
COLUMNS, ROWS = 7, 2  # of a sheet
IDENTITY_SEED = 77_000  # people of no stand-in


def draw_key(seed: int) -> pd.DataFrame:
    """Shuffle expressions and intensities; columns frame (from 1), expression, intensity."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.repeat(NAMES, EACH))
    intensity = rng.uniform(*INTENSITY, len(order)).round(3)
    frames = range(1, len(order) + 1)
    return pd.DataFrame({"frame": frames, "expression": order, "intensity": intensity})


def render_frames(key: pd.DataFrame, seed: int) -> np.ndarray:
    """Peak frames (N, SIDE, SIDE, 3) uint8 of the key, each of another person."""
    generator = torch.Generator().manual_seed(seed)
    people = sample_identities(len(key), IDENTITY_SEED + seed)
    aus = torch.stack(
        [expression_aus(row.expression, row.intensity, generator) for row in key.itertuples()]
    )
    image = render(people, aus, size=SIDE, quality="fine").image
    return (image.permute(0, 2, 3, 1) * 255).round().byte().numpy()


def make(options: argparse.Namespace, folder: Path) -> None:
    """Write the sheets into the folder and the key where it is wanted."""
    key = draw_key(options.seed)
    frames = render_frames(key, options.seed)
    folder.mkdir(parents=True, exist_ok=True)
    per_sheet = COLUMNS * ROWS
    for start in range(0, len(frames), per_sheet):
        sheet = Image.new("RGB", (COLUMNS * (SIDE + 4), ROWS * (SIDE + 22)), "white")
        pen = ImageDraw.Draw(sheet)
        for place, frame in enumerate(frames[start : start + per_sheet]):
            x, y = place % COLUMNS * (SIDE + 4), place // COLUMNS * (SIDE + 22)
            pen.text((x + 4, y + 4), f"{start + place + 1}", fill="black", font_size=14)
            sheet.paste(Image.fromarray(frame), (x, y + 20))
        sheet.save(folder / f"sheet-{start // per_sheet + 1}.png", optimize=True)
    write_csv(options.key, key.assign(seed=options.seed))
    print(f"{len(frames)} frames in {folder}; the key is in {options.key}")


def score(options: argparse.Namespace, folder: Path) -> None:
    """Compare the reader's answers with the key, print and keep the result."""
    key = pd.read_csv(options.key)
    answers = pd.read_csv(folder / "answers.csv")
    table = key.merge(answers, on="frame", how="left", validate="one_to_one")
    unknown = set(table["answer"]) - set(NAMES)
    if unknown:
        raise SystemExit(f"answers.csv holds {sorted(map(str, unknown))}; allowed: {NAMES}")
    right = table["expression"] == table["answer"]
    low, high = binomial_interval(int(right.sum()), len(table))
    result = {"right": int(right.sum()), "n": len(table), "share": round(float(right.mean()), 4)}
    result |= {"interval_95": [round(low, 4), round(high, 4)], "face_version": FACE_VERSION}
    by_class = right.groupby(table["expression"]).sum()
    result |= {"right_of_8": {name: int(by_class[name]) for name in NAMES}}
    result["reader"] = options.reader
    print(pd.crosstab(table["expression"], table["answer"]))
    print(result)
    write_csv(folder / "key.csv", key)
    write_json(folder / "result.json", {**result, "provenance": provenance()})


def main() -> None:
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("make", "score"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--reader", default="", help="who answered, for the record")
    parser.add_argument("--out", type=Path, help="default: results/faces/naming in the project")
    options = parser.parse_args()
    root = project_root() or Path()
    folder = options.out or root / "results" / "faces" / "naming"
    {"make": make, "score": score}[options.step](options, folder)


if __name__ == "__main__":
    main()
