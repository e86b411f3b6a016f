"""Every figure function of the package with toy data, under the names that code has for things."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dferlib.figures import clips, curves, diagrams, matrices, plots
from dferlib.figures.wording import attention_name

CLASSES = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
RNG = np.random.default_rng(0)


def face(side: int = 32) -> np.ndarray:
    """A face that could be one: skin, eyes, mouth."""
    image = np.full((side, side, 3), (0.8, 0.6, 0.5))
    image[10:13, 8:13] = image[10:13, 20:25] = 0.1
    image[23:26, 11:22] = (0.6, 0.1, 0.1)
    return image


FRAMES = np.stack([face()] * 5)
BLOB = np.exp(-((np.mgrid[:32, :32] - np.array([24, 16])[:, None, None]) ** 2).sum(0) / 60)
MAPS = np.linspace(0.2, 0.8, 5)[:, None, None] * BLOB


def history(variants: int) -> pd.DataFrame:
    names = [f"Row {k} + attention" for k in range(variants)]
    table = pd.DataFrame([(n, e) for n in names for e in range(1, 7)], columns=["variant", "epoch"])
    table["loss"] = 2 / table["epoch"] + 0.1 * RNG.random(len(table))
    return table.assign(accuracy=1 - table["loss"] / 3)


def intervals() -> pd.DataFrame:
    table = pd.DataFrame({"row": ["Baseline", "Baseline + STAM"], "published": [80.0, np.nan]})
    return table.assign(ours=[60.0, 98.0], ci_low=[50.0, 96.0], ci_high=[70.0, 100.0])


def roc() -> pd.DataFrame:
    grid = np.linspace(0, 1, 9)
    return pd.concat(
        pd.DataFrame({"curve": name, "fpr": grid, "tpr": grid ** (0.1 * k + 0.1), "auc": 0.8})
        for k, name in enumerate((*CLASSES, "macro", "micro"))
    )


def profile(curves_of) -> pd.DataFrame:
    rows = [(n, f, RNG.random()) for n in curves_of for f in range(1, 6) for _ in range(4)]
    return pd.DataFrame(rows, columns=["curve", "frame", "value"])


def matrix() -> np.ndarray:
    shares = RNG.dirichlet(np.full(7, 0.3), 7) + 3 * np.eye(7) * RNG.random((7, 1))
    return shares / shares.sum(1, keepdims=True)


def sparse() -> np.ndarray:
    found = np.full((7, 7), np.nan)
    found[1], found[3, 3] = np.eye(7)[1], 0.4
    return found


def embeddings() -> pd.DataFrame:
    labels = np.resize(CLASSES, 70)
    points = pd.DataFrame({"dataset": "bu4dfe", "method": "FAN", "label": labels})
    points[["x", "y"]] = RNG.normal(size=(70, 2))
    return points


def sweep() -> pd.DataFrame:
    table = pd.DataFrame({"number": [1, 7, 1, 7], "dataset": ["bu4dfe"] * 2 + ["mmi"] * 2})
    return table.assign(ours=[30, 50, 40, 60], ci_low=[25, 45, 30, 50], ci_high=[35, 55, 50, 70])


def locating() -> pd.DataFrame:
    table = pd.DataFrame({"kind": ["model", "random"], "hit": [60.0, 25.0], "distance": [3.0, 9.0]})
    for name in ("hit", "distance"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 2, table[name] + 2
    return table


def times() -> pd.DataFrame:
    rows = [(m, p, 4.0) for m in ("CNN-LSTM", "ECNN-FSA") for p in ("training", "testing")]
    table = pd.DataFrame(rows, columns=["model", "phase", "ms"])
    return table.assign(low=3.0, high=5.0)


def samples() -> Figure:
    maps = np.stack([np.full_like(MAPS, np.nan), MAPS])
    maps[1, 1] = 0.94
    grid = np.stack([FRAMES, FRAMES])
    return plots.plot_samples(grid, ["face", "hybrid"], list(CLASSES[:5]), maps=maps)


WITH_COUNTS = {"title": "HACN on CK+, synthetic", "counts": [45, 18, 59, 25, 69, 28, 83]}
NAMES = [f"frame {k + 1}" for k in range(5)]
PLACES = [f"inception_{k}.stam" for k in "abc"] + [f"reduction_{k}.stam" for k in "ab"]
STAGES = pd.DataFrame({"name": ["Stem"], "shape": ["64 x 7"], "detail": ["STCAM inside"]})
BUILDERS: dict[str, Callable] = {
    "history": lambda: plots.plot_history(history(6), "loss", label="training loss"),
    "curves": lambda: curves.plot_curves(history(13), {"loss": "loss", "accuracy": "accuracy"}),
    "intervals": lambda: plots.plot_intervals(intervals(), chance=14.3, select="best_test"),
    "embedding": lambda: plots.plot_embedding(RNG.normal(size=(70, 2)), np.resize(CLASSES, 70)),
    "roc": lambda: curves.plot_roc(roc(), title="HACN on CK+"),
    "samples": samples,
    "bare samples": lambda: plots.plot_samples(FRAMES[None], ["fear"], NAMES),
    "maps": lambda: plots.plot_maps_over_frames(
        FRAMES, MAPS, NAMES, title=attention_name(PLACES[0]), value_range=(0, 1)
    ),
    "frame attention": lambda: plots.plot_frame_attention(
        FRAMES, RNG.dirichlet(np.ones(5), 5), NAMES
    ),
    "times": lambda: plots.plot_times(times()),
    "classes over time": lambda: curves.plot_time_profile(
        profile(CLASSES), label="mean weight", axis="sampled frame", even=True
    ),
    "places over time": lambda: curves.plot_time_profile(
        profile(map(attention_name, PLACES)), label="STAM weight"
    ),
    "confusion": lambda: matrices.plot_confusion(matrix(), CLASSES, counts=[9] * 7),
    "whole pair": lambda: matrices.plot_confusion_pair(matrix(), matrix(), CLASSES, **WITH_COUNTS),
    "sparse pair": lambda: matrices.plot_confusion_pair(matrix(), sparse(), CLASSES, **WITH_COUNTS),
    "located": lambda: clips.plot_located_clips(
        FRAMES[None], np.array([[0.1, 0.2, 0.4, 0.2, 0.1]]), ["true fear"], [[2]]
    ),
    "embeddings": lambda: clips.plot_embeddings(embeddings(), ["bu4dfe", "mmi"], ["FAN", "SAL"]),
    "sweep": lambda: clips.plot_sweep(sweep(), {7: 85.3}, label="clips", chance=16.7),
    "locating": lambda: clips.plot_locating(locating(), 55.8, title="BU-4DFE"),
    "self-attention": lambda: clips.plot_self_attention(
        {"frames": "5 x 512", "weights": "5 x 5", "output": "5 x 512"}
    ),
    "attention": lambda: diagrams.plot_attention(
        {"input": "17 x 16", "heads": "8 of 64", "weights": "17 x 8", "output": "17 x 16"}
    ),
    "placement": lambda: diagrams.plot_placement(
        dict.fromkeys(("inception_in", "inception_out", "reduction_in", "reduction_out"), "64 x 7")
    ),
    "stages": lambda: diagrams.plot_stages(STAGES),
}


def draw(name: str) -> Figure:
    """One of the figures, marked as a notebook marks it."""
    made = BUILDERS[name]()
    return plots.watermark(made if isinstance(made, Figure) else made.figure, "synthetic")
