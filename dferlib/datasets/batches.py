"""From the frame store to batches of clips on the device.

Everything that chance decides about a clip in an epoch - which frames, which crop, mirrored or not
- is drawn for the whole data set at once from (seed, epoch). So a clip's draw does not depend on
the batch it falls into, on the fold, on the number of workers, or on whether the run was
interrupted; and no step does Python work per frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dferlib.datasets import samplers
from dferlib.datasets.pixels import (
    Normalisation,
    index_crops,
    normalise,
    read_clips,
    read_crops,
)
from dferlib.datasets.residence import frames_on, one_ahead, send
from dferlib.datasets.store import FrameStore

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# what initial weights were trained on
NORMALISATIONS = {
    "imagenet": Normalisation(IMAGENET_MEAN, IMAGENET_STD),
    "unit": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # pixels / 255
    # O. M. Parkhi, A. Vedaldi, A. Zisserman, BMVC 2015: pixels in 0..255 minus the mean face
    "vggface": Normalisation(
        tuple(v / 255 for v in (129.1863, 104.7624, 93.5940)), (1 / 255,) * 3, True
    ),
}
CROPS = ("five", "random", "none")
PEAKS = ("annotated", "last", "middle")
# datasets whose clips come back to neutral: where nobody annotated the peak, the last frame is none
THERE_AND_BACK = ("mmi", "bu4dfe")


@dataclass(frozen=True)
class Draw:
    """What is decided for every clip of the store.

    Frame rows (N, T), those that are no whole numbers lie between two frames; the crop's corner
    (N, 2) as top and left pixel; mirrored or not (N,). `lengths` (N,) are there where clips have
    different numbers of frames: what follows in `frames` is padding, the last frame repeated.
    """

    frames: np.ndarray
    corner: np.ndarray
    mirror: np.ndarray
    lengths: np.ndarray | None = None


class Batch(NamedTuple):
    """Clips (B, 3, T, H, W), their classes (B,) and, where T includes padding, their lengths (B,).

    T is that of the longest clip of the batch. A model takes `model(clip, lengths)`.
    """

    clip: Tensor
    target: Tensor
    lengths: Tensor | None


@dataclass(frozen=True)
class ClipLoader:
    """Gathers clips of a store as normalised float batches (B, 3, T, input_size, input_size).

    In training `crop` is "five" (a corner or the centre), "random" (anywhere) or "none" (the
    centre), and `flip` mirrors every other clip; test clips are centred and not mirrored. `peak` is
    the frame that the sampler takes for the apex: the "annotated" one, the "last" or the "middle".
    Where nobody annotated it, "annotated" is the last frame, or the middle one of MMI and BU-4DFE,
    whose clips end as they began. `sampler_options` go to the sampler, `normalise` is one of
    NORMALISATIONS. Where the sampler returns whole clips, a batch holds as many as do not make it
    larger than `batch_size` clips of `num_frames`, and one at least.
    """

    store: FrameStore
    sampler: str
    num_frames: int
    input_size: int
    batch_size: int
    device: torch.device
    crop: str = "five"
    flip: bool = True
    peak: str = "annotated"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    normalise: str = "imagenet"

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", torch.device(self.device))  # a name will do
        for name, value, known in (
            ("crop", self.crop, CROPS),
            ("peak", self.peak, PEAKS),
            ("normalise", self.normalise, NORMALISATIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, allowed are {', '.join(known)}")
        if self.input_size > self.store.size:
            raise ValueError(
                f"input_size {self.input_size} is larger than the {self.store.size} px of the "
                f"frame store; open the store with size={self.input_size} or more"
            )
        if not callable(getattr(samplers, self.sampler, None)):
            raise ValueError(f"unknown sampler {self.sampler!r} in dferlib.datasets.samplers")
        try:
            self._sample(np.array([1]), np.array([-1]), None)
        except TypeError as error:
            raise ValueError(f"sampler_options do not fit {self.sampler!r}: {error}") from None

    def _sample(self, n_frames: np.ndarray, apex: np.ndarray, rng) -> np.ndarray:
        sample = getattr(samplers, self.sampler)
        return sample(n_frames, apex, self.num_frames, rng, **self.sampler_options)

    def draw(self, seed: int | None = None, epoch: int = 0) -> Draw:
        """Draw for all clips: augmented with a seed, the fixed test-time choice without."""
        clips = self.store.manifest
        rng = None if seed is None else np.random.default_rng([seed, epoch])
        frames = self._sample(clips["n_frames"].to_numpy(), self._apex(), rng)
        lengths = (frames >= 0).sum(1)
        frames = np.where(frames < 0, frames.max(1, keepdims=True), frames)
        frames = frames + clips["offset"].to_numpy()[:, None]
        mirror = np.zeros(len(clips), dtype=bool)
        corner = self._corners(rng, len(clips))
        if rng is not None and self.flip:
            mirror = rng.random(len(clips)) < 0.5
        padded = (lengths < frames.shape[1]).any()
        return Draw(frames, corner, mirror, lengths if padded else None)

    def _apex(self) -> np.ndarray:
        """Frame (N,) that counts as the peak of each clip; -1 is the last."""
        count = self.store.manifest["n_frames"].to_numpy()
        last, middle = np.full_like(count, -1), (count - 1) // 2
        if self.peak != "annotated":
            return last if self.peak == "last" else middle
        apex = self.store.manifest["apex"].to_numpy()
        return np.where(apex < 0, middle if self.store.dataset in THERE_AND_BACK else last, apex)

    def _corners(self, rng: np.random.Generator | None, count: int) -> np.ndarray:
        """Top and left pixel (N, 2) of each clip's crop."""
        room = self.store.size - self.input_size
        if rng is None or self.crop == "none":
            return np.full((count, 2), room // 2)
        if self.crop == "random":
            return rng.integers(0, room, (count, 2), endpoint=True)
        places = np.array([(0, 0), (0, room), (room, 0), (room, room), (room // 2, room // 2)])
        return places[rng.integers(0, 5, count)]

    def labels(self, clips: np.ndarray) -> np.ndarray:
        """Class index of the clips at these manifest rows, in the order of ``store.classes``."""
        return self._labels[clips]

    @cached_property
    def _labels(self) -> np.ndarray:
        order = {name: index for index, name in enumerate(self.store.classes)}
        return self.store.manifest["label"].map(order).to_numpy()

    def training(self, clips: np.ndarray, seed: int, epoch: int) -> Iterator[Batch]:
        """Augmented batches in the random order of (seed, epoch); the last one may be smaller."""
        order = np.random.default_rng([seed, epoch, 1]).permutation(np.sort(clips))
        yield from one_ahead(self._batches(order, self.draw(seed, epoch)), self.device)

    def testing(self, clips: np.ndarray) -> Iterator[Batch]:
        """Batches in the given order: fixed frames, centre crop, not mirrored."""
        yield from one_ahead(self._batches(np.asarray(clips), self.draw()), self.device)

    def gather(self, clips: np.ndarray, draw: Draw | None = None) -> Tensor:
        """The clips at these manifest rows as one normalised batch (B, 3, T, H, W).

        Clips of different lengths are padded by their last frames to the longest of them.
        """
        draw = draw or self.draw()
        rows = draw.frames[clips]
        if draw.lengths is not None:
            rows = rows[:, : draw.lengths[clips].max()]
        where = (draw.corner[clips], draw.mirror[clips], self.input_size)
        between, kind = rows.dtype.kind == "f", NORMALISATIONS[self.normalise]
        if self.device.type == "cpu" and not between:
            return read_clips(self.store.frames, rows, *where, kind)
        pixels = self._crops(np.floor(rows).astype(np.int64), *where)
        if between:
            after = self._crops(np.ceil(rows).astype(np.int64), *where).float()
            share = send((rows % 1).astype(np.float32), self.device)
            pixels = pixels.float().lerp(after, share[:, :, None, None, None])
        return normalise(pixels, kind)

    def _crops(self, rows: np.ndarray, corner: np.ndarray, mirror: np.ndarray, size: int) -> Tensor:
        """Crops (B, T, size, size, 3), uint8, on the device."""
        resident = frames_on(self.device, self.store.frames)
        if resident is None:
            crops = read_crops(self.store.frames, rows, corner, mirror, size)
            return send(crops, self.device)
        return index_crops(resident, *(send(a, self.device) for a in (rows, corner, mirror)), size)

    def _batches(self, order: np.ndarray, draw: Draw) -> Iterator[Batch]:
        for clips in self._parts(order, draw):
            yield self._batch(clips, draw)

    def _batch(self, clips: np.ndarray, draw: Draw) -> Batch:
        target = send(self.labels(clips).astype(np.int64), self.device)
        lengths = None
        if draw.lengths is not None:
            lengths = send(draw.lengths[clips], self.device)
        return Batch(self.gather(clips, draw), target, lengths)

    def _parts(self, order: np.ndarray, draw: Draw) -> Iterator[np.ndarray]:
        """Cut the order into batches; with padding none is larger than one without may be."""
        start = 0
        while start < len(order):
            part = order[start : start + self.batch_size]
            if draw.lengths is not None:
                longest = np.maximum.accumulate(draw.lengths[part])
                frames = longest * np.arange(1, len(part) + 1)
                fitting = np.searchsorted(frames, self.batch_size * self.num_frames, side="right")
                part = part[: max(1, fitting)]
            yield part
            start += len(part)


def to_clips(frames: np.ndarray, input_size: int) -> Tensor:
    """Make clips (B, 3, T, input_size, input_size) of frames that are in no store, as in a test.

    `frames` are uint8 (B, T, S, S, 3); the centre is cut out. ValueError if S is too small.
    """
    room = frames.shape[2] - input_size
    if room < 0:
        raise ValueError(f"frames have {frames.shape[2]} px, less than input_size {input_size}")
    inner = slice(room // 2, room // 2 + input_size)
    pixels = torch.from_numpy(np.ascontiguousarray(frames[:, :, inner, inner]))
    return normalise(pixels, NORMALISATIONS["imagenet"])


def denormalise(clip: Tensor, kind: str = "imagenet") -> Tensor:
    """Undo the normalisation of (..., 3, T, H, W); returns display values, RGB in 0..1."""
    mean, std, blue_first = NORMALISATIONS[kind]
    mean, std = (torch.tensor(v, device=clip.device).view(3, 1, 1, 1) for v in (mean, std))
    return ((clip.flip(-4) if blue_first else clip) * std + mean).clamp(0, 1)
