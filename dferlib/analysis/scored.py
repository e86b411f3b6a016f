"""All maps of one trained model, scored: attention and Grad-CAM against what moves and rivals.

Maps whose grid has fewer than eight places on a side cannot show a mouth. So Grad-CAM is given for
the usual layer and for the deepest one that is fine enough, and attention that is too coarse is
read again from enlarged clips, up to four times as large, which the network has not been trained
on. The name of a map says what was done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dferlib.analysis import map_scores
from dferlib.analysis.attended import attended
from dferlib.analysis.deletion import deletion_scores
from dferlib.analysis.explain import grad_cam, layer_name
from dferlib.analysis.fine_layer import MOUTH_GRID, fine_layer
from dferlib.analysis.moving import SIDE, Moving
from dferlib.analysis.randomised import randomisation_check

LARGEST = 4  # times that clips are enlarged at most; costs its square


@dataclass(frozen=True)
class ScoredMaps:
    """`scores` have a row per map, clip and kind, `changed` per map and clip, `grids` per map."""

    scores: pd.DataFrame
    changed: pd.DataFrame
    grids: dict[str, str]


@dataclass(frozen=True)
class Amount:
    """How many clips, from the first, are deleted from and explained with redrawn weights."""

    deleted: int
    redrawn: int


def maps_of(
    model: nn.Module, clips: Tensor, targets: Tensor, layers: tuple[str, ...], *, at_once: int = 8
) -> dict[str, Tensor]:
    """Return all maps (N, t, h, w) of clips (N, 3, T, H, W): attention, and Grad-CAM of `layers`.

    `targets` (N,) are the classes that Grad-CAM explains.
    """
    found = attended(model, clips, at_once=at_once)
    coarse = [name for name, maps in found.items() if 1 < min(maps.shape[2:]) < MOUTH_GRID]
    if coarse:
        least = min(min(found[name].shape[2:]) for name in coarse)
        factor = min(LARGEST, math.ceil(MOUTH_GRID / least))
        size = (clips.shape[2], factor * clips.shape[3], factor * clips.shape[4])
        larger = [
            attended(model, F.interpolate(part, size=size, mode="trilinear"))
            for part in clips.split(at_once)
        ]
        for name in coarse:
            found[f"{name}, input x{factor}"] = torch.cat([part[name] for part in larger])
    for layer in layers:
        module = model.get_submodule(layer)
        parts = [
            grad_cam(model, part, classes, layer=module, enlarge=False)
            for part, classes in zip(clips.split(at_once), targets.split(at_once), strict=True)
        ]
        found[f"Grad-CAM, {layer.rpartition('.')[2]}"] = torch.cat(parts)
    return found


def score_model(
    model: nn.Module,
    clips: Tensor,
    moving: Moving | None,
    amount: Amount,
    *,
    seed: int = 0,
) -> ScoredMaps:
    """Score all maps of a model, on the CPU in evaluation mode, on clips (N, 3, T, H, W).

    Without `moving` - on real faces - only deletion, insertion and redrawn weights are there.
    """
    model.eval()
    with torch.no_grad():
        targets = torch.cat([model(part).argmax(1) for part in clips.split(8)])
    finer = fine_layer(model, clips[:1], MOUTH_GRID, blocks=True)
    named = [layer_name(model, model.cam_layer), *([finer.name] * (finer.side >= MOUTH_GRID))]
    explain = partial(maps_of, layers=tuple(dict.fromkeys(named)))
    maps = explain(model, clips, targets)
    few = slice(amount.redrawn)
    redrawn = partial(explain, clips=clips[few], targets=targets[few])
    changed = randomisation_check(model, redrawn, seed=seed, whole=True)
    parts = [_against_truth(maps, moving, seed)] if moving is not None else []
    parts.append(_deleted(model, clips, targets, maps, moving, amount.deleted, seed))
    scores = parts[0] if len(parts) == 1 else parts[0].merge(parts[1], how="outer")
    scores = scores.sort_values("map", key=lambda names: names.map(list(maps).index), kind="stable")
    grids = {name: "x".join(str(n) for n in value.shape[2:]) for name, value in maps.items()}
    return ScoredMaps(scores.reset_index(drop=True), changed, grids)


def _against_truth(maps: dict[str, Tensor], moving: Moving, seed: int) -> pd.DataFrame:
    tables = []
    for name, values in maps.items():
        table = map_scores.score_frames(_all_frames(values, moving), moving.amount, seed)
        if min(values.shape[2:]) > 1:
            places = map_scores.score_places(values, moving.masks, seed)
            table = places.merge(table, how="outer")
        tables.append(table.assign(map=name))
    return pd.concat(tables, ignore_index=True)


def _all_frames(values: Tensor, moving: Moving) -> Tensor:
    frames = moving.amount.shape[1]
    return values if values.shape[1] == frames else map_scores.on_grid(values, frames, SIDE)


def _deleted(model, clips, targets, maps, moving, count, seed) -> pd.DataFrame:
    """Deletion by every map and its rivals; what is the same for several is done once."""
    few, frames = slice(count), clips.shape[2]
    orders, of = {}, []
    for name, values in maps.items():
        places = min(values.shape[2:]) > 1
        own = map_scores.on_grid(values, frames, SIDE) if places else values
        kinds = map_scores.with_rivals(own[few], seed)
        kinds[map_scores.UNIFORM] = torch.ones_like(own[few])
        if moving is not None:
            truth = moving.masks if places else moving.amount[..., None, None]
            kinds[map_scores.TRUTH] = truth[few]
        for kind, order in kinds.items():
            alone = kind in (map_scores.OWN, map_scores.MEAN, map_scores.OTHER)
            key = (name if alone else "places" if places else "frames", kind)
            orders[key] = order
            of.append({"map": name, "of": key[0], "kind": kind})
    found = deletion_scores(model, clips[few], orders, targets[few], seed=seed)
    found[["of", "kind"]] = pd.DataFrame(found["kind"].tolist(), index=found.index)
    return pd.DataFrame(of).merge(found, on=["of", "kind"], sort=False).drop(columns="of")
