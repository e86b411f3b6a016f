"""Seven graded ways to spoil a clip, to see which model holds out.

All but pose work on pixels, uint8 clips (B, T, H, W, 3), whole batches at once; grade 0 changes
nothing, 5 is the worst, and a clip is never changed in place. Chance (where a square lies, which
frames are lost) is drawn from the seed and the clip's place, so that a worse grade spoils what the
milder one did and more. Grades, from 1 to 5:

| name        | what                                                  | grades                     |
|-------------|-------------------------------------------------------|----------------------------|
| light       | pixels times a factor                                 | .75, .55, .4, .25, .12     |
| blur        | Gaussian, s.d. as a share of the frame's side         | .008, .016, .03, .05, .08  |
| pose        | the head turned sideways, degrees (procedural faces)  | 10, 20, 30, 40, 50         |
| occlusion   | a grey square over all frames, share of the side      | .2, .3, .4, .5, .65        |
| compression | JPEG frame by frame, quality                          | 50, 25, 12, 6, 2           |
| dropped     | frames lost, each shown as the last one that arrived  | 1/6, 2/6, 3/6, 4/6, 5/6    |
| shuffled    | frames that swap places among themselves              | 2/6, 3/6, 4/6, 5/6, 6/6    |

After D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019, whose five grades these are like; the grades themselves are this
project's own, fixed before any model was tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import radians

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg

from dferlib.datasets.standins.framing import cut_scene
from dferlib.datasets.standins.plans import StandInPlan
from dferlib.names import unknown_name
from dferlib.synthface.scene import film

VERSION = "1"  # raise when a corruption gives other pixels
GRADES = (1, 2, 3, 4, 5)
LIGHT = (0.75, 0.55, 0.4, 0.25, 0.12)
BLUR = (0.008, 0.016, 0.03, 0.05, 0.08)
POSE = (10, 20, 30, 40, 50)
OCCLUSION = (0.2, 0.3, 0.4, 0.5, 0.65)
QUALITY = (50, 25, 12, 6, 2)
SIXTHS = 6  # shares of frames are counted in these
GREY = 128


def corrupt(clips: Tensor, name: str, grade: int, seed: int = 0) -> Tensor:
    """Return clips uint8 (B, T, H, W, 3) spoilt by a corruption of pixels at a grade, 0 to 5.

    The order of the clips decides what chance does to each of them. ValueError for an unknown name
    or grade and for clips of another form; pose is made by `turn_heads`, not from pixels.
    """
    if name not in PIXELS:
        raise ValueError(unknown_name("corruption of pixels", name, PIXELS))
    if grade not in (0, *GRADES):
        raise ValueError(f"grade is {grade!r}; valid: 0 to {GRADES[-1]}")
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise ValueError(
            f"clips are {clips.dtype} {tuple(clips.shape)}; uint8 (B, T, H, W, 3) needed"
        )
    return PIXELS[name](clips, grade, seed) if grade else clips.clone()


def turn_heads(
    plan: StandInPlan, rows: Sequence[int], frames: np.ndarray, grade: int, size: int
) -> np.ndarray:
    """Render frames of procedural clips anew with the head turned sideways; the box follows it.

    `rows` (B,) are rows of the plan's manifest, `frames` (B, T) frame numbers within each clip.
    Returns uint8 (B, T, size, size, 3); grade 0 gives the frames of the store again. Each clip
    turns to one side, every other clip to the other. ValueError for an unknown grade.
    """
    if grade not in (0, *GRADES):
        raise ValueError(f"grade is {grade!r}; valid: 0 to {GRADES[-1]}")
    scenes = []
    for row, chosen in zip(rows, frames, strict=True):
        scene = plan.scene(int(row))
        if grade:
            side = 1 if int(row) % 2 else -1
            turn = torch.tensor([side * radians(POSE[grade - 1]), 0.0, 0.0])
            scene = replace(scene, plan=replace(scene.plan, pose=scene.plan.pose + turn))
            fps = float(plan.manifest["fps"].iloc[int(row)])
            scene = cut_scene(scene, plan.cut, plan.difficulty, fps)
        scenes.append(scene.take(torch.as_tensor(np.asarray(chosen))))
    pixels, _ = film(scenes, size)
    return pixels.reshape(len(scenes), -1, *pixels.shape[1:])


def _light(clips: Tensor, grade: int, seed: int) -> Tensor:
    return (clips.float() * LIGHT[grade - 1]).round().to(torch.uint8)


def _blur(clips: Tensor, grade: int, seed: int) -> Tensor:
    """Separable Gaussian over rows and columns, the frame mirrored at its edge."""
    deviation = BLUR[grade - 1] * clips.shape[2]
    reach = min(max(1, round(3 * deviation)), min(clips.shape[2:4]) - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    kernel = (kernel / kernel.sum()).to(clips.device)
    pixels = clips.flatten(0, 1).movedim(-1, 1).float()  # (B T, 3, H, W)
    pixels = F.pad(pixels, (reach,) * 4, mode="reflect")
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        weight = kernel.view(shape).expand(3, 1, *kernel.view(shape).shape[2:])
        pixels = F.conv2d(pixels, weight, groups=3)
    return pixels.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).reshape(clips.shape)


def _occlude(clips: Tensor, grade: int, seed: int) -> Tensor:
    """A grey square whose centre stays for all grades, as far as the frame has room for it."""
    count, _, height, width, _ = clips.shape
    draws = np.random.default_rng([seed, 1]).uniform(0.3, 0.7, (count, 2))
    centre = torch.as_tensor(draws, dtype=torch.float32, device=clips.device)
    half = OCCLUSION[grade - 1] / 2
    rows = (torch.arange(height, device=clips.device) + 0.5) / height
    columns = (torch.arange(width, device=clips.device) + 0.5) / width
    inside = ((rows - centre[:, :1]).abs() < half)[:, :, None]
    inside = inside & ((columns - centre[:, 1:]).abs() < half)[:, None, :]
    return clips.masked_fill(inside[:, None, :, :, None], GREY)


def _compress(clips: Tensor, grade: int, seed: int) -> Tensor:
    frames = list(clips.flatten(0, 1).movedim(-1, 1).contiguous().cpu())
    decoded = decode_jpeg(encode_jpeg(frames, quality=QUALITY[grade - 1]))
    return torch.stack(decoded).movedim(1, -1).reshape(clips.shape).to(clips.device)


def _drop(clips: Tensor, grade: int, seed: int) -> Tensor:
    """The first frame always arrives; of a lost one the last that arrived is shown."""
    count, length = clips.shape[:2]
    lost = round(length * grade / SIXTHS)
    order = _order(count, length - 1, seed, 2) + 1
    arrived = np.tile(np.arange(length), (count, 1))
    np.put_along_axis(arrived, order[:, : min(lost, length - 1)], 0, axis=1)
    return _pick(clips, np.maximum.accumulate(arrived, axis=1))


def _shuffle(clips: Tensor, grade: int, seed: int) -> Tensor:
    """Some places pass their frames round in a circle, so that each of them gets another one."""
    count, length = clips.shape[:2]
    moved = _order(count, length, seed, 3)[:, : round(length * (grade + 1) / SIXTHS)]
    source = np.tile(np.arange(length), (count, 1))
    np.put_along_axis(source, moved, np.roll(moved, 1, axis=1), axis=1)
    return _pick(clips, source)


def _order(count: int, length: int, seed: int, stream: int) -> np.ndarray:
    """A random order of the places 0 .. length - 1 of each clip, (count, length)."""
    return np.random.default_rng([seed, stream]).random((count, length)).argsort(axis=1)


def _pick(clips: Tensor, frames: np.ndarray) -> Tensor:
    places = torch.as_tensor(frames, device=clips.device)
    return clips[torch.arange(len(clips), device=clips.device)[:, None], places]


PIXELS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "light": _light,
    "blur": _blur,
    "occlusion": _occlude,
    "compression": _compress,
    "dropped": _drop,
    "shuffled": _shuffle,
}
NAMES = ("light", "blur", "pose", "occlusion", "compression", "dropped", "shuffled")
OF_TIME = ("dropped", "shuffled")
