"""A video of one's own: a network, the face in the film, and what the network says over time.

    reader = open_reader(weights, preset)
    seen = follow_face(path, reader.recipe.store_size)
    told = read_windows(reader, seen)

The face is found, followed and turned upright by what cuts out the clips of the dataset `folder`.
The network sees windows of about a second, each sampled from its first frame to its last (STCAM
§4.2). It knows its classes only, and no neutral face: a window in which no class is clear is called
`NONE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import entropy
from torchvision.transforms.functional import ten_crop

from dferlib.analysis.explain import attention_maps, enlarge_maps
from dferlib.datasets.batches import to_clips
from dferlib.datasets.faces.finding import NO_FACE, find_face, look
from dferlib.datasets.faces.geometry import cut
from dferlib.datasets.faces.options import HAAR, MTCNN, FaceOptions, parse_faces
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.footage import Footage
from dferlib.datasets.media.video import compare_counts, probe
from dferlib.datasets.readers.folder import FACES
from dferlib.datasets.readers.scan import UNKNOWN, Clip, View
from dferlib.datasets.samplers import neutral_to_peak
from dferlib.notebook.own_network import Reader, VideoError

NONE = "none of these"
SECONDS = 1.0  # of a window; a clip of the stand-in for Oulu-CASIA is about as long
OVERLAP = 4  # windows that see the same moment
MOST_FRAMES = 4500  # three minutes at 25 a second: the crops are in memory
DRAWS = 1000  # of the bootstrap
LEVEL = 95  # per cent, of its interval
AT_ONCE = 4  # windows in a batch, each in ten views
PLACE = "inception_a.stam"  # the finest grid of STAM


@dataclass(frozen=True, eq=False)
class Seen:
    """The face of a film: crops uint8 (T, S, S, 3), their windows (T, 4) in a view, what is odd."""

    path: Path
    crops: np.ndarray
    windows: np.ndarray
    view: View
    fps: float
    notes: tuple[str, ...]

    @property
    def seconds(self) -> np.ndarray:
        """When each frame is shown, (T,)."""
        return np.arange(len(self.crops)) / self.fps


def follow_face(path: Path, size: int, faces: str = "") -> Seen:
    """Find the face of a video in every frame, follow it, and cut it out at `size` pixels.

    `faces` are options of `dferlib.datasets.faces.options` over those of the dataset `folder`; the
    head is turned upright where a detector that finds eyes is installed. VideoError naming the file
    where it cannot be read, is too long, or shows no face: then nothing is to be predicted.
    """
    with _refusing():
        facts = probe(path)
        if facts.count > MOST_FRAMES:
            raise DatasetError(
                f"video {path} has {facts.count} frames, at most {MOST_FRAMES} are read; cut out "
                "the part that you want to look at"
            )
        eyes = FaceOptions().chosen_detector == MTCNN and f"detector={HAAR}" not in faces
        upright = "align=upright" if eyes else ""
        options = parse_faces(faces, f"{FACES} {upright}")
        name, footage = path.name, Footage((), str(path))
        clip = Clip(name, name, "", (), facts.fps, UNKNOWN, video=str(path), count=facts.count)
        found = find_face(clip, footage, options)
        if found.windows is None:
            raise DatasetError(
                f"{path}: {NO_FACE.partition(',')[0]} in {found.record.looked} frames, so nothing "
                "is predicted\n- film the face from the front, in even light, as large as a fifth "
                "of the picture\n- faces = 'smallest=0.1' looks for smaller faces\n"
                "- faces = 'detector=mtcnn' finds more where its extra is installed"
            )
        crops, count = [], 0
        for count, frame in enumerate(footage, start=1):
            window = found.windows[(count - 1) % len(found.windows)]
            crops.append(cut(look(frame, found.view), window, size))
        notes = [*found.notes, *footage.notes, compare_counts(path, count, facts.count)]
    record = found.record
    notes.append(f"face found in {record.own} of {record.looked} frames by {record.found_by}")
    windows = np.resize(found.windows, (count, 4))
    return Seen(path, np.stack(crops), windows, found.view, facts.fps, tuple(filter(None, notes)))


@contextmanager
def _refusing() -> Iterator[None]:
    """Show what is wrong with a file as a box and not as a traceback."""
    try:
        yield
    except DatasetError as error:
        raise VideoError(str(error)) from error


@dataclass(frozen=True, eq=False)
class Told:
    """What the network says of W windows.

    `frames` (W, F) are the places of the sampled frames in the film, `spans` (W, 2) each window's
    first frame and the one after its last; `views` (V, W, K) the probabilities in V views, mirrored
    and shifted; `mean`, `low` and `high` (W, K) their mean and the ends of its interval.
    """

    classes: tuple[str, ...]
    frames: np.ndarray
    spans: np.ndarray
    views: np.ndarray
    low: np.ndarray
    high: np.ndarray
    clear: float
    fps: float

    @property
    def mean(self) -> np.ndarray:
        """Probabilities (W, K); each row sums to 1."""
        return self.views.mean(0)

    @property
    def entropy(self) -> np.ndarray:
        """Entropy (W,) of the mean probabilities: 0 sure of one class, 1 all classes alike."""
        return entropy(self.mean, axis=1) / np.log(len(self.classes))

    @property
    def top(self) -> np.ndarray:
        """Place (W,) of the most likely class."""
        return self.mean.argmax(1)

    @property
    def named(self) -> list[str]:
        """The class of each window whose interval lies above `clear` as a whole, else `NONE`."""
        sure = np.take_along_axis(self.low, self.top[:, None], 1)[:, 0] > self.clear
        return [self.classes[k] if yes else NONE for k, yes in zip(self.top, sure, strict=True)]

    @property
    def surest(self) -> int:
        """The window of the lowest entropy."""
        return int(self.entropy.argmin())

    def at(self, frame: int) -> int:
        """The window whose middle is nearest to a frame of the film."""
        return int(np.abs(self.spans.mean(1) - 0.5 - frame).argmin())

    def table(self) -> pd.DataFrame:
        """A row for each window: when, what it is called, the likeliest class, how sure."""
        rows = []
        for k, ((start, stop), name, top) in enumerate(
            zip(self.spans, self.named, self.top, strict=True)
        ):
            share, low, high = (100 * part[k, top] for part in (self.mean, self.low, self.high))
            row = {"seconds": f"{start / self.fps:.1f} to {stop / self.fps:.1f}", "called": name}
            row |= {"likeliest": self.classes[top], "%": f"{share:.0f}"}
            row |= {f"{LEVEL} % interval": f"{low:.0f} to {high:.0f}"}
            rows.append(row | {"entropy": f"{self.entropy[k]:.2f}"})
        return pd.DataFrame(rows)


def read_windows(reader: Reader, seen: Seen, clear: float = 0.5, seed: int = 0) -> Told:
    """Ask the network about every window of a film, in ten views each, and bootstrap the views.

    A class is named where the lower end of its interval is above `clear`, from 0 to 1: with 0.5 it
    is likelier than all others together. VideoError for another value.
    """
    if not isinstance(clear, int | float) or not 0 <= clear < 1:
        raise VideoError(f"clear is {clear!r}; give a probability from 0 to below 1, such as 0.5")
    total = len(seen.crops)
    length = min(total, max(reader.recipe.num_frames, round(SECONDS * seen.fps)))
    starts = np.arange(0, total - length + 1, max(1, length // OVERLAP))
    inside = neutral_to_peak([length], [UNKNOWN], reader.recipe.num_frames)
    frames = starts[:, None] + inside
    parts = [
        _views(reader, seen.crops[frames[first : first + AT_ONCE]])
        for first in range(0, len(frames), AT_ONCE)
    ]
    views = np.concatenate(parts, axis=1)
    drawn = np.random.default_rng(seed).integers(0, len(views), (DRAWS, len(views)))
    # how often each view is drawn, which weighs it: no copy of the views for every draw
    weights = np.stack([(drawn == k).mean(1) for k in range(len(views))], axis=1)
    means = np.tensordot(weights, views, 1)
    ends = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)
    low, high = np.percentile(means, ends, axis=0)
    spans = np.stack([starts, starts + length], axis=1)
    return Told(reader.classes, frames, spans, views, low, high, clear, seen.fps)


@torch.no_grad()
def _views(reader: Reader, crops: np.ndarray) -> np.ndarray:
    """Probabilities (10, B, K) of clips uint8 (B, T, S, S, 3): corners and centre, mirrored."""
    side = reader.recipe.input_size
    parts = ten_crop(to_clips(crops, crops.shape[2]), [side, side])
    return np.stack([reader.model(part).double().softmax(1).numpy() for part in parts])


def attention_of(reader: Reader, seen: Seen, told: Told) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F, S, S, 3) of the surest window and STAM's weights (F, S, S) on them, 0 to 1."""
    side = reader.recipe.input_size
    crops = seen.crops[told.frames[told.surest]]
    clip = to_clips(crops[None], side)
    maps = enlarge_maps(attention_maps(reader.model, clip)[PLACE], clip.shape[2:])[0].numpy()
    room = (crops.shape[1] - side) // 2
    return crops[:, room : room + side, room : room + side], maps
