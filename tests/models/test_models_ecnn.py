"""ECNN-FSA and its LSTM baselines: printed sizes, explicit loops, clips of different lengths."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import nn
from torchvision.models import WeightsEnum, vgg16

from dferlib.analysis.cost import count_cost
from dferlib.models import create_model
from dferlib.models.ecnn_fsa import FrameAttention, ScoreFusion
from dferlib.models.parts.improved_vgg import ImprovedVGG16
from dferlib.models.parts.recurrent import StackedLSTM
from dferlib.training.pretrain import pretrained_as
from dferlib.training.weights import copy_backbone

NETWORKS = [
    ("ecnn_fsa", {}),
    ("ecnn_fsa", {"readout": "weights", "residual": True}),
    ("ecnn_fsa", {"fusion": "mean", "fc_layers": 2}),
    ("ecnn_fsa", {"fusion": "scores"}),
    ("ecnn_lstm", {}),
    ("vgg16_lstm", {}),
    ("vgg16_lstm", {"states": ()}),
]


def small(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, 7, **{"width": 0.125, **options})


def random(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def full(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, 7, **options)


# ------------------------------------------------------------------------------ what is printed


def test_parameters_are_those_of_the_printed_sizes():
    model = full("ecnn_fsa")
    assert count(model.backbone.trunk) == 14_714_688  # VGG-16 without its FC layers
    assert count(model.backbone.branch) == 7 * 7 * 256 * 1024 + 1024 == 12_846_080
    assert count(model.fsa) == 3 * 2048 * 2048 == 12_582_912
    assert count(model.backbone.added) == 9 * 1024 * (512 + 1024 + 1024) + 3 * 1024
    assert [tuple(p.shape) for p in model.fsa.parameters()] == [(2048, 2048)] * 3
    assert model.num_features == 2048
    total = 14_714_688 + 12_846_080 + 12_582_912 + 23_596_032 + 2 * 2048 + 2048 * 7 + 7
    assert count(model) == total
    assert total / 1e6 == pytest.approx(63.76, abs=0.005)


def test_attention_costs_less_than_the_fully_connected_layers_it_replaces():
    fully_connected = (512 * 7 * 7 + 1) * 4096 + (4096 + 1) * 4096
    assert fully_connected == 119_545_856
    assert count(full("ecnn_fsa").fsa) < fully_connected


def test_the_tap_before_the_pooling_costs_four_times_as_much():
    def branch_macs(tap: str) -> float:
        with_branch, without = (
            count_cost(full("ecnn_fsa", fusion="mean", tap=tap, branch_dim=dim), (3, 1, 224, 224))
            for dim in (1024, 512)
        )
        return 2 * (with_branch.macs - without.macs) / 1e9

    assert branch_macs("pool3") == pytest.approx(10.07, abs=0.005)
    assert branch_macs("conv3_3") == pytest.approx(40.28, abs=0.005)


@pytest.mark.parametrize(
    ("options", "features"),
    [({}, 2048), ({"backbone_dim": 2048}, 3072), ({"backbone_dim": 2048, "branch_dim": 512}, 2560)],
)
def test_the_grid_of_table_6_is_buildable(options, features):
    for fc_layers in (1, 2):
        model = full("ecnn_fsa", fc_layers=fc_layers, **options)
        assert model.num_features == features
        assert count(model.fsa) == 3 * features**2
        linear = [m.out_features for m in model.head if isinstance(m, nn.Linear)]
        assert linear == [features] * (fc_layers - 1) + [7]
        kinds = [type(m) for m in model.head][-4:]
        assert kinds == [nn.LayerNorm, nn.ReLU, nn.Dropout, nn.Linear]


@pytest.mark.parametrize("states", [(2048,), (3000,), (3000, 3000), (2048, 2048), (2048, 1024)])
def test_lstm_sizes_are_those_of_table_2(states):
    model = full("vgg16_lstm", states=states)
    inputs = (512, *states)
    layers = sum(
        4 * (a * b + b * b + 2 * b) for a, b in zip(inputs, states, strict=False)
    )  # four gates, two biases
    assert count(model.recurrent) == layers
    assert count(model) == 14_714_688 + layers + states[-1] * 7 + 7


@pytest.mark.parametrize(("kernel", "branch_fc"), [(5, 1), (7, 1), (5, 2), (7, 2)])
def test_ecnn_lstm_has_the_rows_of_table_3(kernel, branch_fc):
    backbone = full("ecnn_lstm", branch_kernel=kernel, branch_fc=branch_fc).backbone
    assert count(backbone.branch) == kernel**2 * 256 * 1024 + 1024
    assert count(backbone.branch_fc) == branch_fc * (1024 * 1024 + 1024)


# ------------------------------------------------------------------------- the improved VGG-16


@torch.no_grad()
@pytest.mark.parametrize("tap", ["pool3", "conv3_3"])
def test_a_frames_vector_is_deep_and_enhanced_features(tap):
    torch.manual_seed(0)
    backbone, images = ImprovedVGG16(0.125, tap=tap).eval(), random(2, 3, 64, 48)
    x, convolutions = images, 0
    for layer in backbone.trunk:
        pooled = isinstance(layer, nn.MaxPool2d)
        x = layer(x)
        convolutions += isinstance(layer, nn.Conv2d)
        if convolutions == 7 and (pooled if tap == "pool3" else isinstance(layer, nn.ReLU)):
            tapped = x.clone()
    assert tapped.shape[1:] == ((32, 8, 6) if tap == "pool3" else (32, 16, 12))
    for convolution, _ in backbone.added:
        x = nn.functional.conv2d(x, convolution.weight, convolution.bias, padding=1).relu()
    branch = backbone.branch[0]
    enhanced = nn.functional.conv2d(tapped, branch.weight, branch.bias, padding=3).relu()
    expected = torch.cat([x.mean((2, 3)), enhanced.mean((2, 3))], dim=1)
    torch.testing.assert_close(backbone(images), expected)


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (40, 72), (112, 96)])
def test_frames_of_any_size_give_vectors_of_one_size(size):
    for name in ("ecnn_fsa", "ecnn_lstm", "vgg16_lstm"):
        model = small(name).eval()
        assert model.forward_features(random(1, 3, 2, *size)).shape == (1, model.num_features)


def test_the_thirteen_convolutions_are_torchvisions(monkeypatch):
    torch.manual_seed(1)
    theirs = vgg16().features.eval()
    state = {f"features.{name}": value for name, value in theirs.state_dict().items()}
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **options: dict(state))
    images = random(1, 3, 64, 64)
    for name, part in (("ecnn_fsa", "trunk"), ("ecnn_lstm", "trunk"), ("vgg16_lstm", "maps")):
        options = {"states": (8,)} if "lstm" in name else {"fusion": "mean"}
        model = create_model(name, 7, **options)
        weights = import_module(f"dferlib.models.{name}").torchvision_weights(
            **model.spec["options"]
        )
        copy_backbone(model, weights)
        with torch.no_grad():
            torch.testing.assert_close(getattr(model.backbone, part)(images), theirs(images))


# ------------------------------------------------------------------------------------ attention


@torch.no_grad()
@pytest.mark.parametrize("readout", ["mean", "weights"])
@pytest.mark.parametrize("residual", [False, True])
def test_frame_attention_equals_explicit_loops(readout, residual):
    n, dim, s = 4, 6, 0.3
    torch.manual_seed(0)
    block, x = FrameAttention(dim, s, readout, residual).double(), random(2, n, dim).double()
    maps: dict = {}
    out = block(x, maps=maps)
    for b in range(2):
        q, k, v = (
            [layer.weight @ row for row in x[b]] for layer in (block.query, block.key, block.value)
        )
        weights = [[math.exp(s * float(q[i] @ k[j])) for j in range(n)] for i in range(n)]
        weights = [[w / sum(row) for w in row] for row in weights]
        rows = [sum(weights[i][j] * v[j] for j in range(n)) for i in range(n)]
        rows = [row + x[b, i] for i, row in enumerate(rows)] if residual else rows
        given = [sum(weights[i][j] for i in range(n)) / n for j in range(n)]
        share = given if readout == "weights" else [1 / n] * n
        expected = sum(w * row for w, row in zip(share, rows, strict=True))
        torch.testing.assert_close(out[b], expected)
        torch.testing.assert_close(maps["fsa"][b], torch.tensor(weights).double())
        torch.testing.assert_close(maps["frames"][b], torch.tensor(given).double())


@torch.no_grad()
def test_recording_the_maps_changes_nothing():
    model, clip = small("ecnn_fsa").eval(), random(2, 3, 5, 32, 32)
    lengths = torch.tensor([5, 3])
    plain = model(clip, lengths)
    assert model.attention == {}
    model.record_attention = True
    torch.testing.assert_close(model(clip, lengths), plain)
    assert model.attention["fsa"].shape == (2, 5, 5)
    assert model.attention["frames"].shape == (2, 5)
    torch.testing.assert_close(model.attention["frames"].sum(1), torch.ones(2))
    assert not model.attention["frames"][1, 3:].any()


@torch.no_grad()
def test_s_is_what_scores_are_multiplied_by():
    x = random(1, 5, 16)

    def weights(s: float) -> torch.Tensor:
        torch.manual_seed(0)
        maps: dict = {}
        FrameAttention(16, s)(x, maps=maps)
        return maps["fsa"][0]

    torch.testing.assert_close(weights(0.0), torch.full((5, 5), 0.2))
    ratio = weights(0.2).log() - weights(0.2).log()[:, :1]
    torch.testing.assert_close(ratio, 2 * (weights(0.1).log() - weights(0.1).log()[:, :1]))


@torch.no_grad()
def test_the_order_of_the_frames_counts_for_the_lstm_only():
    clip = random(2, 3, 5, 32, 32)
    mixed = clip[:, :, [3, 0, 4, 1, 2]]
    for fusion in ("fsa", "mean", "scores"):
        model = small("ecnn_fsa", fusion=fusion).eval()
        torch.testing.assert_close(model(mixed), model(clip))
    assert not torch.allclose(small("ecnn_lstm").eval()(mixed), small("ecnn_lstm").eval()(clip))


# -------------------------------------------------------------------------------- score fusion


@torch.no_grad()
def test_score_fusion_is_the_mean_of_the_frames_probabilities():
    model, clip = small("ecnn_fsa", fusion="scores").eval(), random(2, 3, 4, 32, 32)
    assert isinstance(model.head, ScoreFusion)
    single = torch.stack([model(clip[:, :, t : t + 1]).softmax(1) for t in range(4)])
    torch.testing.assert_close(model(clip).softmax(1), single.mean(0))
    torch.testing.assert_close(model(clip).exp().sum(1), torch.ones(2))


def test_padding_leaves_no_trace_in_the_gradients_of_score_fusion():
    clip, lengths = random(2, 3, 4, 32, 32), torch.tensor([4, 2])
    grads = []
    for padded in (clip, torch.where(torch.arange(4).view(1, 1, 4, 1, 1) < 2, clip, 9.0)):
        model = small("ecnn_fsa", fusion="scores", dropout=0.0)
        padded = torch.cat([clip[:1], padded[1:]])
        model(padded, lengths).square().sum().backward()
        grads.append([p.grad for p in model.parameters()])
    for first, second in zip(*grads, strict=True):
        assert first.isfinite().all()
        torch.testing.assert_close(first, second)


# ------------------------------------------------------------------------------------- lengths


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_a_padded_clip_is_the_clip_without_its_padding(name, options):
    model, clip = small(name, **options).eval(), random(3, 3, 6, 32, 32)
    lengths = torch.tensor([6, 4, 1])
    together = model(clip, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = model(clip[row : row + 1, :, :length])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


# -------------------------------------------------------------------------------- building, init


def test_a_stack_of_equal_layers_is_torchs():
    torch.manual_seed(0)
    ours, theirs = StackedLSTM(6, (5, 5)), nn.LSTM(6, 5, 2, batch_first=True)
    for layer, lstm in enumerate(ours.layers):
        for name, value in lstm.named_parameters():
            getattr(theirs, name.replace("l0", f"l{layer}")).data.copy_(value)
    x = random(2, 3, 6)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ecnn_fsa", {"fusion": "lstm"}, "scores"),
        ("ecnn_fsa", {"readout": "max"}, "weights"),
        ("ecnn_fsa", {"fc_layers": 3}, "1 or 2"),
        ("ecnn_fsa", {"tap": "pool4"}, "conv3_3"),
        ("ecnn_lstm", {"branch_kernel": 6}, "odd"),
        ("ecnn_lstm", {"states": ()}, "one size"),
    ],
)
def test_options_that_make_no_network_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, 7, **options)


def test_all_heads_share_the_pre_training_of_one_backbone():
    base = pretrained_as("ecnn_fsa", small("ecnn_fsa").spec["options"])
    assert base[0] == "ecnn_fsa"
    for options in ({"s": 0.2}, {"fusion": "scores"}, {"fc_layers": 2}):
        assert pretrained_as("ecnn_fsa", small("ecnn_fsa", **options).spec["options"]) == base
    model = small("ecnn_lstm")
    assert pretrained_as("ecnn_lstm", model.spec["options"]) == base
    wide = small("ecnn_lstm", branch_kernel=5)
    assert pretrained_as("ecnn_lstm", wide.spec["options"]) != base
    assert pretrained_as("vgg16_lstm", small("vgg16_lstm").spec["options"])[0] == "vgg16_lstm"
    trained = create_model(*base[:1], 8, **base[1])
    assert copy_backbone(model, trained.state_dict()) == 2 * (13 + 3 + 1)
    torch.testing.assert_close(model.backbone.branch[0].weight, trained.backbone.branch[0].weight)


@pytest.mark.parametrize("name", ["ecnn_fsa", "ecnn_lstm", "vgg16_lstm"])
def test_batch_norm_follows_every_convolution_when_asked_for(name):
    model = small(name, batch_norm=True)
    convolutions = sum(isinstance(m, nn.Conv2d) for m in model.modules())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == convolutions
    assert not any(isinstance(m, nn.BatchNorm2d) for m in small(name).modules())
