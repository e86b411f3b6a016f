"""From a model and clips to predictions, the table that every number of the project is computed
from.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor, nn

from dferlib.allocator import freed_memory_kept
from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.store import FrameStore


def choose_precision(precision: str, device: str | torch.device) -> str:
    """Replace ``auto`` by bf16 where the device has units for it, and by float32 elsewhere.

    bf16 without such units is emulated and slower than float32.
    """
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # torch has no public question for this yet; a version without these names means no
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        fast = any(getattr(torch.cpu, name, bool)() for name in names)
    return "bf16" if fast else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the mixed-precision context of a protocol's ``precision``: float32 (off) or bf16."""
    if precision not in ("float32", "bf16"):
        raise ValueError(f"unknown precision {precision!r}; choose float32 or bf16")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def memory_format(clip: Tensor, precision: str) -> Tensor:
    """Lay a clip (B, C, T, H, W) out channels-last where that is faster, which is with bf16."""
    return clip.contiguous(memory_format=torch.channels_last_3d) if precision == "bf16" else clip


@torch.no_grad()
@freed_memory_kept()
def predict(
    model: nn.Module, loader: ClipLoader, clips: np.ndarray, precision: str = "float32"
) -> np.ndarray:
    """Class probabilities (N, K) of the clips at these manifest rows, in evaluation mode."""
    was_training = model.training
    model.eval()
    parts = []
    for clip, _, lengths in loader.testing(clips):
        with autocast(loader.device, precision):
            logits = model(memory_format(clip, precision), lengths)
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
