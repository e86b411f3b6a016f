"""Faces and clips for lessons: a few hundred procedural frames, rendered in seconds.

Small on purpose: what a lesson trains or counts must run on one core while a class waits. Numbers
from them show how a method behaves and say nothing about any dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from dferlib.datasets.batches import to_clips
from dferlib.synthface import au_vector, render, sample_identities
from dferlib.synthface.difficulty import Difficulty, find_difficulty
from dferlib.synthface.scene import film, make_scene

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")  # the six of Ekman
SEED = 20  # of the people in the lessons
FRAMES = 25  # of a clip, of which evenly spaced ones are rendered


@dataclass(frozen=True, eq=False)
class Clips:
    """N clips with all that is known about them.

    `frames` uint8 (N, T, S, S, 3); `labels` (N,) places in `classes`; `subjects` (N,) numbers;
    `masks` (N, T, 16, 16) in 0 to 1, what moves; `aus` (N, T, A, 2).
    """

    frames: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray
    masks: np.ndarray
    aus: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def tensor(self, rows: np.ndarray | slice = slice(None)) -> Tensor:
        """Return normalised clips (N, 3, T, S, S) of some rows, as every model here takes them."""
        return to_clips(self.frames[rows], self.frames.shape[2])

    def targets(self, rows: np.ndarray | slice = slice(None)) -> Tensor:
        """Return the classes (N,) of some rows."""
        return torch.from_numpy(self.labels[rows])


def draw_face(
    aus: Mapping[int, float | tuple[float, float]] | None = None,
    *,
    person: int = 0,
    size: int = 128,
    yaw: float = 0.0,
) -> np.ndarray:
    """Draw a person with these action units, {AU: strength}; uint8 (size, size, 3).

    A pair of strengths is for the viewer's left and right. `yaw` turns the head, in radians.
    ValueError for an action unit that is not modelled.
    """
    who = sample_identities(1, SEED, start=2 * person)
    vector = au_vector(dict(aus or {}))[None]
    pose = torch.tensor([[yaw, 0.0, 0.0]])
    quality = "fast" if size < 100 else "standard"
    image = render(who, vector, size=size, pose=pose, quality=quality).image
    return (255 * image[0].permute(1, 2, 0)).round().to(torch.uint8).numpy()


@cache
def film_clips(
    subjects: int = 10,
    *,
    takes: int = 1,
    frames: int | tuple[int, ...] = 5,
    size: int = 32,
    difficulty: str | Difficulty = "easy",
    course: str = "neutral_to_peak",
    classes: Sequence[str] = CLASSES,
) -> Clips:
    """Film every person with every expression, `takes` times, each clip in `frames` frames.

    They lie evenly from the first to the last of 25, or are those that are named; one frame is the
    last, the peak of the course "neutral_to_peak". About 10 ms a frame
    of 32 pixels. The same arguments give the same pixels.
    """
    setting = find_difficulty(difficulty)
    if isinstance(frames, int):
        even = np.linspace(0, FRAMES - 1, frames) if frames > 1 else np.array([FRAMES - 1])
        frames = tuple(even.round().astype(int).tolist())
    rows, scenes = [], []
    for subject in range(subjects):
        people = sample_identities(2, SEED, start=2 * subject)
        for label, name in enumerate(classes):
            for take in range(takes):
                key = ("lesson", subject, name, take)
                scene = make_scene(course, name, FRAMES, setting, key, ("lesson", subject), people)
                scenes.append(scene.take(torch.tensor(frames)))
                rows.append((label, subject))
    pixels, truth = film(scenes, size)
    shape = (len(scenes), len(frames))
    labels, owners = np.array(rows).T
    masks = truth["mask"].reshape(*shape, *truth["mask"].shape[1:]) / 255
    aus = truth["aus"].astype(np.float32).reshape(*shape, *truth["aus"].shape[1:])
    pixels = pixels.reshape(*shape, size, size, 3)
    return Clips(pixels, labels, owners, masks.astype(np.float32), aus, tuple(classes))
