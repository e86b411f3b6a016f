"""Costs against hand formulas; class activation maps against grad-cam itself and known truth."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dferlib.analysis.cost import count_cost, frame_times, latency
from dferlib.analysis.explain import (
    METHODS,
    attention_maps,
    attention_of_rows,
    enlarge_maps,
    grad_cam,
    mass_inside,
    pointing_game,
)
from dferlib.analysis.fine_layer import MOUTH_GRID, fine_layer
from dferlib.models import create_model


def small(name: str = "stcam", **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, 6, width=0.25, **options)


# ------------------------------------------------------------------------------------------ cost


class Mixed(nn.Module):
    """Layers whose kernels hide from counters: attention, a recurrent layer, a 3-D convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 8, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, clip):
        x = self.conv(clip).mean((3, 4)).mT
        return self.lstm(self.encoder(x))[0]


def test_macs_equal_the_hand_formula():
    t, size = 5, 16
    conv = t * 8 * 8 * 8 * 3 * 75
    attention = t * (4 * 8 * 8) + 2 * t * t * 8 + t * 2 * 8 * 16
    lstm = t * 4 * 4 * (8 + 4)
    cost = count_cost(Mixed(), (3, t, size, size))
    assert cost.macs == conv + attention + lstm


def test_stcam_costs_15_gmacs_at_the_papers_size():
    cost = count_cost(create_model("stcam", 7), (3, 7, 224, 224))
    assert cost.parameters == 7_218_309
    assert cost.macs == 15_237_591_268
    strided = count_cost(create_model("stcam", 7, temporal_strides=(2, 2)), (3, 7, 224, 224))
    assert strided.macs < cost.macs


def test_counting_leaves_model_and_switches_alone():
    model = small().train()
    before = copy.deepcopy(model.state_dict())
    fused, mkldnn = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    count_cost(model, (3, 7, 32, 32))
    assert model.training
    assert next(model.parameters()).device.type == "cpu"
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled() == fused
    assert torch.backends.mkldnn.enabled == mkldnn


def test_a_wrong_shape_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="7, 224"):
        count_cost(small(), (7, 224))


def test_latency_is_positive_and_restores_the_mode():
    model = small("peak_cnn").train()
    times = latency(model, (3, 7, 32, 32), repeats=3)
    assert 0 < times.low <= times.median <= times.high
    assert model.training


# --------------------------------------------------------------------------------------- explain


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return torch.rand(2, 3, 7, 64, 64, generator=torch.Generator().manual_seed(1))


def test_frame_times_of_models_stand_side_by_side():
    models = {
        name: create_model(name, 7, width=0.05, **options)
        for name, options in (("ecnn_fsa", {}), ("vgg16_lstm", {"states": (8,)}))
    }
    before = {n: v.clone() for n, v in models["ecnn_fsa"].state_dict().items()}
    times = frame_times(models, (3, 2, 32, 32), batch_size=2, repeats=3)
    assert list(times["model"]) == ["ecnn_fsa", "ecnn_fsa", "vgg16_lstm", "vgg16_lstm"]
    assert list(times["phase"]) == ["training", "testing"] * 2
    assert (times["low"] > 0).all()
    assert (times["low"] <= times["ms"]).all()
    assert (times["ms"] <= times["high"]).all()
    after = models["ecnn_fsa"].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert models["ecnn_fsa"].training


def test_frame_times_count_frames(monkeypatch):
    from dferlib.analysis import cost

    monkeypatch.setattr(cost, "_time_once", lambda step, clip: 60.0)
    models = {"a": create_model("vgg16_lstm", 7, width=0.05, states=())}
    times = frame_times(models, (3, 5, 32, 32), batch_size=4, repeats=1)
    assert times["ms"].tolist() == [3.0, 3.0]


@pytest.mark.parametrize("method", METHODS)
def test_maps_have_the_clips_shape_and_range(method, clips):
    maps = grad_cam(small(), clips, method=method)
    assert maps.shape == (2, 7, 64, 64)
    assert torch.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert maps.flatten(1).std(1).min() > 0


@pytest.mark.parametrize("layer", ["inception_c", "inception_a"])
def test_maps_equal_grad_cams_own_at_low_resolution(layer, clips):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = small().eval()
    module = model.get_submodule(layer)
    chosen = [ClassifierOutputTarget(2), ClassifierOutputTarget(4)]
    with GradCAM(model=model, target_layers=[module]) as cam:
        cam(input_tensor=clips, targets=chosen)
        found = cam.activations_and_grads
        activations, grads = found.activations[0].numpy(), found.gradients[0].numpy()
        raw = cam.get_cam_image(clips, module, chosen, activations, grads).clip(0)
    low, high = (f(raw, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    expected = (raw - low) / (high - low)
    maps = grad_cam(model, clips, [2, 4], layer=module, enlarge=False)
    np.testing.assert_allclose(maps.numpy(), expected, atol=1e-5)


def test_grad_cam_equals_a_slow_reference(clips):
    """Of an untrained network some maps are empty: nothing speaks for the class."""
    model = small().eval()
    seen = []
    handle = model.inception_a.register_forward_hook(lambda *args: seen.append(args[2]))
    logits = model(clips)
    handle.remove()
    empty = 0
    for label in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), seen, retain_graph=True)
        weights = gradient.mean((2, 3, 4))
        raw = torch.zeros(2, 7, 8, 8)
        for clip in range(2):
            for channel in range(weights.shape[1]):
                raw[clip] += (weights[clip, channel] * seen[0][clip, channel]).detach()
        raw = raw.clamp(min=0)
        low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
        scaled = torch.where(high > 0, (raw - low) / (high - low), torch.zeros(()))
        maps = grad_cam(model, clips, [label, label], layer=model.inception_a)
        torch.testing.assert_close(maps, enlarge_maps(scaled, (7, 64, 64)), atol=1e-5, rtol=0)
        empty += int((high == 0).sum())
    assert empty < 6  # of twelve


def test_the_model_comes_back_as_it_was(clips):
    model = small().train()
    model.stem.eval()  # a frozen part must stay in evaluation mode
    model.head[0].weight.requires_grad_(False)
    model(clips).sum().backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    state = copy.deepcopy(model.state_dict())
    grad_cam(model, clips)
    attention_maps(model, clips)
    assert model.training
    assert not model.stem.training
    assert model.head.training
    assert not model.head[0].weight.requires_grad
    assert model.head[0].bias.requires_grad
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    after = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert after.keys() == grads.keys()
    assert all(torch.equal(after[name], grads[name]) for name in grads)
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())
    assert model.record_attention is False
    assert model.attention == {}


def test_a_frozen_model_can_be_explained_even_without_grad(clips):
    model = small().requires_grad_(False)
    with torch.no_grad():
        maps = grad_cam(model, clips, [0, 1])
    expected = grad_cam(small(), clips, [0, 1])
    torch.testing.assert_close(maps, expected)


def test_the_peak_frame_models_map_lies_on_its_frame(clips):
    maps = grad_cam(small("peak_cnn"), clips)
    assert maps.shape == (2, 7, 64, 64)
    assert maps[:, :6].abs().max() == 0
    assert maps[:, 6].max() > 0


def test_attention_maps_are_named_and_detached(clips):
    maps = attention_maps(small(), clips)
    assert len(maps) == 10
    assert maps["inception_a.stam"].shape == (2, 7, 8, 8)
    assert not any(value.requires_grad for value in maps.values())
    assert attention_maps(small("peak_cnn"), clips) == {}


def test_attention_of_many_rows_is_that_of_their_clips(clips):
    model, asked = small(), []

    class Loader:
        def gather(self, rows):
            asked.append(len(rows))
            return clips[rows]

    rows = np.array([1, 0, 1])
    found = attention_of_rows(model, Loader(), rows, at_once=2)
    assert asked == [2, 1]
    for name, value in attention_maps(model, clips[rows]).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)


def test_bad_arguments_say_what_is_valid(clips):
    with pytest.raises(ValueError, match="eigencam"):
        grad_cam(small(), clips, method="scorecam")
    with pytest.raises(ValueError, match="1 targets for 2 clips"):
        grad_cam(small(), clips, [0])


def test_scores_of_maps_with_known_answers():
    masks = torch.zeros(2, 1, 4, 4)
    masks[:, :, :2] = 1  # upper half
    maps = torch.zeros(2, 1, 8, 8)
    maps[0, 0, 1, 1], maps[0, 0, 6, 6] = 3.0, 1.0  # three quarters above, peak above
    maps[1] = 1.0  # uniform
    assert mass_inside(maps, masks).tolist() == [0.75, 0.5]
    assert pointing_game(maps, masks).tolist() == [1.0, 0.5]
    assert mass_inside(maps, (masks * 255).to(torch.uint8)).tolist() == [0.75, 0.5]
    assert torch.isnan(mass_inside(torch.zeros_like(maps), masks)).all()
    with pytest.raises(ValueError, match="differ"):
        mass_inside(maps, masks[:1])


class Detector(nn.Module):
    """Answers "is there something bright?" from a map that shows where; its truth is known."""

    def __init__(self) -> None:
        super().__init__()
        self.cam_layer = nn.Conv3d(3, 1, 4, stride=(1, 4, 4), bias=False, padding="valid")
        self.head = nn.Linear(1, 2, bias=False)
        nn.init.constant_(self.cam_layer.weight, 1 / 192)
        self.head.weight.data = torch.tensor([[-1.0], [1.0]])

    def forward(self, clip, lengths=None):
        padded = nn.functional.pad(clip, (0, 0, 0, 0, 3, 0))  # the map's frame t ends at t
        return self.head(torch.relu(self.cam_layer(padded)).mean((2, 3, 4)))


def test_a_planted_cue_is_found_where_and_when_it_is():
    clips, masks = torch.zeros(3, 3, 6, 32, 32), torch.zeros(3, 6, 16, 16)
    for clip, corner in enumerate((0, 8, 20)):
        clips[clip, :, 5, corner : corner + 8, corner : corner + 8] = 1
        masks[clip, 5, corner // 2 : corner // 2 + 4, corner // 2 : corner // 2 + 4] = 1
    maps = grad_cam(Detector(), clips, [1, 1, 1])
    assert (pointing_game(maps, masks) == 1).all()
    assert mass_inside(maps, masks).mean() > 0.6 > 0.1 > mass_inside(maps.roll(1, 0), masks).mean()
    assert (maps[:, :5] == 0).all()


def test_the_finer_block_is_the_last_that_can_show_a_mouth(clips):
    def name(model, cells=MOUTH_GRID):
        return fine_layer(model, clips[:1], cells, blocks=True).name

    assert name(small()) == "inception_a"
    assert name(small("hacn")) == "backbone.layer2"
    assert name(small("ecnn_fsa")) == "backbone.branch"
    assert name(small("ceflnet", num_clips=1)) == "backbone.maps.layer2"
    assert fine_layer(small(), clips[:1], 64, blocks=True).side < 64  # none has as many
