"""Figures about clips show what they are given, and the frame loop of the benchmark is CEFLNet."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from dferlib.figures import clips
from dferlib.models import create_model


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def texts(figure: plt.Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_located_clip_is_boxed_and_the_apex_marked():
    scores = np.array([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    frames = np.zeros((2, 3, 4, 4, 3))
    figure = clips.plot_located_clips(frames, scores, ["a", "b"], [[0, 1], []])
    boxed = [(i // 6, i % 3) for i, ax in enumerate(figure.axes) if ax.patches]
    assert boxed == [(0, 1), (1, 2)]
    marks = [text for text in texts(figure) if text.endswith("●")]
    assert marks == ["0.10 ●", "0.60 ●"]
    assert len([text for text in texts(figure) if text[:1] == "0"]) == 6


def test_embeddings_have_a_panel_for_every_dataset_and_method():
    points = pd.DataFrame({"dataset": "mmi", "method": ["A", "B"] * 3, "label": list("xxyyzz")})
    points["x"] = points["y"] = np.arange(6.0)
    figure = clips.plot_embeddings(points, ["mmi", "afew"], ["A", "B"])
    assert len(figure.axes) == 4
    assert texts(figure) == ["not run", "not run"]
    drawn = [sum(len(c.get_offsets()) for c in ax.collections) for ax in figure.axes]
    assert drawn == [3, 3, 0, 0]


def test_a_sweep_shows_values_intervals_and_what_was_published():
    table = pd.DataFrame({"number": [7, 1, 7], "dataset": ["mmi", "mmi", "afew"]})
    table = table.assign(ours=[80.0, 50, 40], ci_low=[70.0, 40, 30], ci_high=[85.0, 60, 50])
    ax = clips.plot_sweep(table, {7: 91.0}, label="clips", chance=16.7)
    curves = [list(line.get_ydata()) for line in ax.lines]
    assert [50, 80] in curves
    assert ax.get_xticks().tolist() == [1, 7]
    assert {t.get_text() for t in ax.get_legend().get_texts()} >= {"MMI", "AFEW", "chance"}


def test_locating_has_a_point_for_each_kind():
    table = pd.DataFrame({"kind": ["model", "random"], "hit": [60.0, 25.0]})
    for name in ("hit_low", "hit_high", "distance", "distance_low", "distance_high"):
        table[name] = table["hit"]
    figure = clips.plot_locating(table, 55.83)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["model", "random"]


def test_the_diagram_carries_the_shapes_it_is_given():
    keys = ("frames", "weights", "output")
    found = texts(clips.plot_self_attention({key: f"<{key}>" for key in keys}))
    assert {f"<{key}>" for key in keys} <= set(found)


def test_the_benchmarks_loop_predicts_what_one_batch_does():
    path = Path(__file__).parents[2] / "benchmarks" / "models" / "ceflnet.py"
    spec = importlib.util.spec_from_file_location("benchmark_ceflnet", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    torch.manual_seed(0)
    model = create_model("ceflnet", 6, width=0.25)
    clip = torch.randn(2, 3, 14, 32, 32, generator=torch.Generator().manual_seed(0))
    loop = benchmark.probabilities(benchmark.FrameLoop(model), clip, "float32")
    assert (loop - benchmark.probabilities(model, clip, "float32")).abs().max() < 1e-5
    apart = (benchmark.probabilities(model, clip, "bf16") - loop).abs().max()
    assert apart < benchmark.TOLERANCE["batch, bf16 channels-last"]
