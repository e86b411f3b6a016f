"""Every model keeps the interface; STCAM's equations, counts and shapes are the paper's."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dferlib.models import create_model, list_models, list_options
from dferlib.models.parts.non_local import NonLocal
from dferlib.models.parts.stem import ClipConv3d, guard_convolutions
from dferlib.models.stcam import (
    ATTENTION,
    STAGES,
    Attention,
    ChannelAttention,
    SpatialTemporalAttention,
)

CLASSES = 6


def small(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    if "width" in list_options(name):
        options = {"width": 0.25, **options}
    return create_model(name, CLASSES, **options)


def frames_of(name: str) -> int:
    """Seven frames, or two for each of seven clips."""
    return 14 if "num_clips" in list_options(name) else 7


def random(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def open_nonlocal(model: nn.Module) -> nn.Module:
    """Give zero-initialised non-local blocks weight, so that something passes through them."""
    for module in model.modules():
        if isinstance(module, NonLocal):
            nn.init.normal_(module.w_z[1].weight)
    return model


# ----------------------------------------------------------------------------------- every model


@pytest.mark.parametrize("name", list_models())
def test_interface(name):
    model = small(name).eval()
    clip = random(2, 3, frames_of(name), 64, 64)
    seen = []
    handle = model.cam_layer.register_forward_hook(lambda *args: seen.append(args[2]))
    logits, features = model(clip), model.forward_features(clip)
    handle.remove()
    assert logits.shape == (2, CLASSES)
    assert torch.isfinite(logits).all()
    assert features.ndim == 2
    assert len(features) == 2
    torch.testing.assert_close(model.head(features), logits)
    if hasattr(model, "cam_reshape"):
        seen[0] = model.cam_reshape(seen[0], frames_of(name))
    assert seen[0].ndim == 5
    assert seen[0].shape[0] == 2


@pytest.mark.parametrize("name", list_models())
def test_a_clip_does_not_depend_on_its_batch(name):
    model = small(name).eval()
    clip = random(3, 3, frames_of(name), 32, 32)
    torch.testing.assert_close(model(clip)[1:2], model(clip[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", list_models())
def test_gradient_reaches_every_parameter(name):
    model = small(name).train()
    model(random(4, 3, frames_of(name), 32, 32)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", list_models())
def test_the_same_seed_gives_the_same_model(name):
    first, second = small(name).state_dict(), small(name).state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


# -------------------------------------------------------------------------------------- registry


def test_only_files_with_a_build_are_models():
    names = list_models()
    assert {"stcam", "peak_cnn"} <= set(names)
    assert not any(name.startswith("_") for name in names)


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="did you mean 'stcam'"):
        create_model("stcan", 7)
    with pytest.raises(ValueError, match=r"did you mean 'width'.*temporal_strides"):
        create_model("stcam", 7, widht=1)
    with pytest.raises(ValueError, match="nl-embedded"):
        create_model("stcam", 7, attention="cbam")
    with pytest.raises(ValueError, match="num_classes is 1"):
        create_model("stcam", 1)
    with pytest.raises(ValueError, match="width is 0"):
        create_model("stcam", 7, width=0)
    with pytest.raises(ValueError, match="temporal_strides"):
        create_model("stcam", 7, temporal_strides=(1, 3))


# ------------------------------------------------------------------------------- STCAM: equations


def test_channel_attention_equals_equations_1_to_3():
    channels, size = 8, (2, 3, 4)
    block = ChannelAttention(channels, 4).double()
    x = random(2, channels, *size, dtype=torch.float64)
    w1, w2 = block.mlp[0].weight, block.mlp[2].weight
    out, weights = block(x)
    for b in range(2):
        average, maximum = [], []
        for c in range(channels):
            values = [x[b, c, t, h, w].item() for t in range(2) for h in range(3) for w in range(4)]
            average.append(sum(values) / len(values))
            maximum.append(max(values))
        logits = [0.0] * channels
        for pooled in (average, maximum):
            hidden = [max(0.0, sum(w1[i, c].item() * pooled[c] for c in range(8))) for i in (0, 1)]
            for c in range(channels):
                logits[c] += sum(w2[c, i].item() * hidden[i] for i in (0, 1))
        for c in range(channels):
            weight = 1 / (1 + math.exp(-logits[c]))
            assert weights[b, c].item() == pytest.approx(weight, abs=1e-12)
            torch.testing.assert_close(out[b, c], weight * x[b, c], atol=1e-12, rtol=0)


def test_spatial_temporal_attention_equals_equations_4_to_6():
    channels, (depth, height, width), kernel = 3, (3, 4, 5), (3, 5, 5)
    block = SpatialTemporalAttention(kernel).double()
    x = random(1, channels, depth, height, width, dtype=torch.float64)
    out, weights = block(x)
    places = [(t, h, w) for t in range(depth) for h in range(height) for w in range(width)]
    pooled = {}
    for t, h, w in places:
        values = [x[0, c, t, h, w].item() for c in range(channels)]
        pooled[t, h, w] = (sum(values) / channels, max(values))
    for t, h, w in places:
        total = 0.0
        for i in range(3):
            for j in range(5):
                for k in range(5):
                    found = pooled.get((t + i - 1, h + j - 2, w + k - 2), (0.0, 0.0))
                    for p in (0, 1):
                        total += block.conv.weight[0, p, i, j, k].item() * found[p]
        weight = 1 / (1 + math.exp(-total))
        assert weights[0, t, h, w].item() == pytest.approx(weight, abs=1e-12)
        torch.testing.assert_close(out[0, :, t, h, w], weight * x[0, :, t, h, w])


def test_the_order_of_the_two_attentions_is_the_named_one():
    for kind, first in (("3dcam+stam", ChannelAttention), ("stam+3dcam", SpatialTemporalAttention)):
        place = Attention(kind, "inception_b", 16, 16)
        assert isinstance(place.parts[0], first)
        x = random(1, 16, 2, 4, 4)
        expected = place.parts[1](place.parts[0](x)[0])[0]
        torch.testing.assert_close(place(x), expected)


def test_attention_sits_before_the_shortcut_and_after_the_concatenation():
    model = small("stcam").eval()
    x = random(1, model.inception_a.project[0].out_channels, 2, 4, 4)
    block = model.inception_a
    branch = block.attention(block.project(block.branches(x)))
    torch.testing.assert_close(block(x), F.relu(branch + x))
    block = model.reduction_a
    torch.testing.assert_close(block(x), block.attention(block.branches(x)))


# ------------------------------------------------------------------------------ non-local blocks


@pytest.mark.parametrize("embedded", [False, True])
def test_nonlocal_block_equals_explicit_loops(embedded):
    block = NonLocal(4, embedded=embedded, subsample=False).double().eval()
    nn.init.normal_(block.w_z[1].weight)
    x = random(1, 4, 2, 2, 3, dtype=torch.float64)
    flat = [x.flatten(2)[0, :, i] for i in range(12)]

    def project(layer, v):
        with torch.no_grad():
            return layer.weight[:, :, 0, 0, 0] @ v + (0 if layer.bias is None else layer.bias)

    z = block(x).flatten(2)[0]
    for i in range(12):
        weights = []
        for j in range(12):
            theta, phi = flat[i], flat[j]
            if embedded:
                theta, phi = project(block.theta, theta), project(block.phi[0], phi)
            weights.append(math.exp(float(theta @ phi)))
        y = sum(w * project(block.g[0], v) for w, v in zip(weights, flat, strict=True))
        conv, norm = block.w_z
        y = project(conv, y / sum(weights)) / math.sqrt(1 + norm.eps) * norm.weight + norm.bias
        torch.testing.assert_close(z[:, i], flat[i] + y, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("kind", ["nl-gaussian", "nl-embedded"])
def test_a_new_nonlocal_network_is_the_baseline(kind):
    model, baseline = small("stcam", attention=kind).eval(), small("stcam", attention="none").eval()
    missing = model.load_state_dict(baseline.state_dict(), strict=False).missing_keys
    assert missing
    assert all(".attention." in key for key in missing)
    clip = random(1, 3, 7, 32, 32)
    torch.testing.assert_close(model(clip), baseline(clip))
    assert not torch.allclose(open_nonlocal(model)(clip), baseline(clip))


def test_subsampling_keeps_every_output_position():
    block = NonLocal(4, embedded=True, subsample=True)
    keys = []
    block.phi.register_forward_hook(lambda *args: keys.append(args[2].shape))
    assert block(random(2, 4, 2, 5, 4)).shape == (2, 4, 2, 5, 4)
    assert keys[0] == (2, 2, 2, 3, 2)


# ------------------------------------------------------------------------- STCAM: counts, shapes


def test_parameters_equal_the_resolved_plan():
    counts = {
        kind: sum(p.numel() for p in create_model("stcam", 7, attention=kind).parameters())
        for kind in ATTENTION[:5]
    }
    baseline = 6_842_567
    assert counts == {
        "none": baseline,
        "3dcam": baseline + 374_848,
        "stam": baseline + 894,
        "stam+3dcam": 7_218_309,
        "3dcam+stam": 7_218_309,
    }


def test_reduction_ratio_and_kernels_are_the_papers():
    model = create_model("stcam", 7)
    places = {stage: getattr(model, stage).attention.parts for stage in STAGES[1:]}
    inner = [places[stage][0].mlp[0].out_features for stage in STAGES[1:]]
    assert inner == [192 // 16, 576 // 16, 576 // 16, 1072 // 16, 1072 // 16]
    kernels = [places[stage][1].conv.kernel_size for stage in STAGES[1:]]
    assert kernels == [(3, 7, 7)] + [(3, 5, 5)] * 4
    first = model.stem[0][0]
    assert (first.kernel_size, first.stride) == ((3, 7, 7), (1, 2, 2))


@pytest.mark.parametrize(
    ("strides", "times"), [((1, 1), (7, 7, 7, 7, 7, 7)), ((2, 2), (7, 7, 4, 4, 2, 2))]
)
def test_shapes_at_the_papers_size(strides, times):
    model = create_model("stcam", 7, temporal_strides=strides).to("meta").eval()
    shapes = {}
    for stage in STAGES:
        module = getattr(model, stage)
        module.register_forward_hook(lambda *args, s=stage: shapes.update({s: args[2].shape[1:]}))
    features = model.forward_features(torch.empty(1, 3, 7, 224, 224, device="meta"))
    grids = (28, 28, 14, 14, 7, 7)
    channels = (192, 192, 576, 576, 1072, 1072)
    for stage, c, t, side in zip(STAGES, channels, times, grids, strict=True):
        assert tuple(shapes[stage]) == (c, t, side, side), stage
    assert features.shape == (1, 1072)


@pytest.mark.parametrize("kind", ATTENTION)
def test_every_attention_trains_at_32_pixels(kind):
    model = open_nonlocal(small("stcam", attention=kind)).train()
    model(random(2, 3, 7, 32, 32)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("width", [0.1, 0.3, 0.37, 0.5, 1.3])
def test_any_width_fits_together(width):
    model = create_model("stcam", 3, width=width, dropout=0.5).eval()
    assert model.forward_features(random(1, 3, 2, 32, 32)).shape == (1, model.num_features)
    assert abs(model.num_features / (1072 * width) - 1) < 0.15


def test_recorded_attention_has_the_documented_shapes():
    model = small("stcam").eval()
    clip = random(2, 3, 7, 64, 64)
    model(clip)
    assert model.attention == {}
    model.record_attention = True
    model(clip)
    for stage, side in zip(STAGES[1:], (8, 4, 4, 2, 2), strict=True):
        stam, cam = model.attention[f"{stage}.stam"], model.attention[f"{stage}.3dcam"]
        assert stam.shape == (2, 7, side, side)
        assert cam.shape == (2, getattr(model, stage).attention.parts[0].mlp[0].in_features)
        assert stam.min() > 0
        assert stam.max() < 1
        assert not stam.requires_grad


def test_lengths_and_wrong_shapes_are_refused():
    model = small("stcam")
    with pytest.raises(ValueError, match="fixed number of frames"):
        model(random(1, 3, 7, 32, 32), lengths=torch.tensor([5]))
    with pytest.raises(ValueError, match=r"\(1, 7, 3, 32, 32\)"):
        model(random(1, 7, 3, 32, 32))


# ---------------------------------------------------------------------------------- peak_cnn


def test_the_peak_model_sees_one_frame_only():
    model = small("peak_cnn").eval()
    clip, other = random(2, 3, 7, 32, 32), random(2, 3, 7, 32, 32, seed=1)
    other[:, :, -1] = clip[:, :, -1]
    torch.testing.assert_close(model(clip), model(other))
    padded = torch.cat([clip, torch.zeros(2, 3, 2, 32, 32)], dim=2)
    torch.testing.assert_close(model(padded, lengths=torch.tensor([7, 7])), model(clip))
    with pytest.raises(ValueError, match="frame 0"):
        small("peak_cnn", frame=0)(clip, lengths=torch.tensor([7, 7]))


@pytest.mark.parametrize(
    ("channels", "frames", "kernel"),
    [(3, 1, 3), (3, 1, 7), (3, 5, 3), (3, 5, 7), (3, 8, 3), (3, 8, 7), (12, 1, 3)],
)
def test_convolutions_are_sound_on_a_processor(channels, frames, kernel):
    # The library's kernels read past such an input; freed memory full of nan makes it show.
    shape = (channels, 16, (kernel, 7, 7), (2, 2, 2), (kernel // 2, 3, 3))
    found, exact = guard_convolutions(nn.Conv3d(*shape)), nn.Conv3d(*shape).double()
    exact.load_state_dict(found.state_dict())
    clip = torch.randn(4, channels, frames, 48, 48)
    expected = exact(clip.double())
    expected.square().mean().backward()
    near = {"rtol": 1e-4, "atol": 1e-4} if channels == 3 else {"rtol": 0.05, "atol": 0.05}
    for _ in range(5):
        for size in range(10, 20):
            torch.full((1 << size,), torch.nan)
        with torch.autocast("cpu", torch.bfloat16):
            features = found(clip.contiguous(memory_format=torch.channels_last_3d))
        torch.testing.assert_close(features.double(), expected, **near)
        found.zero_grad()
        features.float().square().mean().backward()
        torch.testing.assert_close(found.weight.grad.double(), exact.weight.grad, **near)


def test_every_3d_convolution_of_every_model_is_guarded():
    guarded = []
    for name in list_models():
        for module in create_model(name, num_classes=6).modules():
            if isinstance(module, nn.Conv3d):
                guarded.append(name)
                assert isinstance(module, ClipConv3d), name
    assert {"stcam", "c3d", "r2plus1d_18"} <= set(guarded)


@pytest.mark.parametrize("kind", ["3dcam", "stam", "3dcam+stam"])
def test_stcams_attention_starts_near_one_half(kind):
    """Drawn like a convolution before a ReLU, f gives weights near 0 or 1 to many places."""
    for seed in range(3):
        torch.manual_seed(seed)
        model = create_model("stcam", 6, attention=kind, width=0.25).train()
        model.record_attention = True
        model(torch.randn(4, 3, 7, 32, 32))
        assert all(((v - 0.5).abs() < 0.1).all() for v in model.attention.values())
