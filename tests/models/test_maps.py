"""Recorded maps have the shapes that the models document, and shares sum to one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dferlib.analysis.explain import attention_maps
from dferlib.models import create_model
from dferlib.models.parts.non_local import NonLocal

B, T = 2, 4


def maps_of(name: str, frames: int = T, **options) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = create_model(name, 5, **{"width": 0.0625, **options})
    return attention_maps(model, torch.randn(B, 3, frames, 48, 48))


def total(weights: Tensor, *dims: int) -> None:
    sums = weights.sum(dims)
    torch.testing.assert_close(sums, torch.ones_like(sums))


@pytest.mark.parametrize("kind", ["nl-gaussian", "nl-embedded"])
def test_stcams_non_local_maps_share_one_over_each_clip(kind):
    maps = maps_of("stcam", attention=kind)
    sides = {"inception_a": 3, "reduction_a": 3, "inception_b": 3, "reduction_b": 2}
    sides["inception_c"] = 2  # 48 px are 6, 3 and 2 a side; A is read at half of it
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        f"{place}.nl": (B, T, side, side) for place, side in sides.items()
    }
    for weights in maps.values():
        total(weights, 1, 2, 3)


@torch.no_grad()
def test_a_non_local_map_is_the_mean_of_what_every_position_reads():
    block, x = NonLocal(4, embedded=True, subsample=False), torch.randn(1, 4, 2, 1, 3)
    query, key = (f(x).flatten(2)[0].T for f in (block.theta, block.phi))
    read = [[float(q @ k) for k in key] for q in query]
    rows = [torch.tensor(row).exp() / torch.tensor(row).exp().sum() for row in read]
    expected = sum(rows) / len(rows)
    torch.testing.assert_close(block.given(x).flatten(), expected)


def test_fans_frames_are_the_normalised_product_of_both_weights():
    maps = maps_of("fan")
    assert {name: tuple(m.shape) for name, m in maps.items()} == dict.fromkeys(
        ("alpha", "beta", "frames"), (B, T)
    )
    total(maps["frames"], 1)
    product = maps["alpha"] * maps["beta"]
    torch.testing.assert_close(maps["frames"], product / product.sum(1, keepdim=True))
    assert set(maps_of("fan", attention="self")) == {"alpha", "frames"}


def test_ceflnets_parts_each_record_their_weights():
    maps = maps_of("ceflnet", num_clips=3, frames=6)
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "sal": (B, 3, 4, 2, 2),
        "lrl": (B, 3, 2),
        "eian": (B, 3),
    }
    total(maps["sal"], -1)
    total(maps["eian"], -1)
    assert 0 < maps["lrl"].min() <= maps["lrl"].max() < 1


def test_stts_blocks_record_what_is_read_in_space_and_time():
    maps = maps_of("stt", layers=2, input_size=48)
    assert {name: tuple(m.shape) for name, m in maps.items() if name[5] == "1"} == {
        "block1.spatial": (B, T + 1, 8, 4, 4),
        "block1.temporal": (B, 4, 8, T + 1, T + 1),
        "block1.read": (B, T, 2, 2),
    }
    assert len(maps) == 6
    for name, weights in maps.items():
        if not name.endswith("read"):
            total(weights, -1)
