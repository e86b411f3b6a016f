"""Deletion and insertion: does the model's answer hang on what a map calls important?

The cells of a clip - places in frames, or whole frames - are ordered by the map. *Deletion* blurs
the first of them and watches the probability of the class that the intact clip was given;
*insertion* begins with a blurred clip and makes them sharp again (Petsiuk et al., "RISE", 2018).
A faithful map has a small area under the first curve and a large one under the second. Both are
given, and `faithful`, the second minus the first, in which the level of the probabilities drops
out. It needs no truth, so it works on real faces, too.

Blurred means averaged over a quarter of the frame's side: the colours stay, the features go.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHARES = (0.1, 0.4)  # of the cells, besides none and all; most happens with the first of them
BLURRED = 4  # places on a side that are left of a blurred frame


def deletion_scores(
    model: nn.Module,
    clips: Tensor,
    maps: Mapping[Hashable, Tensor],
    targets: Tensor | None = None,
    *,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
) -> pd.DataFrame:
    """Delete and insert by several maps (N, t, h, w) of clips (N, 3, T, H, W), which are one batch.

    `targets` (N,) are the classes that are watched, by default the predicted ones. Cells of equal
    value come in random order, so that a constant map is a random order; maps with fewer frames
    than the clip hold for several. One row per clip and map: columns clip, kind, deletion,
    insertion (areas under the probability, 0 to 1) and faithful. NaN for a map that is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    blurred = blur(clips)
    with torch.no_grad():
        ends = torch.stack([model(x).softmax(1) for x in (clips, blurred)])
        targets = ends[0].argmax(1) if targets is None else targets
        chosen = torch.arange(len(clips)), targets
        parts = []
        for kind, order in maps.items():
            if not torch.isfinite(order).all():
                areas = {name: np.full(len(clips), np.nan) for name in ("deletion", "insertion")}
            else:
                rank = _rank(order, generator)
                curve = _curve(model, clips, blurred, rank, shares, chosen)
                areas = _areas(curve, ends[0][chosen], ends[1][chosen])
            named = {"clip": range(len(clips)), "kind": [kind] * len(clips)}
            parts.append(pd.DataFrame(named | areas))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(faithful=table["insertion"] - table["deletion"])


def blur(clips: Tensor) -> Tensor:
    """Return clips (N, 3, T, H, W) of which each frame keeps 4 x 4 colours."""
    frames = clips.transpose(1, 2).flatten(0, 1)
    coarse = F.adaptive_avg_pool2d(frames, BLURRED)
    large = F.interpolate(coarse, size=clips.shape[3:], mode="bilinear", align_corners=False)
    return large.unflatten(0, (len(clips), -1)).transpose(1, 2).contiguous()


def _rank(maps: Tensor, generator: torch.Generator) -> Tensor:
    """The place of each cell (N, t, h, w) in the order by falling value, ties at random."""
    flat = maps.flatten(1)
    shuffled = torch.rand(flat.shape, generator=generator).argsort(1)
    order = shuffled.gather(
        1, flat.gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    )
    places = torch.arange(flat.shape[1]).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(maps.shape)


def _curve(model, clips, blurred, rank, shares, chosen) -> list[tuple[float, Tensor, Tensor]]:
    """Share of the cells that are taken, probability without them, and with them alone."""
    cells = rank[0].numel()
    counts = sorted({min(max(1, round(share * cells)), cells - 1) for share in shares})
    found = []
    for count in counts if cells > 1 else ():
        taken = (rank < count).float()
        taken = F.interpolate(taken[:, None], size=clips.shape[2:], mode="nearest")
        without = torch.lerp(clips, blurred, taken)
        alone = torch.lerp(blurred, clips, taken)
        both = [model(x).softmax(1)[chosen] for x in (without, alone)]
        found.append((count / cells, *both))
    return found


def _areas(curve: list, intact: Tensor, gone: Tensor) -> dict[str, np.ndarray]:
    at = np.array([0, *(share for share, _, _ in curve), 1.0])
    without = torch.stack([intact, *(values for _, values, _ in curve), gone])
    alone = torch.stack([gone, *(values for _, _, values in curve), intact])
    areas = {"deletion": without, "insertion": alone}
    return {name: np.trapezoid(values.numpy(), at, axis=0) for name, values in areas.items()}
