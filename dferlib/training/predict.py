"""From a model and clips to predictions, the table that every number of the project is computed
from.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.store import FrameStore
from dferlib.device import autocast, freed_memory_kept, lay_out_clip


@torch.no_grad()
@freed_memory_kept()
def predict(
    model: nn.Module,
    loader: ClipLoader,
    clips: np.ndarray,
    precision: str = "float32",
    layout: str = "contiguous",
) -> np.ndarray:
    """Class probabilities (N, K) of the clips at these manifest rows, in evaluation mode.

    `layout` is how clips lie in memory (`dferlib.device.LAYOUTS`); results differ by rounding.
    """
    was_training = model.training
    model.eval()
    parts = []
    for clip, _, lengths in loader.testing(clips):
        with autocast(loader.device, precision):
            logits = model(lay_out_clip(clip, layout), lengths)
        parts.append(logits.float().softmax(1).cpu())
    model.train(was_training)
    return torch.cat(parts).numpy()


@torch.no_grad()
@freed_memory_kept()
def extract_features(model: nn.Module, loader: ClipLoader, clips: np.ndarray) -> np.ndarray:
    """Feature vectors (N, D) of ``forward_features``, the input of t-SNE."""
    was_training = model.training
    model.eval()
    parts = []
    for clip, _, lengths in loader.testing(clips):
        padding = () if lengths is None else (lengths,)
        parts.append(model.forward_features(clip, *padding).float().cpu())
    model.train(was_training)
    return torch.cat(parts).numpy()


def embed(features: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Place feature vectors (N, D) on a plane (N, 2) by t-SNE, started from the principal axes.

    The perplexity is 30, or a third of the other clips where there are fewer. t-SNE is not defined
    below four clips; those are placed on their principal axes alone.
    """
    from sklearn.decomposition import PCA  # a twentieth of a notebook's start, for one figure
    from sklearn.manifold import TSNE

    count, width = features.shape
    if count < 4:
        points, axes = np.zeros((count, 2)), min(2, count - 1, width)
        if axes > 0:
            points[:, :axes] = PCA(axes).fit_transform(features)
        return points
    perplexity = min(30.0, (count - 1) / 3)
    return TSNE(random_state=seed, perplexity=perplexity, init="pca").fit_transform(features)


def cross_entropy_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log likelihood of the labels (N,) under probabilities (N, K), in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(chosen, 1e-12, None)).mean())


def make_predictions(
    store: FrameStore,
    clips: np.ndarray,
    fold: int,
    probabilities: dict[str, np.ndarray],
) -> pd.DataFrame:
    """Build the predictions table: one row per clip and selection rule.

    ``probabilities`` maps a rule (last, best_val, best_test) to an array (N, K) for these manifest
    rows. Columns: clip_id, subject, fold, select, y_true, y_pred and p_0..p_k, with class indices
    in the order of ``store.classes``.
    """
    order = {name: index for index, name in enumerate(store.classes)}
    rows = store.manifest.iloc[clips]
    tables = []
    for rule, values in probabilities.items():
        table = rows[["clip_id", "subject"]].reset_index(drop=True)
        table["fold"], table["select"] = fold, rule
        table["y_true"] = rows["label"].map(order).to_numpy()
        table["y_pred"] = values.argmax(1)
        columns = {f"p_{k}": values[:, k].round(6) for k in range(values.shape[1])}
        tables.append(pd.concat([table, pd.DataFrame(columns)], axis=1))
    return pd.concat(tables, ignore_index=True)
