"""Does a map depend on what the network learned? Draw its weights again and look once more.

Adebayo et al., "Sanity Checks for Saliency Maps", 2018: a map that explains the model loses its
rank correlation with the one before; a map that only shows edges of the image keeps it. Each tensor
of weights is shuffled within itself, running statistics among them, so that features keep their
size and no gate shuts; layer by layer from the classifier backwards, until all are new.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor, nn

from dferlib.analysis.map_scores import rank_correlation

Explain = Callable[[nn.Module], Mapping[str, Tensor]]


def randomisation_check(
    model: nn.Module, explain: Explain, *, seed: int = 0, whole: bool = False
) -> pd.DataFrame:
    """Correlate the maps that `explain(model)` gives with those after its weights were redrawn.

    Parts are the model's children, from the classifier backwards, each added to those before;
    `whole` looks only once, after the last. Maps are (N, ...), by name. Columns: randomised, map,
    clip, correlation (Spearman; NaN for a constant map). The model is not changed.
    """
    twin = copy.deepcopy(model)
    before = explain(model)
    parts = [
        (name, part) for name, part in twin.named_children() if any(True for _ in part.parameters())
    ]
    generator, tables = torch.Generator().manual_seed(seed), []
    for place, (name, part) in enumerate(reversed(parts), start=1):
        shuffle_weights(part, generator)
        if whole and place < len(parts):
            continue
        after = explain(twin)
        for kind, maps in before.items():
            found = rank_correlation(maps.flatten(1).numpy(), after[kind].flatten(1).numpy())
            row = {"randomised": name, "map": kind, "clip": range(len(maps)), "correlation": found}
            tables.append(pd.DataFrame(row))
    return pd.concat(tables, ignore_index=True)


def shuffle_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Shuffle the values within each tensor of floating-point weights of a module, in place."""
    with torch.no_grad():
        for tensor in module.state_dict(keep_vars=True).values():
            if tensor.is_floating_point():
                flat = tensor.detach().flatten()
                order = torch.randperm(flat.numel(), generator=generator)
                tensor.copy_(flat[order.to(flat.device)].view(tensor.shape))
