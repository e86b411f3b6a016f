"""Where a stand-in's frames are cut out of the camera's picture: by the rule of the real readers.

A reader finds the face in each frame, takes one box for the clip or a smoothed one for each frame,
turns it as the paper aligns and enlarges it by the paper's margin (see `faces.options`). Here the
known landmarks stand in the detector's place, with a detector's error on top. Nothing is rendered
that the cut would throw away: the windows go to the renderer, which draws them alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dferlib.datasets.faces.geometry import eye_centres, tight_squares
from dferlib.datasets.faces.options import FaceOptions
from dferlib.datasets.faces.tracking import follow, follow_turn, smooth, turn_of, turns_to_undo
from dferlib.synthface.difficulty import Difficulty
from dferlib.synthface.scene import Scene
from dferlib.synthface.streams import stream

# s.d. of a Haar box against the landmarks' box, centre x, y and log side in sides, between faces
# (`results/faces/crops.json`), and the share of it that changes from frame to frame.
DETECTOR_ERROR = (0.024, 0.033, 0.076)
FRAME_SHARE = 0.3
FOLLOW = 0.5  # a detector's box hangs on eyes and nose: it follows brows and jaw by halves


def describe_cut(faces: FaceOptions) -> str:
    """What of the options decides a stand-in's pixels: there is no detector to choose."""
    return f"box={faces.box} margin={faces.margin:g} align={faces.align}"


def cut_scene(scene: Scene, faces: FaceOptions, difficulty: Difficulty, fps: float) -> Scene:
    """The scene with the windows (T, 4) that `faces` cut out of its pictures.

    Frames in which the subject is not seen follow those that show it. The
    detector's error grows with the difficulty's `jitter`.
    """
    marks = scene.landmarks(FOLLOW).double().numpy()
    turn = turn_of(eye_centres(marks))
    angles = turns_to_undo(follow_turn(turn), faces)
    raw = np.concatenate([tight_squares(marks, angles), turn], axis=1)
    raw[:, :3] = _detected(raw[:, :3], difficulty.jitter, scene.key)
    if faces.box == "clip":
        places = np.append(np.nanmedian(raw[:, :3], axis=0), 0.0)[None].repeat(len(raw), axis=0)
    else:
        places = smooth(follow(raw), fps)
    angles = turns_to_undo(places[:, 3], faces)
    sides = places[:, 2] * (1 + faces.margin)
    windows = np.stack([places[:, 0], places[:, 1], sides, angles], axis=1)
    return replace(scene, windows=torch.tensor(windows, dtype=torch.float32))


def _detected(squares: np.ndarray, jitter: float, key: tuple) -> np.ndarray:
    """Squares (T, 3) as a detector would see them: a face's own error, and a frame's."""
    generator = stream(*key, "detector")
    face = torch.randn(1, 3, generator=generator)
    frame = torch.randn(len(squares), 3, generator=generator)
    draws = (face + FRAME_SHARE * frame).clamp(-2, 2).double().numpy()
    error = jitter * np.array(DETECTOR_ERROR) * draws
    side = squares[:, 2:]
    return np.concatenate([squares[:, :2] + error[:, :2] * side, side * np.exp(error[:, 2:])], 1)
