"""How well maps say where and when a face moves, beside rivals that know nothing of the clip.

*Where*: the chance that a place that moves has a higher value than a place of the same frame that
does not (area under the ROC curve), averaged over a clip's frames by how much moves in them. It
knows only the order of values, so that a sigmoid around a half and a sharp map are judged alike;
a constant map gets exactly 0.5. *When*: the rank correlation of the frames' weights with how much
moves. Masks are soft, so that the truth itself stays below 1 in *where*; it is given as "truth".

Rivals: a blob in the centre, since faces are centred; the mean map of the other clips; another
clip's map. Of frames the number alone stands for the blob: most clips begin neutral.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from dferlib.analysis.explain import mass_inside, pointing_game

OWN, UNIFORM, TRUTH = "model", "uniform", "truth"
CENTRE, NUMBER, MEAN, OTHER = "centre", "frame number", "mean map", "other clip"
PLACE_RIVALS, FRAME_RIVALS = (CENTRE, MEAN, OTHER), (NUMBER, MEAN, OTHER)


def on_grid(maps: Tensor, frames: int, side: int) -> Tensor:
    """Bring maps (N, t, h, w) to (N, frames, side, side): linear, or the mean where they are finer.

    A map of frames alone, (N, T, 1, 1), becomes constant over each frame.
    """
    if maps.shape[1] != frames or max(maps.shape[2:]) < side:
        size = (frames, *(max(side, n) for n in maps.shape[2:]))
        maps = F.interpolate(maps[:, None], size=size, mode="trilinear", align_corners=False)[:, 0]
    return F.adaptive_avg_pool2d(maps, side)


def with_rivals(maps: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Return the maps (N, T, h, w) and their rivals by kind, each of the same shape.

    "model"; "centre", or "frame number" where h = w = 1; "mean map" of the other clips; "other
    clip", drawn so that none is its own. NaN for both where there is one clip.
    """
    number, frames, height, width = maps.shape
    if height * width == 1:
        blind = {NUMBER: torch.arange(frames).to(maps)[:, None, None].expand(maps.shape)}
    else:
        blind = {CENTRE: centre_blob(height, width).to(maps).expand(maps.shape)}
    order = torch.from_numpy(np.random.default_rng(seed).permutation(number))
    other = torch.full_like(maps, torch.nan)
    mean = other.clone()
    if number > 1:
        other[order] = maps[order.roll(1)]
        mean = (maps.sum(0, keepdim=True) - maps) / (number - 1)
    return {OWN: maps, **blind, MEAN: mean, OTHER: other}


def centre_blob(height: int, width: int) -> Tensor:
    """Return a Gaussian (H, W) around the middle, its deviation a quarter of the side."""
    rows, columns = ((torch.arange(n) + 0.5) / n * 4 - 2 for n in (height, width))
    return torch.exp(-0.5 * (rows[:, None] ** 2 + columns**2))


def score_places(maps: Tensor, masks: Tensor, seed: int = 0) -> pd.DataFrame:
    """Score maps (N, t, h, w) against masks (N, T, S, S) of what moves, in 0 to 1.

    One row per clip and kind, those of `with_rivals`, "uniform" and "truth": columns clip, kind,
    where, inside (share of the map on what moves) and pointing (its maximum lies on it). NaN for
    clips in which nothing moves, and where a map is constant over the places of every frame.
    """
    kinds = with_rivals(on_grid(maps, masks.shape[1], masks.shape[2]), seed)
    kinds |= {UNIFORM: torch.ones_like(masks), TRUTH: masks}
    moved = masks.flatten(1).sum(1) > 0
    parts = []
    for kind, these in kinds.items():
        values = {
            "where": place_auc(these, masks),
            "inside": mass_inside(these, masks),
            "pointing": pointing_game(these, masks),
        }
        values = {k: torch.where(moved, v.double(), torch.nan).numpy() for k, v in values.items()}
        parts.append(pd.DataFrame({"clip": range(len(masks)), "kind": kind, **values}))
    return pd.concat(parts, ignore_index=True)


def place_auc(maps: Tensor, masks: Tensor) -> Tensor:
    """Return (N,): the area under the ROC curve in each frame, averaged by how much moves there.

    Maps and masks (N, T, h, w). A place counts as moving by its mask's value and as still by the
    rest of 1. Ties count one half. NaN where nothing moves, or everything.
    """
    number, frames = maps.shape[:2]
    values, moving = (x.double().reshape(number * frames, -1).contiguous() for x in (maps, masks))
    ordered, order = values.sort(1)
    still = F.pad((1 - moving).gather(1, order).cumsum(1), (1, 0))
    below, upto = (
        still.gather(1, torch.searchsorted(ordered, values, side=side))
        for side in ("left", "right")
    )
    pairs = moving.sum(1) * (1 - moving).sum(1)
    area = (moving * (below + upto)).sum(1) / 2 / pairs
    weight = torch.where(pairs > 0, moving.sum(1), 0).view(number, frames)
    area = torch.where(pairs > 0, area, 0).view(number, frames)
    known = ~torch.isnan(values).any(1).view(number, frames).any(1)
    return torch.where(known, (area * weight).sum(1) / weight.sum(1), torch.nan)


def score_frames(maps: Tensor, amount: Tensor, seed: int = 0) -> pd.DataFrame:
    """Score the frames' mean weights of maps (N, T, h, w) against how much moves, (N, T).

    One row per clip and kind: columns clip, kind, when (Spearman's correlation). Even weights of a
    clip score 0; NaN where its movement is even, and for a map whose weights are even in all clips.
    """
    kinds = with_rivals(maps.mean((2, 3), keepdim=True), seed) | {TRUTH: amount[..., None, None]}
    moved, parts = amount.numpy(), []
    for kind, these in kinds.items():
        when = rank_correlation(these.flatten(1).numpy(), moved)
        if np.isfinite(when).any():
            when = np.where(np.isnan(when) & (np.ptp(moved, axis=1) > 0), 0, when)
        parts.append(pd.DataFrame({"clip": range(len(amount)), "kind": kind, "when": when}))
    return pd.concat(parts, ignore_index=True)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation (N,) of each row of two arrays (N, M); NaN for constant rows.

    Differences below a millionth of a row's largest value are rounding and count as ties.
    """
    ranks = []
    for values in (first, second):
        largest = np.abs(values).max(1, keepdims=True)
        even = np.round(values / np.where(largest > 0, largest, 1), 6)
        ranked = rankdata(even, axis=1)
        ranks.append(ranked - ranked.mean(1, keepdims=True))
    norm = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    product = (ranks[0] * ranks[1]).sum(1)
    known = (norm > 0) & np.isfinite(first).all(1) & np.isfinite(second).all(1)
    return np.divide(product, norm, out=np.full(len(first), np.nan), where=known)
