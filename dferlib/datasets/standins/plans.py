"""Procedural stand-ins: the subjects, classes, counts, courses and lengths of the real sets.

| name | clips | course | length in frames |
|---|---|---|---|
| ckplus | 327 of 118 subjects, 7 classes | neutral to peak | 10-60, mean 18 |
| oulu | 480 of 80 subjects, 6 classes | neutral to peak | 9-72, median 21, 10,379 in all |
| mmi | 208 of 30 subjects, 6 classes | neutral, peak, neutral | 40-105 (the real ones: unknown) |
| bu4dfe | 606 of 101 subjects, 6 classes | neutral, peak, neutral | about 4 s at 25 fps |
| afew | 773 + 383, 7 classes | in the wild | 16-151, median 50 |
| dfew | 11,697 in five folds, 7 classes | in the wild | 12-847, median 70 |
| pretraining | 600 people in stills, 160 in clips, 8 classes | neutral to peak | 1 or 7 |

No frame is rendered that no sampler can reach: CEFLNet brings every clip to 105 frames, by
repeating frames or by cutting out the middle, and the other papers take fewer. So longer clips are
made as their middle 105.

Nobody of the pre-training set is in any stand-in, and no two stand-ins share a subject.

Faces are cut out as the readers of the real sets cut them; see `framing`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from statistics import NormalDist

import numpy as np
import pandas as pd
import torch

from dferlib.datasets.faces.options import FaceOptions, parse_faces
from dferlib.datasets.manifest import (
    DATASETS,
    PRETRAINING,
    DatasetError,
    make_manifest,
    manifest_digest,
)
from dferlib.datasets.standins import rosters
from dferlib.datasets.standins.framing import cut_scene, describe_cut
from dferlib.names import unknown_name
from dferlib.synthface import EXPRESSIONS, FACE_VERSION, Identity, sample_identities
from dferlib.synthface.conditions import under_condition
from dferlib.synthface.courses import onset_and_apex
from dferlib.synthface.difficulty import Difficulty, find_difficulty
from dferlib.synthface.scene import (
    SEQUENCE_VERSION,
    Scene,
    film,
    join_identities,
    make_scene,
)

MOST_FRAMES = 105  # of a clip; see the module
MIN_SUBJECTS = 5  # a fraction of a laboratory set keeps at least so many, for five folds
STRANGERS = 500_000  # added to a stand-in's seed: faces in irrelevant frames
NUM_STRANGERS = 16


@dataclass(frozen=True)
class Lengths:
    """Law of the clips' lengths: quantiles of a log-normal, cut at the ends; `total` is exact."""

    least: int
    median: float
    most: int
    spread: float
    total: int | None = None

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Lengths of `count` clips in random order."""
        normal = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
        lengths = self.median * np.exp(self.spread * np.array(normal))
        lengths = np.clip(lengths.round().astype(int), self.least, self.most)
        lengths[0], lengths[-1] = self.least, self.most
        if self.total is not None:
            self._reach_total(lengths)
        return rng.permutation(lengths)

    def _reach_total(self, lengths: np.ndarray) -> None:
        """Change clips above the median by one frame each until the sum is right."""
        middle = len(lengths) * 3 // 5
        rank = middle
        while (miss := self.total - int(lengths.sum())) != 0:
            lengths[rank] += np.sign(miss)
            rank = rank + 1 if rank + 2 < len(lengths) else middle


@dataclass(frozen=True)
class StandIn:
    """What a stand-in has; `wild` ones are thinned clip by clip, the others subject by subject."""

    seed: int
    classes: tuple[str, ...]
    roster: Callable[[np.random.Generator], pd.DataFrame]
    course: str
    lengths: Lengths
    difficulty: str
    fps: float = 25.0
    wild: bool = False

    @property
    def cut(self) -> str:
        """How the faces are cut out where a paper does not say, as the real set's reader does."""
        return "box=frame" if self.wild else "box=clip"


STANDINS: dict[str, StandIn] = {
    # 10,708 images in 593 sequences give the mean length
    "ckplus": StandIn(
        seed=1001,
        classes=DATASETS["ckplus"],
        roster=rosters.ckplus_roster,
        course="neutral_to_peak",
        lengths=Lengths(10, 17, 60, 0.35),
        difficulty="middle",
        fps=30.0,
    ),
    "oulu": StandIn(
        seed=1002,
        classes=DATASETS["oulu"],
        roster=rosters.oulu_roster,
        course="neutral_to_peak",
        lengths=Lengths(9, 21, 72, 0.24, total=10_379),
        difficulty="middle",
    ),
    "mmi": StandIn(
        seed=1003,
        classes=DATASETS["mmi"],
        roster=rosters.mmi_roster,
        course="neutral_peak_neutral",
        lengths=Lengths(40, 70, 105, 0.25),
        difficulty="middle",
    ),
    "afew": StandIn(
        seed=1004,
        classes=DATASETS["afew"],
        roster=rosters.afew_roster,
        course="in_the_wild",
        lengths=Lengths(16, 50, 151, 0.45),
        difficulty="wild",
        wild=True,
    ),
    "dfew": StandIn(
        seed=1005,
        classes=DATASETS["dfew"],
        roster=rosters.dfew_roster,
        course="in_the_wild",
        lengths=Lengths(12, 70, 847, 0.44),
        difficulty="wild",
        wild=True,
    ),
    "bu4dfe": StandIn(
        seed=1006,
        classes=DATASETS["bu4dfe"],
        roster=rosters.bu4dfe_roster,
        course="neutral_peak_neutral",
        lengths=Lengths(80, 98, 125, 0.07),
        difficulty="middle",
    ),
    PRETRAINING: StandIn(
        seed=9001,
        classes=EXPRESSIONS,
        roster=rosters.pretraining_roster,
        course="neutral_to_peak",
        lengths=Lengths(7, 7, 7, 0.0),
        difficulty="pretraining",
    ),
}


@dataclass(frozen=True, eq=False)
class StandInPlan:
    """A stand-in, or a fraction of it, ready to render. Make one with `plan_standin`.

    `manifest` is a dataset's manifest; `identities` holds the identity number of each of its rows.
    `cut` says how the faces are cut out of the camera's pictures.
    """

    name: str
    fraction: float
    difficulty: Difficulty
    manifest: pd.DataFrame
    identities: np.ndarray
    cut: FaceOptions

    @property
    def spec(self) -> StandIn:
        """What the whole stand-in has."""
        return STANDINS[self.name]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class order."""
        return self.spec.classes

    def fingerprint(self) -> dict:
        """All that decides the pixels, as JSON: for the key of a cache."""
        return {
            "name": self.name,
            "fraction": self.fraction,
            "seed": self.spec.seed,
            "course": self.spec.course,
            "difficulty": asdict(self.difficulty),
            "cut": describe_cut(self.cut),
            "face_version": FACE_VERSION,
            "sequence_version": SEQUENCE_VERSION,
            "clips": manifest_digest(self.manifest),
        }

    def scene(self, row: int) -> Scene:
        """The clip in this row of the manifest as a scene, not yet rendered.

        It depends on the stand-in's seed, the clip's id, the difficulty and the cut, not on the
        fraction.
        """
        return self._cut(self._make_scene(row))

    def _cut(self, scene: Scene) -> Scene:
        return cut_scene(scene, self.cut, self.difficulty, self.spec.fps)

    def _make_scene(self, row: int) -> Scene:
        clip, seed = self.manifest.iloc[row], self.spec.seed
        return make_scene(
            self.spec.course,
            clip["label"],
            int(clip["n_frames"]),
            self.difficulty,
            (self.name, seed, clip["clip_id"]),
            (self.name, seed, clip["subject"]),
            _people(seed, int(self.identities[row])),
            float(clip["fps"]),
        )

    def render_clips(
        self,
        rows: Sequence[int],
        size: int,
        device: str | torch.device = "cpu",
        quality: str | None = None,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Render the clips in these rows of the manifest, one after the other; see `film`.

        Returns frames uint8 (N, size, size, 3) RGB and their truth. `quality` is "fast" below
        100 pixels and "standard" from there on, unless it is given.
        """
        return film([self.scene(row) for row in rows], size, device, quality)

    def scene_under(self, row: int, condition: str) -> Scene:
        """The clip in this row under one of `synthface.conditions.CONDITIONS`, cut out anew."""
        return self._cut(under_condition(self._make_scene(row), condition))

    def render_condition(
        self, rows: Sequence[int], frames: np.ndarray, condition: str, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render some frames of clips anew under one of `synthface.conditions.CONDITIONS`.

        `rows` (N,) are rows of the manifest, `frames` (N, T) frame numbers within each clip.
        Returns frames uint8 (N, T, size, size, 3) and the masks of what moves, uint8 (N, T, 16,
        16). The same rows and frames give the same people doing the same under every condition.
        """
        scenes = [
            self.scene_under(row, condition).take(torch.as_tensor(chosen))
            for row, chosen in zip(rows, frames, strict=True)
        ]
        pixels, truth = film(scenes, size)
        shape = (len(scenes), -1)
        return pixels.reshape(*shape, *pixels.shape[1:]), truth["mask"].reshape(
            *shape, *truth["mask"].shape[1:]
        )


@lru_cache(maxsize=32)  # a subject's clips follow each other
def _people(seed: int, face: int) -> Identity:
    """The subject with this number, and the stranger who may show up in its clips."""
    stranger = _strangers(seed).take(torch.tensor([face % NUM_STRANGERS]))
    return join_identities([sample_identities(1, seed, start=face), stranger])


@lru_cache(maxsize=len(STANDINS))
def _strangers(seed: int) -> Identity:
    return sample_identities(NUM_STRANGERS, seed + STRANGERS)


def plan_standin(
    name: str,
    fraction: float = 1.0,
    difficulty: Difficulty | str | None = None,
    faces: str = "",
) -> StandInPlan:
    """Plan a stand-in: its manifest is made, no pixel is rendered.

    `fraction` in (0, 1] keeps that share of the subjects of a laboratory set (at least ten), or of
    the clips of every class and split of a wild one; what is left looks exactly as in the whole.
    `difficulty` is a `Difficulty`, the name of a preset, or None for the stand-in's own. `faces`
    are options of `faces.options` over the stand-in's own: how a paper cuts faces out.
    DatasetError for an unknown name or a fraction that makes no sense.
    """
    if name not in STANDINS:
        raise DatasetError(unknown_name("stand-in", name, STANDINS))
    if isinstance(fraction, bool) or not 0 < fraction <= 1:
        raise DatasetError(f"fraction is {fraction!r}, allowed are numbers above 0 and up to 1")
    spec = STANDINS[name]
    try:
        chosen = find_difficulty(spec.difficulty if difficulty is None else difficulty)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    roster = full_roster(name)
    if spec.wild:
        kept = rosters.keep_clips(roster, fraction, spec.seed)
    else:
        kept = rosters.keep_subjects(roster, fraction, MIN_SUBJECTS, spec.seed)
    roster = roster.iloc[kept].reset_index(drop=True)
    identities, cut = roster["face"].to_numpy(), parse_faces(faces, spec.cut)
    return StandInPlan(name, fraction, chosen, _manifest(name, roster), identities, cut)


@cache
def full_roster(name: str) -> pd.DataFrame:
    """Roster of the whole stand-in, with a column n_frames. Do not change it: it is kept."""
    spec = STANDINS[name]
    roster = spec.roster(np.random.default_rng([spec.seed, 1]))
    lengths = spec.lengths.draw(len(roster), np.random.default_rng([spec.seed, 2]))
    stills = roster["split"] == "still"
    return roster.assign(n_frames=np.where(stills, 1, np.minimum(lengths, MOST_FRAMES)))


def _manifest(name: str, roster: pd.DataFrame) -> pd.DataFrame:
    spec = STANDINS[name]
    rows = roster.drop(columns="face").to_dict("records")
    for row in rows:
        key = (name, spec.seed, row["clip_id"])
        row["onset"], row["apex"] = onset_and_apex(spec.course, row["label"], row["n_frames"], key)
        row["fps"] = spec.fps
    return make_manifest(rows, name, "synthetic")
