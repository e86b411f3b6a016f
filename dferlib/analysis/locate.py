"""Which short clip of a video holds the emotion: CEFLNet's located clip, scored against the apex.

CEFLNet's Table 7 and Figure 6 name a share of located clips and neither the annotation nor the rule
behind it. Here a clip is located where the frame of the annotated apex lies in it. Procedural faces
know their apex, and so do the datasets whose owners annotate it; clips without one, those of a
neutral face among them, are left out and counted.

A share says little alone: seven clips of 15 frames overlap by five, so that 30 of their 75 frames
lie in two of them, and the middle of a video is a good guess. So every score stands beside a clip
drawn at random, the middle clip, and two that only look at pixels: the clip with the largest
movement between neighbouring frames, and the clip farthest from the video's first frame.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dferlib.datasets.samplers import SPAN, TEST_START, resampled_frames, span_starts
from dferlib.datasets.store import FrameStore

KINDS = ("model", "random", "middle", "movement", "change")


def clip_frames(store: FrameStore, videos: np.ndarray, num_clips: int = 7) -> np.ndarray:
    """Return the frames (N, num_clips, 15) of the clips that are tested, counted in their video.

    `videos` are rows of the store's manifest.
    """
    places = TEST_START + span_starts(num_clips)[:, None] + np.arange(SPAN)
    counts = store.manifest["n_frames"].to_numpy()[videos]
    all_places = np.broadcast_to(places.ravel(), (len(counts), places.size))
    return resampled_frames(counts, all_places).reshape(-1, num_clips, SPAN)


def movement_scores(store: FrameStore, video: int, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Score the clips (n, 15) of one video by pixels alone: "movement" and "change", each (n,).

    "movement" is the largest mean difference between neighbouring frames of a clip, "change" the
    largest mean difference of one of its frames from the first of the video.
    """
    pixels = store.clip(video).astype(np.float32)
    step = np.abs(np.diff(pixels, axis=0, prepend=pixels[:1])).mean((1, 2, 3))
    away = np.abs(pixels - pixels[0]).mean((1, 2, 3))
    return {"movement": step[frames].max(1), "change": away[frames].max(1)}


def score_locating(
    store: FrameStore, videos: np.ndarray, scores: np.ndarray, seed: int = 0
) -> pd.DataFrame:
    """Score located clips against the annotated apex: one row per video and kind of choice.

    `scores` (N, n) are the model's for the n clips of these rows of the manifest. Columns clip_id,
    subject, label, kind (see `KINDS`), located (0 to n - 1), hit (the apex frame lies in it) and
    distance (frames between the apex and the middle frame of the located clip). "random" has the
    expectations over all n clips, and -1 for located. Videos without an apex have no rows.
    """
    videos, n = np.asarray(videos), scores.shape[1]
    frames = clip_frames(store, videos, n)
    manifest = store.manifest.iloc[videos]
    rng = np.random.default_rng(seed)
    rows = []
    for index, (video, clip) in enumerate(zip(videos, manifest.itertuples(), strict=True)):
        if clip.apex < 0 or clip.label == "neutral":
            continue
        hits = (frames[index] == clip.apex).any(1)
        distances = np.abs(frames[index, :, SPAN // 2] - clip.apex)
        pixels = movement_scores(store, int(video), frames[index])
        chosen = {"model": scores[index], **pixels, "middle": -np.abs(np.arange(n) - (n - 1) / 2)}
        identity = {"clip_id": clip.clip_id, "subject": clip.subject, "label": clip.label}
        for kind in KINDS:
            if kind == "random":
                found = {"located": -1, "hit": hits.mean(), "distance": distances.mean()}
            else:
                place = _highest(chosen[kind], rng)
                found = {"located": place, "hit": hits[place], "distance": distances[place]}
            rows.append({**identity, "kind": kind, **found})
    columns = ["clip_id", "subject", "label", "kind", "located", "hit", "distance"]
    return pd.DataFrame(rows, columns=columns).astype({"hit": float, "distance": float})


def summarise_locating(
    scored: pd.DataFrame, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Average `score_locating` per kind, with bootstrap intervals over subjects.

    Columns kind, n (videos), and for hit (per cent) and distance (frames) the mean, `_low` and
    `_high`.
    """
    wide, subjects = _by_kind(scored)
    rows = []
    for kind in [kind for kind in KINDS if kind in set(scored["kind"])]:
        row: dict[str, object] = {"kind": kind, "n": len(subjects)}
        for name, values in wide.items():
            row |= _mean_with_interval(name, values[kind], subjects, level, resamples, seed)
        rows.append(row)
    return pd.DataFrame(rows)


def compare_locating(
    scored: pd.DataFrame, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Compare the model's clips with each rival's on the same videos: a row for each rival.

    Columns rival, n (videos), lead (points of the share of hits, positive where the model has
    more) and nearer (frames by which the model's clip is nearer to the apex), each the mean of the
    differences per video, `_low` and `_high`, by a bootstrap over subjects.
    """
    wide, subjects = _by_kind(scored)
    rows = []
    for rival in [kind for kind in KINDS if kind in set(scored["kind"]) - {"model"}]:
        row: dict[str, object] = {"rival": rival, "n": len(subjects)}
        differences = {
            "lead": wide["hit"]["model"] - wide["hit"][rival],
            "nearer": wide["distance"][rival] - wide["distance"]["model"],
        }
        for name, values in differences.items():
            row |= _mean_with_interval(name, values, subjects, level, resamples, seed)
        rows.append(row)
    return pd.DataFrame(rows)


def _by_kind(scored: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """Hits in per cent and distances, a row per video and a column per kind; the subjects."""
    scale = {"hit": 100, "distance": 1}
    wide = {
        name: factor * scored.pivot(index="clip_id", columns="kind", values=name)
        for name, factor in scale.items()
    }
    subjects = scored.drop_duplicates("clip_id").set_index("clip_id")["subject"]
    return wide, subjects[wide["hit"].index]


def _mean_with_interval(
    name: str, values: pd.Series, subjects: pd.Series, *settings
) -> dict[str, float]:
    low, high = _interval(values, subjects, *settings)
    return {name: values.mean(), f"{name}_low": low, f"{name}_high": high}


def _highest(scores: np.ndarray, rng: np.random.Generator) -> int:
    """The place of the highest score; among equal ones any, so that ties favour no place."""
    return int(rng.choice(np.flatnonzero(scores == scores.max())))


def _interval(
    values: pd.Series, subjects: pd.Series, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Percentile interval of a mean; a resampled subject brings all its videos along."""
    codes = pd.factorize(subjects)[0]
    sums, sizes = np.bincount(codes, weights=values), np.bincount(codes)
    units = len(sizes)
    draws = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), resamples)
    means = (draws @ sums) / (draws @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
