"""From plans to pixels: clips are joined, rendered in batches of frames, and spoilt.

    scene = make_scene("in_the_wild", "fear", 30, difficulty, clip, subject, people)
    frames, truth = film([scene], size=64)

A frame's pixels depend on its scene only, never on the frames that share its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dferlib.synthface import EXPRESSIONS, Identity, expression_aus, render
from dferlib.synthface.camera import WHOLE, in_picture
from dferlib.synthface.difficulty import Difficulty
from dferlib.synthface.landmarks import locate
from dferlib.synthface.nuisance import (
    STRANGER,
    SUBJECT,
    Nuisances,
    draw_background,
    join_nuisances,
    plan_nuisances,
    spoil,
)
from dferlib.synthface.render import make_still
from dferlib.synthface.streams import number, stream
from dferlib.synthface.texture import Still, join_stills
from dferlib.synthface.timecourse import ClipPlan, join_plans, plan_clip

SEQUENCE_VERSION = "3"  # raise when the plan or the nuisances of a clip change
STANDARD_FROM = 100  # pixels; smaller images do not show what "standard" costs
BATCH = {"cpu": 24, "cuda": 256}  # frames rendered at once
MASK_SIZE = 16
LANDMARKS = 68


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip, ready to render: who is seen, how the face moves, what spoils the picture.

    `people` holds two faces: the subject, and a stranger who may show up in irrelevant frames.
    `windows` (T, 4) are the parts of the camera's picture that are drawn, see `camera`.
    """

    plan: ClipPlan
    nuisances: Nuisances
    people: Identity
    key: tuple
    background: float
    windows: Tensor

    def take(self, frames: Tensor | Sequence[int] | slice) -> "Scene":
        """Choose frames; those that are left are the same pictures as in the whole clip."""
        return replace(
            self,
            plan=self.plan.take(frames),
            nuisances=self.nuisances.take(frames),
            windows=self.windows[frames],
        )

    def landmarks(self, follow: float = 1.0) -> Tensor:
        """Places (T, 68, 2) of the subject's landmarks in the picture, NaN where it is not seen.

        `follow` is the share of the action units that they follow; with 0 the face is at rest.
        """
        subject = self.people.take(torch.zeros(len(self.plan), dtype=torch.long))
        marks = locate(subject, follow * self.plan.aus, self.plan.pose, self.plan.camera)
        away = (self.nuisances.shows != SUBJECT)[:, None, None]
        return marks.masked_fill(away, torch.nan)


def make_scene(
    course: str,
    label: str,
    n_frames: int,
    difficulty: Difficulty,
    key: tuple,
    subject: tuple,
    people: Identity,
    fps: float = 25,
) -> Scene:
    """Plan a clip and its nuisances; names as in `plan_clip`, people as in `Scene`."""
    plan = plan_clip(course, label, n_frames, difficulty, key, subject, fps)
    nuisances = plan_nuisances(n_frames, plan.apex, difficulty, key, people.skin[0])
    whole = torch.tensor(WHOLE).repeat(n_frames, 1)
    return Scene(plan, nuisances, people, key, difficulty.background, whole)


def join_identities(parts: Sequence[Identity]) -> Identity:
    """Put several batches of faces behind each other."""
    names = [field.name for field in fields(Identity)]
    return Identity(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def film(
    scenes: Sequence[Scene],
    size: int,
    device: str | torch.device = "cpu",
    quality: str | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Render all frames of the scenes, one scene after the other.

    Returns frames, uint8 (N, size, size, 3) RGB, and their truth: "aus" float16 (N, A, 2),
    "landmarks" float32 (N, 68, 2) in pixels, "mask" uint8 (N, 16, 16) of the regions that move. The
    truth is about the subject: where a frame shows something else, AUs and mask are 0 and landmarks
    NaN. `quality` is the renderer's; by default "fast" below 100 pixels, else "standard".
    """
    quality = quality or ("fast" if size < STANDARD_FROM else "standard")
    step = BATCH.get(torch.device(device).type, BATCH["cpu"])
    reel = _Reel.of(scenes, size, torch.device(device))
    still = reel.still(quality, step)
    batches = [
        reel.shoot(slice(start, start + step), size, quality, still)
        for start in range(0, len(reel.plan), step)
    ]
    frames, aus, landmarks, mask = (
        np.concatenate([part.cpu().numpy() for part in parts])
        for parts in zip(*batches, strict=True)
    )
    return frames, {"aus": aus, "landmarks": landmarks, "mask": mask}


@dataclass(frozen=True, eq=False)
class _Reel:
    """The frames of many scenes in one row, with who (`face`) and where (`scene`) for each.

    `people` are those that are seen, each once, however many scenes show them.
    """

    plan: ClipPlan
    nuisances: Nuisances
    people: Identity
    backgrounds: Tensor
    windows: Tensor
    face: Tensor
    scene: Tensor

    @classmethod
    def of(cls, scenes: Sequence[Scene], size: int, device: torch.device) -> "_Reel":
        nuisances = join_nuisances([scene.nuisances for scene in scenes])
        lengths = torch.tensor([len(scene.plan) for scene in scenes])
        number_of = torch.arange(len(scenes)).repeat_interleave(lengths)
        # A subject's clips share one object, so its faces are told apart without comparing traits.
        known = {id(scene.people): scene.people for scene in scenes}
        place = {key: 2 * row for row, key in enumerate(known)}
        first = torch.tensor([place[id(scene.people)] for scene in scenes])
        face = first[number_of] + (nuisances.shows == STRANGER).long()
        seen, face = torch.unique(face, return_inverse=True)
        backgrounds = [draw_background(size, scene.background, scene.key) for scene in scenes]
        return cls(
            plan=join_plans([_with_stranger(scene) for scene in scenes]).to(device),
            nuisances=nuisances.to(device),
            people=join_identities(list(known.values())).take(seen).to(device),
            backgrounds=torch.stack(backgrounds).to(device),
            windows=torch.cat([scene.windows for scene in scenes]).to(device),
            face=face.to(device),
            scene=number_of.to(device),
        )

    @torch.no_grad()
    def still(self, quality: str, step: int) -> Still:
        """What each of the people keeps in all frames, made in batches."""
        groups = [self.people.take(slice(k, k + step)) for k in range(0, len(self.people), step)]
        return join_stills([make_still(group, quality) for group in groups])

    @torch.no_grad()
    def shoot(self, part: slice, size: int, quality: str, still: Still) -> tuple[Tensor, ...]:
        """Frames and truth of some of the frames, as `film` returns them but as tensors."""
        plan, nuisances = self.plan.take(part), self.nuisances.take(part)
        windows, face = self.windows[part], self.face[part]
        background = cut_background(self.backgrounds[self.scene[part]], windows)
        rendered = render(
            self.people.take(face),
            plan.aus,
            size=size,
            pose=plan.pose,
            camera=plan.camera,
            light=plan.light,
            gaze=plan.gaze,
            background=background,
            window=windows,
            quality=quality,
            truth=True,
            still=still.take(face),
        )
        image = spoil(rendered.image, background, nuisances)
        pixels = (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        away = (nuisances.shows != SUBJECT)[:, None, None]
        mask = F.adaptive_avg_pool2d(rendered.mask[:, None], MASK_SIZE)[:, 0]
        mask = (mask.clamp(0, 1) * 255).round().to(torch.uint8)
        return (
            pixels,
            plan.aus.masked_fill(away, 0).half(),
            rendered.landmarks.masked_fill(away, torch.nan),
            mask.masked_fill(away, 0),
        )


def cut_background(pictures: Tensor, windows: Tensor) -> Tensor:
    """What windows (B, 4) show of pictures (B, 3, S, S), whose edge is repeated beyond them."""
    size = pictures.shape[-1]
    places = torch.stack(in_picture(windows, size), -1)
    return F.grid_sample(pictures, 2 * places - 1, align_corners=False, padding_mode="border")


def _with_stranger(scene: Scene) -> ClipPlan:
    """The scene's plan, with a stranger's still expression where the stranger is seen."""
    seen = scene.nuisances.shows == STRANGER
    if not bool(seen.any()):
        return scene.plan
    generator = stream(*scene.key, "stranger")
    label = EXPRESSIONS[int(number(generator) * len(EXPRESSIONS))]
    aus = expression_aus(label, number(generator, 0.3, 0.9), generator)
    return scene.plan.with_aus(torch.where(seen[:, None, None], aus, scene.plan.aus))
