"""Contact sheets of the procedural face: expressions, action units, moved regions, poses."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dferlib.synthface import (
    ACTION_UNITS,
    EXPRESSIONS,
    au_vector,
    expression_aus,
    render,
    sample_identities,
    seeded_generator,
)


def to_bytes(images: Tensor) -> np.ndarray:
    """Turn (B, 3, S, S) in [0, 1] into (B, S, S, 3) uint8."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def save_sheet(path: Path, rows: list[np.ndarray]) -> None:
    """Save rows of equal tiles (n, S, S, 3) as one PNG of few colours, so that it stays small."""
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(sheet).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    picture.save(path, optimize=True)


def expression_rows(size: int, seed: int) -> Iterator[np.ndarray]:
    """Eight people, each with the seven expressions at full intensity."""
    for person in range(8):
        face = sample_identities(1, seed, start=person).take(torch.zeros(7, dtype=torch.long))
        generator = seeded_generator("sheet", seed, person)
        aus = torch.stack([expression_aus(name, 0.9, generator) for name in EXPRESSIONS[:7]])
        yield to_bytes(render(face, aus, size=size, quality="fine").image)


def action_unit_rows(size: int, seed: int, what: str = "image") -> Iterator[np.ndarray]:
    """The resting face and every action unit alone, seven tiles a row, two people."""
    vectors = [au_vector({})] + [au_vector({au: 1.0}) for au in ACTION_UNITS]
    vectors += [au_vector({14: (0.0, 1.0)}), *[au_vector({})] * 5]
    for person in range(2):
        face = sample_identities(1, seed, start=person).take(torch.zeros(7, dtype=torch.long))
        for first in range(0, 28, 7):
            aus = torch.stack(vectors[first : first + 7])
            shown = render(face, aus, size=size, quality="fine", truth=what == "mask")
            image = shown.image
            if what == "mask":
                image = image * (0.25 + 0.75 * shown.mask[:, None])
            yield to_bytes(image)


def pose_rows(size: int, seed: int) -> Iterator[np.ndarray]:
    """Turned heads with their 68 landmarks."""
    yaw = torch.tensor([-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0])
    pitch = torch.tensor([0.0, 0.2, -0.2, 0.0, 0.2, -0.2, 0.0])
    pose = torch.stack([yaw, pitch, torch.zeros(7)], 1)
    for person, name in enumerate(("neutral", "happiness", "surprise", "disgust")):
        face = sample_identities(1, seed, start=20 + person).take(torch.zeros(7, dtype=torch.long))
        aus = expression_aus(name, 0.9, seeded_generator(name)).expand(7, -1, -1)
        shown = render(face, aus, size=size, pose=pose, quality="fine", truth=True)
        tiles = to_bytes(shown.image)
        for tile, points in zip(tiles, shown.landmarks, strict=True):
            for x, y in points.tolist():
                cv2.circle(tile, (round(x), round(y)), 1, (60, 255, 60), -1)
        yield tiles


def save_sheets(folder: Path, size: int, seed: int) -> None:
    """Save all contact sheets."""
    save_sheet(folder / "expressions.png", list(expression_rows(size, seed)))
    save_sheet(folder / "action_units.png", list(action_unit_rows(size, seed)))
    save_sheet(folder / "masks.png", list(action_unit_rows(size // 2, seed, "mask")))
    save_sheet(folder / "poses.png", list(pose_rows(size, seed)))
