"""HACN: its equations against explicit loops, its sizes against worked numbers, its readings."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torchvision.models import WeightsEnum, resnet50

from dferlib.analysis.cost import count_cost
from dferlib.models import create_model
from dferlib.models.hacn import ATTENTION, MODES, TEMPORAL, relative, torchvision_weights
from dferlib.models.parts.frames import encode_frames
from dferlib.training.weights import copy_backbone

READINGS = [("none", "per_frame"), ("self", "per_frame"), *(("hybrid", mode) for mode in MODES)]
WAYS = [(*reading, temporal) for reading in READINGS for temporal in TEMPORAL]


def random(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def small(**options) -> nn.Module:
    torch.manual_seed(0)
    return create_model("hacn", 6, **{"width": 0.0625, **options})


# ------------------------------------------------------------------------------------------ sizes

RESNET50 = 23_508_032  # torchvision's, 25,557,032, without its classifier of 2,049,000
THETA, OMEGA = 2048 + 1, 4096 * 9 + 1
GRU = 1_622_784
HEAD = 128 * 7 + 7


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, RESNET50 + THETA + OMEGA + GRU + HEAD),
        ({"attention": "none"}, RESNET50 + 836_352 + HEAD),  # control group 1
        ({"temporal": "mean"}, RESNET50 + THETA + OMEGA + 4096 * 7 + 7),  # control group 2
        ({"attention": "self"}, RESNET50 + THETA + 836_352 + HEAD),
        ({"mode": "map"}, RESNET50 + THETA + 2048 * 9 + 1 + 836_352 + HEAD),
        ({"mode": "literal"}, RESNET50 + THETA + 2048 * 9 + 1 + 836_352 + HEAD),
    ],
)
def test_parameters_for_7_classes(options, parameters):
    with torch.device("meta"):
        model = create_model("hacn", 7, **options)
        cost = count_cost(model, (3, 5, 224, 224))
    assert cost.parameters == parameters
    assert cost.macs / 5 == pytest.approx(4.09e9, rel=0.001)  # of ResNet-50; the rest is nothing


def test_the_gru_has_its_printed_size():
    with torch.device("meta"):
        gru = create_model("hacn", 7).gru
    assert (gru.input_size, gru.hidden_size, gru.num_layers) == (4096, 128, 1)
    assert not gru.bidirectional
    assert sum(p.numel() for p in gru.parameters()) == GRU == 3 * (4096 * 128 + 128**2 + 2 * 128)


def test_the_trunk_is_torchvisions_resnet50(monkeypatch):
    torch.manual_seed(1)
    theirs = resnet50().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: theirs.state_dict())
    model = create_model("hacn", 7, attention="none", temporal="mean").eval()
    copy_backbone(model, torchvision_weights(**model.spec["options"]))
    theirs.fc = nn.Identity()
    clip = random(1, 3, 2, 64, 64)
    with torch.no_grad():
        expected = theirs(clip[0].transpose(0, 1)).mean(0)
        torch.testing.assert_close(model.forward_features(clip)[0], expected)


# -------------------------------------------------------------------------------------- equations


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def steps_by_loops(model: nn.Module, maps: torch.Tensor) -> list[list[float]]:
    """What the GRU reads of one clip's maps (k, C, h, w), by loops over frames and channels."""
    k, channels, height, width = maps.shape
    places = [(y, x) for y in range(height) for x in range(width)]
    value = maps.tolist()
    vectors = [
        [sum(value[i][c][y][x] for y, x in places) / len(places) for c in range(channels)]
        for i in range(k)
    ]
    theta, bias = model.frame_weights.theta.weight[0].tolist(), model.frame_weights.theta.bias[0]
    alpha = [sigmoid(sum(t * v for t, v in zip(theta, T, strict=True)) + bias) for T in vectors]
    if model.place_weights is None:
        return [[k * a * v / sum(alpha) for v in T] for a, T in zip(alpha, vectors, strict=True)]
    omega, shift = model.place_weights.omega.weight[0].tolist(), model.place_weights.omega.bias[0]
    if model.mode == "map":
        F = [
            [
                [
                    [k * alpha[i] * value[i][c][y][x] / sum(alpha) for x in range(width)]
                    for y in range(height)
                ]
                for c in range(channels)
            ]
            for i in range(k)
        ]
    else:
        g = [sum(alpha[i] * vectors[i][c] for i in range(k)) / sum(alpha) for c in range(channels)]
        joined = [vectors[i] + g for i in range(k)] if model.mode == "per_frame" else [g] * k
        F = [[[[v]] for v in row] for row in joined]
        places = [(0, 0)]
    inside = set(places)

    def weight(i: int, y: int, x: int) -> float:
        total = float(shift)
        for c, kernel in enumerate(omega):
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if (y + dy, x + dx) in inside:
                        total += kernel[dy + 1][dx + 1] * F[i][c][y + dy][x + dx]
        return sigmoid(total)

    beta = [{place: weight(i, *place) for place in places} for i in range(k)]
    result = []
    for i in range(k):
        row = []
        for c in range(len(F[i])):
            terms = [beta[i][y, x] / sum(b[y, x] for b in beta) * F[i][c][y][x] for y, x in places]
            row.append(k * sum(terms) / len(places))
        result.append(row)
    if model.mode == "literal":
        return [[sum(row[c] for row in result) / k for c in range(len(result[0]))]]
    return result


@torch.no_grad()
@pytest.mark.parametrize(("attention", "mode"), READINGS[1:])
def test_both_attentions_equal_equations_2_to_6(attention, mode):
    model = small(attention=attention, mode=mode).double().eval()
    model.attention, channels = {}, model.backbone.channels
    maps = random(2, 4, channels, 2, 3, dtype=torch.float64)
    y = model.attend(maps, None)
    for b in range(2):
        expected = torch.tensor(steps_by_loops(model, maps[b]), dtype=torch.float64)
        torch.testing.assert_close(y[b], expected, atol=1e-12, rtol=1e-9)


@torch.no_grad()
def test_the_gru_equals_its_equations_and_its_last_state_is_classified():
    model = small().double().eval()
    clip = random(2, 3, 5, 32, 32, dtype=torch.float64)
    y = model.attend(encode_frames(model.backbone, clip, None), None)
    gru, size = model.gru, 128
    state = torch.zeros(2, size, dtype=torch.float64)
    for step in range(5):
        new = y[:, step] @ gru.weight_ih_l0.T + gru.bias_ih_l0
        old = state @ gru.weight_hh_l0.T + gru.bias_hh_l0
        r = torch.sigmoid(new[:, :size] + old[:, :size])
        z = torch.sigmoid(new[:, size : 2 * size] + old[:, size : 2 * size])
        n = torch.tanh(new[:, 2 * size :] + r * old[:, 2 * size :])
        state = (1 - z) * n + z * state
    torch.testing.assert_close(model.forward_features(clip), state)
    torch.testing.assert_close(model(clip), state @ model.head.weight.T + model.head.bias)


@torch.no_grad()
def test_control_group_2_classifies_the_sums_of_equations_3_and_6():
    model = small(temporal="mean").double().eval()
    model.record_attention = True
    clip = random(2, 3, 5, 32, 32, dtype=torch.float64)
    features = model.forward_features(clip)
    vectors = encode_frames(model.backbone, clip, None).mean((3, 4))
    alpha, beta = (model.attention[name][..., None] for name in ("self", "hybrid"))
    g = (alpha * vectors).sum(1) / alpha.sum(1)
    c = torch.cat([vectors, g[:, None].expand_as(vectors)], 2)
    torch.testing.assert_close(features, (beta * c).sum(1) / beta.sum(1))


def test_without_attention_the_frames_are_read_as_they_are():
    model = small(attention="none").eval()
    clip = random(2, 3, 5, 32, 32)
    with torch.no_grad():
        vectors = encode_frames(model.backbone, clip, None).mean((3, 4))
        torch.testing.assert_close(model.forward_features(clip), model.gru(vectors)[1][0])
        model = small(attention="none", temporal="mean").eval()
        torch.testing.assert_close(model.forward_features(clip), vectors.mean(1))


# --------------------------------------------------------------------------------------- readings


def test_the_equations_as_printed_leave_one_step_and_a_second_attention_without_effect():
    model = small(mode="literal").double()
    clip, seen = random(2, 3, 5, 32, 32, dtype=torch.float64), []
    model.gru.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.record_attention = True
    model(clip).square().sum().backward()
    assert seen[0].shape[1] == 1
    assert torch.allclose(model.attention["hybrid"], model.attention["hybrid"][:, :1])
    gradient = {name: p.grad.abs().max().item() for name, p in model.named_parameters()}
    assert gradient["place_weights.omega.weight"] < 1e-12 * gradient["frame_weights.theta.weight"]
    before = model.eval()(clip)
    nn.init.normal_(model.place_weights.omega.weight)
    torch.testing.assert_close(model(clip), before, atol=1e-12, rtol=0)


def test_per_frame_keeps_five_steps_and_its_second_attention_counts():
    model, seen = small().double(), []
    model.gru.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    clip = random(2, 3, 5, 32, 32, dtype=torch.float64)
    model(clip).square().sum().backward()
    assert seen[0].shape == (2, 5, 2 * model.backbone.channels)
    weight = model.place_weights.omega.weight.grad
    assert weight[:, :, 1, 1].any()
    weight[:, :, 1, 1] = 0
    assert not weight.any()  # on a vector only the middle tap of the 3x3 convolution acts


def test_the_map_reading_gives_a_weight_to_each_place():
    model = small(mode="map", dropout=0.0)
    model.record_attention = True
    with torch.no_grad():  # in training mode: without statistics an untrained ResNet overflows
        model(random(2, 3, 5, 96, 64))
    assert model.attention["self"].shape == (2, 5)
    weights = model.attention["hybrid"]
    assert weights.shape == (2, 5, 3, 2)
    assert weights.std((2, 3)).min() > 0
    assert 0 < weights.min() < weights.max() < 1


@pytest.mark.parametrize(("attention", "mode", "temporal"), WAYS)
def test_every_combination_trains_and_ignores_padding(attention, mode, temporal):
    model = small(attention=attention, mode=mode, temporal=temporal)
    clip = random(3, 3, 5, 32, 32)
    model(clip).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert without == []
    model.eval()
    lengths = torch.tensor([2, 5, 1])
    with torch.no_grad():
        padded = model(clip, lengths)
        for b, n in enumerate(lengths.tolist()):
            alone = model(clip[b : b + 1, :, :n])[0]
            torch.testing.assert_close(padded[b], alone, atol=1e-5, rtol=1e-4)


def test_relative_weights_are_ratios_of_sigmoids_to_their_mean_even_where_these_round_to_zero():
    logits = random(2, 5, 3, 2, dtype=torch.float64)
    weights = logits.sigmoid()
    torch.testing.assert_close(relative(logits, None), weights / weights.mean(1, keepdim=True))
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    masked = weights * mask[..., None, None]
    shares = masked / masked.sum(1, keepdim=True)
    counts = torch.tensor([5.0, 2.0], dtype=torch.float64)[:, None, None, None]
    torch.testing.assert_close(relative(logits, mask), counts * shares)
    tiny = torch.tensor([[-200.0, -200.0 + math.log(3)]])
    assert not tiny.sigmoid().any()
    torch.testing.assert_close(relative(tiny, None), torch.tensor([[0.5, 1.5]]))


@torch.no_grad()
@pytest.mark.parametrize(("attention", "mode"), READINGS[1:])
def test_the_gru_reads_numbers_of_the_size_that_control_group_1_gives_it(attention, mode):
    model, lengths = small(attention=attention, mode=mode).eval(), torch.tensor([5, 2])
    maps = random(2, 5, model.backbone.channels, 2, 2).abs()
    mask = torch.arange(5) < lengths[:, None]
    y = model.attend(maps, mask)
    for clip, n in enumerate(lengths.tolist()):
        read, control = y[clip, :n].mean().item(), maps[clip, :n].mean().item()
        assert read == pytest.approx(control, rel=0.02)  # weights are near even at the start


def test_dropout_stands_in_front_of_the_weights_only():
    model = small(dropout=0.9)
    drops = [name for name, module in model.named_modules() if isinstance(module, nn.Dropout)]
    assert drops == ["frame_weights.dropout", "place_weights.dropout"]
    model.backbone.eval()
    maps = random(1, 5, model.backbone.channels, 1, 1)
    model.attention = {}
    first, second = model.attend(maps, None), model.attend(maps, None)
    assert not torch.equal(first, second)
    model.eval()
    torch.testing.assert_close(model.attend(maps, None), model.attend(maps, None))


def test_wrong_options_are_refused():
    for name, value, valid in (
        ("attention", "both", ATTENTION),
        ("mode", "printed", MODES),
        ("temporal", "lstm", TEMPORAL),
    ):
        with pytest.raises(ValueError, match=f"{name} is '{value}'; valid: {', '.join(valid)}"):
            small(**{name: value})
    with pytest.raises(ValueError, match="use attention='hybrid'"):
        small(attention="self", mode="map")
    with pytest.raises(ValueError, match=r"width 1 only.*width 0.5"):
        torchvision_weights(width=0.5)
