"""Scores of maps against what moves: known answers, rivals, deletion, redrawn weights, verdicts."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from dferlib.analysis import map_scores, map_verdict, scored
from dferlib.analysis.attended import attended
from dferlib.analysis.deletion import blur, deletion_scores
from dferlib.analysis.moving import Moving, what_moves
from dferlib.analysis.randomised import randomisation_check, shuffle_weights
from dferlib.datasets.batches import ClipLoader
from dferlib.models import create_model
from tests.toy import make_store

N, T = 12, 5


def moving_patches(seed: int = 0) -> Moving:
    """Patches of 4 x 4 of 16 x 16 places, another in every clip, that grow and shrink."""
    rng = np.random.default_rng(seed)
    masks = torch.zeros(N, T, 16, 16)
    for clip, (row, column) in enumerate(rng.integers(0, 13, (N, 2))):
        masks[clip, :, row : row + 4, column : column + 4] = 1
    steps = torch.from_numpy(rng.permuted(np.tile(np.arange(T), (N, 1)), axis=1)).float()
    masks *= (steps > 0)[..., None, None]  # one frame of each clip rests
    return Moving(masks, steps)


MOVING = moving_patches()
CLIPS = MOVING.masks.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, None].repeat(1, 3, 1, 1, 1)
CLIPS = CLIPS * MOVING.amount[:, None, :, None, None]


class Looker(nn.Module):
    """Answers by how bright the clip is, and attends to what is bright: both are known."""

    def __init__(self) -> None:
        super().__init__()
        self.cam_layer = nn.Conv3d(3, 1, 1, bias=False)
        self.head = nn.Linear(1, 2, bias=False)
        nn.init.constant_(self.cam_layer.weight, 1 / 3)
        self.head.weight.data = torch.tensor([[-5.0], [5.0]])
        self.record_attention, self.attention = False, {}

    def forward(self, clip):
        seen = torch.relu(self.cam_layer(clip))
        bright = clip.mean(1)
        self.attention = {"a.stam": nn.functional.avg_pool2d(bright, 2)}
        self.attention |= {"frames": bright.mean((2, 3)), "b.nl": torch.ones_like(bright)}
        return self.head(seen.mean((2, 3, 4)))


@pytest.fixture(scope="module")
def found() -> scored.ScoredMaps:
    return scored.score_model(Looker(), CLIPS, MOVING, scored.Amount(8, 4))


def means(found: scored.ScoredMaps, name: str) -> pd.DataFrame:
    part = found.scores[found.scores["map"] == name]
    return part.groupby("kind")[["where", "when", "faithful", "deletion"]].mean()


# ------------------------------------------------------------------------------- scores by hand


def test_the_area_equals_all_pairs_of_places():
    rng = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (3, 2, 3, 3), generator=rng).float()
    masks = torch.rand(3, 2, 3, 3, generator=rng)
    masks[0, 0] = 0
    for clip in range(3):
        areas, weights = [], []
        for frame in range(2):
            s, m = maps[clip, frame].flatten(), masks[clip, frame].flatten()
            above = (s[:, None] > s).double() + (s[:, None] == s).double() / 2
            pairs = m[:, None] * (1 - m)
            if m.sum() > 0:
                areas.append((above * pairs).sum() / pairs.sum())
                weights.append(m.sum())
        expected = np.average(areas, weights=weights)
        assert map_scores.place_auc(maps, masks)[clip].item() == pytest.approx(expected)


def test_truth_scores_one_its_inverse_nothing_and_a_constant_map_a_half():
    masks = MOVING.masks
    assert map_scores.place_auc(masks, masks).tolist() == [1.0] * N
    assert map_scores.place_auc(-masks, masks).tolist() == [0.0] * N
    table = map_scores.score_places(torch.full_like(masks, 0.3), masks).set_index("kind")
    assert (table.loc["model", "where"] == 0.5).all()
    for column in ("where", "inside", "pointing"):
        np.testing.assert_allclose(table.loc["model", column], table.loc["uniform", column])
    resting = map_scores.score_places(masks, torch.zeros_like(masks))
    assert resting["where"].isna().all()


def test_a_centre_blob_scores_as_the_blob_and_rivals_are_never_the_own_map():
    blob = map_scores.centre_blob(16, 16).expand(N, T, 16, 16)
    table = map_scores.score_places(blob, MOVING.masks).set_index("kind")
    np.testing.assert_allclose(table.loc["model", "where"], table.loc["centre", "where"])
    maps = torch.arange(N).float()[:, None, None, None].expand(N, T, 4, 4)
    kinds = map_scores.with_rivals(maps)
    assert (kinds["other clip"] != maps).all()
    assert kinds["mean map"][3, 0, 0, 0] == pytest.approx((sum(range(N)) - 3) / (N - 1))
    alone = map_scores.with_rivals(maps[:1])
    assert alone["other clip"].isnan().all()
    assert alone["mean map"].isnan().all()


def test_weights_of_frames_are_scored_by_rank_beside_the_frame_number():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (6, 9)).astype(float), rng.normal(size=(6, 9))
    expected = [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(map_scores.rank_correlation(first, second), expected)
    rising = torch.arange(T).float().expand(N, T)
    table = map_scores.score_frames(rising.sqrt()[..., None, None], rising).set_index("kind")
    assert (table.loc["model", "when"] == 1).all()
    assert (table.loc["frame number", "when"] == 1).all()
    even = map_scores.score_frames(torch.ones(N, T, 1, 1), rising).set_index("kind")
    assert even.loc["model", "when"].isna().all()


@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (2, 3, 32, 32), (2, 3, 1, 1), (2, 2, 8, 8)])
def test_maps_come_to_one_grid(shape):
    maps = torch.rand(shape)
    large = map_scores.on_grid(maps, 3, 16)
    assert large.shape == (2, 3, 16, 16)
    if shape[1] == 3:
        torch.testing.assert_close(large.mean((2, 3)), maps.mean((2, 3)), atol=1e-5, rtol=0)


# ------------------------------------------------------------------------------- what moves


def test_masks_are_cut_as_the_frames_are_and_interpolated_as_they_are():
    store = make_store(subjects=4, length=9, size=36)
    masks = np.zeros((len(store.frames), 16, 16), dtype=np.uint8)
    masks[:, 8:, :] = 255  # the lower half moves, and in the last frame of a clip the upper, too
    masks[8::9] = 255
    aus = np.zeros((len(masks), 3, 2), dtype=np.float16)
    aus[:, :2] = (np.arange(len(masks)) % 9)[:, None, None]
    store = replace(store, truth={"mask": masks, "aus": aus})
    options = {"batch_size": 4, "device": torch.device("cpu")}
    loader = ClipLoader(store, "neutral_to_peak", 5, 32, **options)
    moving = what_moves(loader, np.array([3, 1]))
    assert moving.masks.shape == (2, 5, 16, 16)
    assert moving.amount[0].tolist() == [0, 4, 8, 12, 16]  # two Action Units
    first = moving.masks[0, 0]
    assert first[9:].min() == 1
    assert first[:7].max() == 0
    assert moving.masks[0, 4].min() == 1
    assert what_moves(replace(loader, store=replace(store, truth={})), np.array([0])) is None
    between = replace(loader, store=store)
    object.__setattr__(
        between, "draw", lambda: replace(loader.draw(), frames=np.full((24, 1), 7.5))
    )
    assert what_moves(between, np.array([0])).amount.tolist() == [[15.0]]


# ------------------------------------------------------------------------------- deletion


def test_deleting_the_truth_takes_the_answer_faster_than_its_inverse():
    maps = {"truth": MOVING.masks, "inverse": -MOVING.masks, "even": torch.ones(N, T, 16, 16)}
    table = deletion_scores(Looker(), CLIPS, maps, torch.ones(N, dtype=torch.long))
    areas = table.groupby("kind")[["deletion", "insertion", "faithful"]].mean()
    assert areas["deletion"]["truth"] < areas["deletion"]["even"] < areas["deletion"]["inverse"]
    assert areas["insertion"]["truth"] > areas["insertion"]["even"] > areas["insertion"]["inverse"]
    pd.testing.assert_series_equal(
        table["faithful"], table["insertion"] - table["deletion"], check_names=False
    )


class Sum(nn.Module):
    """The share of frames that are not blurred: a model whose curves are straight lines."""

    def forward(self, clip):
        sharp = (clip.flatten(3).std(3).mean(1) > 0.2).float().mean(1, keepdim=True)
        return torch.cat([sharp, 1 - sharp], 1).clamp_min(1e-9).log()


def test_areas_of_straight_lines_are_a_half_and_missing_maps_stay_missing():
    clips = torch.randn(3, 3, 10, 16, 16)
    assert Sum()(clips).softmax(1)[:, 0].tolist() == [1.0] * 3
    assert Sum()(blur(clips * 0.2)).softmax(1)[:, 0].max() < 1e-6
    weights = torch.rand(3, 10, 1, 1)
    maps = {"frames": weights, ("a", "gone"): torch.full_like(weights, torch.nan)}
    table = deletion_scores(Sum(), clips * 0.25, maps, torch.zeros(3, dtype=torch.long))
    table = table.set_index("kind")
    np.testing.assert_allclose(table.loc["frames", ["deletion", "insertion"]], 0.5, atol=1e-5)
    assert table.loc[[("a", "gone")], "faithful"].isna().all()


# ------------------------------------------------------------------------------- redrawn weights


def test_redrawn_weights_change_what_was_learned_and_not_what_the_clip_shows():
    torch.manual_seed(0)
    model = create_model("stcam", 6, width=0.25).eval()
    state = copy.deepcopy(model.state_dict())
    clips = torch.rand(2, 3, 7, 64, 64)
    weights = model.head[0].weight

    def explain(net):
        return {"clip": clips.mean(1), "weights": net.head[0].weight.detach()[:2]}

    table = randomisation_check(model, explain)
    assert list(table["randomised"].unique())[:2] == ["head", "inception_c"]
    assert list(table["randomised"].unique())[-1] == "stem"
    kept = table.groupby("map")["correlation"].mean()
    assert kept["clip"] == 1
    assert abs(kept["weights"]) < 0.5
    assert len(randomisation_check(model, explain, whole=True)) == 4
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    shuffle_weights(model.head, torch.Generator())
    assert not torch.equal(weights, state["head.0.weight"])
    assert torch.equal(weights.flatten().sort()[0], state["head.0.weight"].flatten().sort()[0])


# ------------------------------------------------------------------------------- whose maps


@pytest.mark.parametrize(
    ("name", "options", "grids"),
    [
        ("stcam", {}, {"STAM": 8, "3D-CAM": 8, "even channels": 8}),
        ("hacn", {}, {"self-attention": 1, "hybrid attention": 1}),
        ("hacn", {"mode": "map"}, {"self-attention": 1, "hybrid attention": 2}),
        ("ecnn_fsa", {}, {"frame attention": 1}),
        ("ceflnet", {"num_clips": 3}, {"SAL": 1, "LRL": 1, "EIAN": 1}),
        ("fan", {}, {"alpha": 1, "beta": 1, "frame attention": 1}),
        ("stt", {"dim": 64, "input_size": 64}, {"spatial attention": 2, "class token": 2}),
        ("peak_cnn", {}, {}),
    ],
)
def test_every_papers_attention_is_read_as_maps(name, options, grids):
    torch.manual_seed(0)
    model = create_model(name, 6, width=0.125, **options).eval()
    found = attended(model, torch.rand(2, 3, 6, 64, 64), at_once=1)
    assert {label: maps.shape[3] for label, maps in found.items()} == grids
    assert all(maps.shape[:2] == (2, 6) for maps in found.values())


def test_what_is_given_is_a_mean_over_readers():
    torch.manual_seed(0)
    clips = torch.rand(2, 3, 6, 64, 64)
    model = create_model("ceflnet", 6, width=0.125, num_clips=3).eval()
    found = attended(model, clips)
    sums = found["SAL"].flatten(1).unflatten(1, (3, 2)).sum(2)
    torch.testing.assert_close(sums, torch.ones(2, 3))
    assert (found["EIAN"][:, ::2] == found["EIAN"][:, 1::2]).all()
    stt = create_model("stt", 6, width=0.125, dim=64, input_size=64).eval()
    sums = attended(stt, clips)["spatial attention"].sum((2, 3))
    torch.testing.assert_close(sums, torch.ones(2, 6))


# ------------------------------------------------------------------------------- all together


def test_a_model_that_looks_at_what_moves_wins_and_one_that_looks_nowhere_ties(found):
    seen = means(found, "STAM")
    assert seen["where"]["model"] == seen["where"]["truth"] == seen["where"].max() == 1
    assert seen["when"]["model"] > 0.9 > seen["when"].drop(["model", "truth"]).max()
    assert seen["faithful"]["model"] > seen["faithful"][["centre", "mean map", "uniform"]].max()
    assert means(found, "non-local")["where"]["model"] == 0.5
    frames = means(found, "frame attention")
    assert np.isnan(frames["where"]["model"])
    assert frames["when"]["model"] > 0.9
    summary = map_verdict.summarise_maps(found.scores.assign(subject=found.scores["clip"] // 2))
    judged = map_verdict.judge_maps(summary, found.changed).set_index(["map", "question"])
    assert judged.loc[("STAM", "where"), "verdict"] == map_verdict.BEATS
    assert judged.loc[("frame attention", "when"), "verdict"] == map_verdict.BEATS
    assert judged.loc[("STAM", "where"), "n"] == N
    assert judged.loc[("STAM", "where"), "persons"] == N // 2
    assert judged.loc[("STAM", "where"), "redrawn"] == 1  # this attention knows no weights
    said = map_verdict.read_maps(judged.reset_index())
    assert "better than every rival: *STAM*, *Grad-CAM, cam_layer*" in said
    assert "*STAM*" in said.partition("still look the same")[0].rpartition("redrawn")[2]


def test_without_truth_deletion_is_left():
    found = scored.score_model(Looker(), CLIPS, None, scored.Amount(4, 2))
    assert "where" not in found.scores
    table = found.scores[found.scores["map"] == "STAM"]
    assert set(table["kind"]) == {"model", "centre", "mean map", "other clip", "uniform"}
    assert table["faithful"].notna().all()


# ------------------------------------------------------------------------------- verdicts


def table_of(leads: dict[str, float], spread: float = 0.1) -> pd.DataFrame:
    """A map that is above each rival by so much, over eight persons with two clips each."""
    noise = np.resize([spread, -spread], 16)
    kinds = {"model": noise * 0 + 0.7} | {k: 0.7 - v + noise for k, v in leads.items()}
    subjects = [f"S{i // 2}" for i in range(16)]
    parts = [
        pd.DataFrame({"clip": range(16), "kind": k, "where": v, "subject": subjects, "map": "A"})
        for k, v in kinds.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(label="fear")


@pytest.mark.parametrize(
    ("leads", "verdict", "rival"),
    [
        (
            {"centre": 0.2, "mean map": 0.1, "other clip": 0.3},
            "better than every rival",
            "mean map",
        ),
        ({"centre": -0.2, "mean map": 0.1, "other clip": 0.3}, "worse than a blob", "centre"),
        ({"centre": 0.0, "mean map": 0.1, "other clip": 0.3}, "not told apart from a", "centre"),
    ],
)
def test_a_map_has_to_beat_every_rival(leads, verdict, rival):
    changed = pd.DataFrame({"map": "A", "clip": [0, 1], "correlation": [0.1, 0.3]})
    scores = table_of(leads)
    scores["where"] += np.resize([0.01, 0.01, -0.01, -0.01], len(scores)) * (
        scores["kind"] != "model"
    )
    judged = map_verdict.judge_maps(map_verdict.summarise_maps(scores), changed).iloc[0]
    assert judged["verdict"].startswith(verdict)
    assert judged["rival"] == rival
    assert judged["lead"] == pytest.approx(leads[rival])
    assert judged["redrawn"] == pytest.approx(0.2)
    found = map_verdict.by_class(scores).iloc[0]
    assert (found["label"], found["rival"], found["n"]) == ("fear", rival, 16)


def test_intervals_are_students_over_persons():
    values, subjects = np.array([1.0, 3.0, 5.0]), ["a", "b", "c"]
    value, low, high = map_verdict.over_subjects(values, subjects)
    assert value == 3
    assert high - value == pytest.approx(4.302653 * 2 / 3**0.5, rel=1e-5)
    assert low - value == pytest.approx(value - high)
    assert np.isnan(map_verdict.over_subjects(values, ["a"] * 3)[1])
