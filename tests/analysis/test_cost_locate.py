"""CEFLNet's Tables 7 to 9: the printed counts, memory by hand, and located clips by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from toy import make_store

from dferlib.analysis.cost import (
    cost_table,
    count_cost,
    latency,
    layerwise_macs,
    package_models,
    peak_memory,
)
from dferlib.analysis.locate import (
    KINDS,
    clip_frames,
    compare_locating,
    movement_scores,
    score_locating,
    summarise_locating,
)
from dferlib.datasets.samplers import windowed_clips
from dferlib.models import create_model, list_models, paper_input
from dferlib.models.parts.resnet import Pooled, ResNet18
from dferlib.protocols import load_protocol


def meta(name: str, classes: int, **options) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, classes, **options)


# ------------------------------------------------------------------------------------------ counts


def test_macs_are_those_of_table_9():
    cells = {c.row: c.value for c in load_protocol("ceflnet").reported(9) if c.metric == "MACs"}
    model = meta("ceflnet", 6)
    for frames in (2, 5, 10, 15):
        counted = layerwise_macs(model, (3, 7 * frames, 224, 224)) / 1e9
        assert round(counted, 2) == cells[f"{frames} frames per clip, 7 clips"]


def test_parameters_and_macs_are_those_of_table_8():
    cells = {(c.row, c.metric): c.value for c in load_protocol("ceflnet").reported(8)}
    shape = (3, 35, 224, 224)
    c3d = meta("c3d", 487, batch_norm=False, readout="rows")
    for row, model in (("C3D", c3d), ("CEFLNet", meta("ceflnet", 6))):
        assert round(layerwise_macs(model, shape) / 1e9, 2) == cells[row, "MACs"]
        assert round(count_cost(model, shape).parameters / 1e6, 2) == cells[row, "params"]
    known = meta("c3d_lstm", 6, batch_norm=False)
    assert layerwise_macs(known, shape) / 1e9 == pytest.approx(281.587, abs=1e-3)


def test_a_frame_costs_resnet18_what_the_rule_says():
    with torch.device("meta"):
        backbone = Pooled(ResNet18())
    assert count_cost(backbone, (3, 224, 224)).macs == 1_813_561_344
    assert layerwise_macs(backbone, (3, 224, 224)) == 1_821_664_768


def test_the_layerwise_rule_counts_single_elements():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 1, 1)
    )
    conv, elements = 64 * (3 * 4) + 16 * 4, 64 * 4
    assert layerwise_macs(model, (3, 8, 8)) == conv + elements * (1 + 2 + 1 + 1) + 16
    with pytest.raises(ValueError, match="cannot be counted"):
        layerwise_macs(model, (4, 8, 8))


# ------------------------------------------------------------------------------------------ memory


def test_memory_is_what_is_alive_together():
    chain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
    weights = 4 * sum(p.numel() for p in chain.parameters())
    image, maps = 4 * 3 * 32 * 32, 4 * 8 * 32 * 32
    assert peak_memory(chain, (3, 32, 32)) == weights + image + 2 * maps
    assert peak_memory(chain, (3, 32, 32), batch_size=5) == weights + 5 * (image + 2 * maps)
    in_training = peak_memory(chain, (3, 32, 32), training=True)
    # the outputs of both ReLUs are kept, and two gradients of that size meet going back
    assert in_training >= weights + image + 3 * maps
    assert in_training <= 2 * weights + image + 4 * maps


def test_memory_leaves_the_model_as_it_was():
    model = create_model("ceflnet", 6, width=0.25).train()
    peak_memory(model, (3, 7, 32, 32), training=True)
    assert model.training
    assert next(model.parameters()).device.type == "cpu"
    assert all(p.grad is None for p in model.parameters())


# ----------------------------------------------------------------------------------------- tables


def test_every_model_names_the_clip_of_its_paper():
    for name in list_models():
        channels, frames, height, width = paper_input(name)
        assert channels == 3
        assert frames >= 1
        assert height == width
    for slug in ("stcam", "stt", "ceflnet"):
        stated = load_protocol(slug).stated
        assert paper_input(slug) == (3, stated.num_frames, stated.input_size, stated.input_size)
    models = package_models()
    assert set(models) == set(list_models())
    assert all(p.is_meta for model, _ in models.values() for p in model.parameters())


def test_a_table_of_costs_agrees_with_its_parts():
    model = create_model("ceflnet", 6, width=0.25)
    shape = (3, 7, 32, 32)
    table = cost_table({"a": (model, shape), "b": (model, (3, 14, 32, 32))}, repeats=2)
    first, second = table.to_dict("records")
    assert first["parameters"] == second["parameters"] == count_cost(model, shape).parameters
    assert first["macs"] == count_cost(model, shape).macs < first["macs_layerwise"]
    assert second["macs_layerwise"] == layerwise_macs(model, (3, 14, 32, 32))
    assert first["memory"] == peak_memory(model, shape) < first["training_memory"]
    assert 0 < first["ms_low"] <= first["ms"] <= first["ms_high"]
    assert "ms" not in cost_table({"a": (model, shape)}, progress=False)
    assert latency(model, shape, repeats=1, warmup=0).median > 0


# ---------------------------------------------------------------------------------------- locating


def test_models_without_values_are_timed_as_copies():
    model = meta("peak_cnn", 4)
    times = latency(model, (3, 1, 32, 32), repeats=3, warmup=0)
    assert 0 < times.low <= times.median <= times.high
    assert times.device == "cpu"
    assert next(model.parameters()).is_meta


def fake_store(n_frames: list[int], apex: list[int], labels: list[str] | None = None):
    """A store of 4 px videos whose every frame is as bright as its distance from the apex says."""
    rows = len(n_frames)
    manifest = pd.DataFrame(
        {
            "clip_id": [f"v{i}" for i in range(rows)],
            "subject": [f"s{i % 3}" for i in range(rows)],
            "label": labels or ["fear"] * rows,
            "n_frames": n_frames,
            "apex": apex,
        }
    )

    def clip(row: int) -> np.ndarray:
        time = np.arange(n_frames[row])
        level = np.maximum(0, 200 - 5 * np.abs(time - apex[row]))
        return np.broadcast_to(level[:, None, None, None], (len(time), 4, 4, 3)).astype(np.uint8)

    return SimpleNamespace(manifest=manifest, clip=clip)


def test_clip_frames_hold_the_tested_ones():
    store = fake_store([105, 60, 150], [0, 0, 0])
    frames = clip_frames(store, np.arange(3))
    assert frames.shape == (3, 7, 15)
    np.testing.assert_array_equal(frames[0, 0], np.arange(15, 30))
    np.testing.assert_array_equal(frames[0, 6], np.arange(75, 90))
    assert frames[2, 0, 0] == 22 + 15  # the middle 105 of 150
    sampled = windowed_clips([105, 60, 150], [-1] * 3).reshape(3, 7, 5)
    for video in range(3):
        for clip in range(7):
            assert set(sampled[video, clip]) <= set(frames[video, clip])


def test_hits_and_distances_by_hand():
    # clips of a video of 105 frames cover 15-29, 25-39, 35-49, 45-59, 55-69, 65-79, 75-89
    store = fake_store([105, 105, 105, 105], [27, 52, 100, 52], ["fear"] * 3 + ["neutral"])
    scores = np.zeros((4, 7))
    scores[0, 1] = scores[1, 0] = scores[2, 6] = scores[3, 3] = 1
    found = score_locating(store, np.arange(4), scores).set_index(["clip_id", "kind"])
    assert set(found.index.get_level_values("clip_id")) == {"v0", "v1", "v2"}
    model = found.xs("model", level="kind")
    assert model["hit"].tolist() == [1, 0, 0]  # 27 lies in the first and the second
    assert model["distance"].tolist() == [5, 30, 18]
    chance = found.xs("random", level="kind")
    assert chance["hit"].tolist() == pytest.approx([2 / 7, 1 / 7, 0])
    middles = np.array([22, 32, 42, 52, 62, 72, 82])
    assert chance.loc["v1", "distance"] == pytest.approx(np.abs(middles - 52).mean())
    middle = found.xs("middle", level="kind")
    assert middle["located"].tolist() == [3, 3, 3]
    assert middle["hit"].tolist() == [0, 1, 0]
    change = found.xs("change", level="kind")
    assert change["hit"].tolist()[:2] == [1, 1]  # brightest at the apex


def test_pixels_tell_movement_from_change():
    store = fake_store([105], [52])
    frames = clip_frames(store, np.array([0]))[0]
    scores = movement_scores(store, 0, frames)
    assert scores["change"].argmax() == 3
    assert scores["change"][3] == 200
    assert scores["movement"].max() == 5


def test_ties_favour_no_clip():
    store = fake_store([105] * 200, [52] * 200)
    found = score_locating(store, np.arange(200), np.zeros((200, 7)))
    places = found.loc[found["kind"] == "model", "located"]
    assert places.nunique() == 7


def test_summaries_are_means_with_intervals_over_subjects():
    store = fake_store([105] * 30, list(range(20, 80, 2)))
    frames = clip_frames(store, np.arange(30))
    apex = store.manifest["apex"].to_numpy()
    right = (frames == apex[:, None, None]).any(2).astype(float)
    scored = score_locating(store, np.arange(30), right)
    table = summarise_locating(scored).set_index("kind")
    assert tuple(table.index) == KINDS
    assert (table["n"] == 30).all()
    assert table.loc["model", "hit"] == table.loc["model", "hit_low"] == 100
    chance = 100 * right.mean()
    assert table.loc["random", "hit"] == pytest.approx(chance)
    assert table.loc["middle", "hit_low"] < table.loc["middle", "hit"]


def test_the_model_is_compared_with_each_rival_on_the_same_videos():
    store = fake_store([105] * 4, [52, 52, 20, 20])
    scores = np.zeros((4, 7))
    scores[[0, 1, 2, 3], [3, 3, 0, 6]] = 1  # three hits; the middle clip has two
    scored = score_locating(store, np.arange(4), scores)
    table = compare_locating(scored, resamples=500).set_index("rival")
    assert list(table.index) == [kind for kind in KINDS if kind != "model"]
    assert (table["n"] == 4).all()
    assert table.loc["middle", "lead"] == pytest.approx(25)
    assert table.loc["middle", "lead_low"] <= 0 < table.loc["middle", "lead_high"]
    # middles 52, 52, 22, 82 against 52 each time, from apices at 52, 52, 20, 20
    assert table.loc["middle", "nearer"] == pytest.approx((0 + 0 + 30 - 30) / 4)
    assert table.loc["random", "lead"] == pytest.approx(100 * (3 / 4 - 1 / 7))


def test_the_interval_of_a_lead_is_that_of_the_differences():
    # where one rival hits in all videos and the model in the same ones, the lead is exactly zero
    store = fake_store([105] * 10, [52] * 5 + [20] * 5)
    middle = np.tile(np.eye(7)[3], (10, 1))
    table = compare_locating(score_locating(store, np.arange(10), middle)).set_index("rival")
    row = table.loc["middle"]
    assert (row[["lead", "lead_low", "lead_high", "nearer", "nearer_low"]] == 0).all()


def test_a_frame_store_whose_apex_no_test_reaches_has_no_hit():
    store = make_store(subjects=2)  # nine frames, the last one the apex
    scored = score_locating(store, np.arange(4), np.ones((4, 3)))
    assert len(scored) == 4 * len(KINDS)
    assert not scored["hit"].any()
    assert (scored.loc[scored["kind"] == "middle", "distance"] == 4).all()
