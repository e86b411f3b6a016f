"""CEFLNet, FAN and C3D's two profiles: against frame loops, PyTorch's layers and printed counts."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet18

from dferlib.models import create_model
from dferlib.models.ceflnet import PARTS, Intensity, PlainSelfAttention, Relation, SelfAttention
from dferlib.models.parts.grouped_norm import PositionBatchNorm2d


def small(name: str = "ceflnet", **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, 6, **{"width": 0.25, **options})


def random(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# ---------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize(
    ("name", "classes", "options", "parameters"),
    [
        ("ceflnet", 6, {}, 12_828_807),
        ("ceflnet", 7, {}, 12_828_872),
        ("ceflnet", 6, {"norm": "position"}, 12_828_807),
        ("ceflnet", 6, {"reading": "equations"}, 12_230_215),
        ("ceflnet", 6, {"parts": "none"}, 11_176_512 + 513 * 6),
        ("fan", 7, {}, 11_185_225),
        ("fan", 7, {"attention": "self"}, 11_180_616),
        ("fan", 7, {"both_heads": True}, 11_188_816),
        ("fan", 7, {"both_heads": True, "attention": "self"}, 11_188_816 - 1025),
        ("c3d", 487, {"batch_norm": False}, 79_991_015),
        ("c3d", 6, {"batch_norm": False}, 78_020_358),
    ],
)
def test_parameters_are_the_printed_ones(name, classes, options, parameters):
    assert count(create_model(name, classes, **options)) == parameters


def test_parts_add_the_parameters_of_the_fact_sheet():
    model = create_model("ceflnet", 6)
    added = {name: count(getattr(model, name)) for name in ("sal", "lrl", "eian", "head")}
    assert added == {"sal": 1_050_624 + 1024, "lrl": 1025 + 524_800, "eian": 512, "head": 74_310}


# ------------------------------------------------------------------------- one batch, or one loop


def frame_by_frame(model: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """The release reading as a loop over clips and frames, one image batch at a time."""
    n, vectors = model.num_clips, []
    K = clip.shape[2] // n
    for i in range(n):
        f = [model.backbone(clip[:, :, i * K + k]) for k in range(K)]
        attended, _ = model.sal(torch.stack(f, 1), False)
        whole = attended[:, 0]
        for k in range(1, K):
            whole = torch.maximum(whole, attended[:, k])
        total, weights = 0.0, 0.0
        for k in range(K):
            pair = torch.cat([f[k], whole], 1)
            w = torch.sigmoid(model.lrl.score(model.lrl.dropout(pair)))
            total, weights = total + w * pair, weights + w
        vectors.append(model.lrl.project(total / weights))
    kernel = model.eian.score.weight[0, :, 0]
    scores = torch.stack([r @ kernel for r in vectors], 1).softmax(1)
    scaled = torch.stack([scores[:, i, None] * r for i, r in enumerate(vectors)], 1)
    return model.head(scaled.max(1).values)


@pytest.mark.parametrize("norm", ["batch", "position"])
def test_one_batch_equals_a_loop_over_frames(norm):
    model = small(width=1.0, norm=norm).eval()
    clip = random(2, 3, 14, 48, 48)
    with torch.no_grad():
        assert (model(clip) - frame_by_frame(model, clip)).abs().max() < 1e-5


def test_position_norm_trains_as_a_loop_over_positions_does():
    """Outputs, gradients and running statistics of one call are those of T calls in a row."""
    torch.manual_seed(0)
    B, T = 4, 6
    loop = nn.BatchNorm2d(5)
    nn.init.normal_(loop.weight)
    together = PositionBatchNorm2d(5)
    together.load_state_dict(loop.state_dict())
    together.positions = T
    for step in range(3):
        frames = random(B * T, 5, 3, 4, seed=step).requires_grad_()
        twin = frames.detach().clone().requires_grad_()
        out = together(frames).unflatten(0, (B, T))
        expected = torch.stack([loop(twin.unflatten(0, (B, T))[:, t]) for t in range(T)], 1)
        torch.testing.assert_close(out, expected)
        (out**3).sum().backward()
        (expected**3).sum().backward()
        torch.testing.assert_close(frames.grad, twin.grad, atol=1e-4, rtol=1e-4)
    for name, value in loop.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name], value)
    torch.testing.assert_close(together.weight.grad, loop.weight.grad, atol=1e-4, rtol=1e-4)
    loop.eval(), together.eval()
    torch.testing.assert_close(together(frames), loop(frames))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_position_norm_gives_the_whole_network_the_loops_training_step(dtype):
    model = small(norm="position", num_clips=3).train().to(dtype)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    loop, clip = copy.deepcopy(model), random(3, 3, 6, 64, 64).to(dtype)
    for module in loop.modules():
        if isinstance(module, PositionBatchNorm2d):
            module.positions = 1
    torch.testing.assert_close(model(clip), frame_by_frame(loop, clip), atol=1e-4, rtol=1e-4)
    running = model.backbone.maps.bn1.running_var, loop.backbone.maps.bn1.running_var
    torch.testing.assert_close(*running)
    mixed = small(norm="batch", num_clips=3).train().to(dtype)
    assert (mixed.encode(clip) - model.encode(clip)).abs().max() > 1e-3


# -------------------------------------------------------------------------------------- equations


def test_sal_as_published_is_pytorchs_multi_head_attention():
    torch.manual_seed(0)
    ours, theirs = SelfAttention(16, 4).eval(), nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        for bias in (ours.qkv.bias, ours.project.bias):
            nn.init.normal_(bias)
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.load_state_dict(ours.project.state_dict())
    f = random(3, 5, 16)
    read, expected = theirs(f, f, f, average_attn_weights=False)
    out, weights = ours(f, True)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(out, F.layer_norm(f + read, (16,)))


def test_sal_as_printed_is_equation_1():
    layer, f = PlainSelfAttention(8), random(1, 3, 8)
    q, k, v = (x(f)[0] for x in (layer.query, layer.key, layer.value))
    out, weights = layer(f, True)
    for i in range(3):
        grades = [math.exp((q[i] @ k[j]).item() / math.sqrt(8)) for j in range(3)]
        expected = sum(g * v[j] for j, g in enumerate(grades)) / sum(grades)
        torch.testing.assert_close(out[0, i], expected)
        assert weights[0, 0, i, 1].item() == pytest.approx(grades[1] / sum(grades), abs=1e-6)


@pytest.mark.parametrize("raw", [True, False])
def test_lrl_is_equations_2_and_3(raw):
    layer = Relation(4, raw).eval()
    f, attended = random(1, 3, 4), random(1, 3, 4, seed=1)
    whole = [max(attended[0, k, c].item() for k in range(3)) for c in range(4)]
    rows, weights = [], []
    for k in range(3):
        frame = (f if raw else attended)[0, k].tolist()
        pair = frame + whole
        z = sum(a * b for a, b in zip(pair, layer.score.weight[0].tolist(), strict=True))
        weights.append(1 / (1 + math.exp(-z - layer.score.bias.item())))
        rows.append(pair if raw else frame)
    mean = [
        sum(w * row[c] for w, row in zip(weights, rows, strict=True)) / sum(weights)
        for c in range(len(rows[0]))
    ]
    out, found = layer(f, attended)
    torch.testing.assert_close(found[0], torch.tensor(weights))
    torch.testing.assert_close(out[0], layer.project(torch.tensor(mean)))


def test_eian_is_equations_5_to_8():
    layer, clips = Intensity(4), random(1, 3, 4)
    z = [(clips[0, i] @ layer.score.weight[0, :, 0]).item() for i in range(3)]
    scores = [math.exp(x) / sum(map(math.exp, z)) for x in z]
    expected = [max(scores[i] * clips[0, i, c].item() for i in range(3)) for c in range(4)]
    out, found = layer(clips)
    torch.testing.assert_close(found[0], torch.tensor(scores))
    torch.testing.assert_close(out[0], torch.tensor(expected))


def test_rows_of_table_6_add_one_part_each():
    f = random(2, 14, 128)
    models = {parts: small(parts=parts).eval() for parts in PARTS}
    torch.testing.assert_close(models["none"].relate(f), f.mean(1))
    model = models["sal"]
    rows = f.reshape(14, 2, 128)
    attended, _ = model.sal(rows, False)
    expected = attended.amax(1).reshape(2, 7, 128).mean(1)
    torch.testing.assert_close(model.relate(f), expected)
    model = models["sal+lrl"]
    attended, _ = model.sal(rows, False)
    expected = model.lrl(rows, attended)[0].reshape(2, 7, 128).mean(1)
    torch.testing.assert_close(model.relate(f), expected)


def test_the_logits_of_the_mean_are_the_mean_of_the_frames_logits():
    model = small(parts="none").eval()
    f = model.encode(random(2, 3, 7, 32, 32))
    torch.testing.assert_close(model.head(f.mean(1)), model.head(f).mean(1))


# -------------------------------------------------------------------------------------- behaviour


@pytest.mark.parametrize(("clips", "frames"), [(1, 1), (1, 5), (3, 2), (7, 5), (9, 1)])
def test_any_number_of_clips_and_frames(clips, frames):
    model = small(num_clips=clips).eval()
    model.record_attention = True
    assert model(random(1, 3, clips * frames, 32, 32)).shape == (1, 6)
    shapes = {name: tuple(maps.shape) for name, maps in model.attention.items()}
    assert shapes == {
        "sal": (1, clips, 4, frames, frames),
        "lrl": (1, clips, frames),
        "eian": (1, clips),
    }
    torch.testing.assert_close(model.attention["eian"].sum(1), torch.ones(1))
    torch.testing.assert_close(model.attention["sal"].sum(-1), torch.ones(1, clips, 4, frames))


def test_clips_do_not_depend_on_each_others_frames_before_eian():
    model = small().eval()
    clip, other = random(1, 3, 14, 32, 32), random(1, 3, 14, 32, 32, seed=1)
    other[:, :, 4:6] = clip[:, :, 4:6]
    seen = []
    model.lrl.register_forward_hook(lambda *args: seen.append(args[2][0]))
    model(clip), model(other)
    torch.testing.assert_close(seen[0][2], seen[1][2])
    assert not torch.allclose(seen[0][1], seen[1][1])


def test_the_backbone_is_torchvisions():
    model = create_model("ceflnet", 6).eval()
    theirs = resnet18().eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    model.backbone.maps.load_state_dict(state)
    theirs.fc = nn.Identity()
    images = random(2, 3, 64, 64)
    torch.testing.assert_close(model.backbone(images), theirs(images))


def test_bad_options_and_shapes_are_named():
    for options in ({"parts": "lrl"}, {"reading": "paper"}, {"norm": "group"}, {"num_clips": 0}):
        (name,) = options
        with pytest.raises(ValueError, match=name):
            small(**options)
    with pytest.raises(ValueError, match="heads=5"):
        small(heads=5)
    with pytest.raises(ValueError, match="35"):
        small(num_clips=4)(random(1, 3, 35, 32, 32))
    with pytest.raises(ValueError, match="no lengths"):
        small()(random(1, 3, 7, 32, 32), lengths=torch.tensor([5]))
    for options in ({"attention": "both"}, {"evaluation": "train"}):
        (name,) = options
        with pytest.raises(ValueError, match=name):
            small("fan", **options)
    with pytest.raises(ValueError, match="readout"):
        small("c3d", readout="max")


# -------------------------------------------------------------------------------------------- fan


def test_fan_weighs_frames_as_its_paper_says():
    model = small("fan").eval()
    model.record_attention = True
    clip = random(1, 3, 4, 32, 32)
    f = [model.backbone(clip[:, :, t])[0] for t in range(4)]
    alpha = [torch.sigmoid(model.alpha(v)) for v in f]
    mean = sum(a * v for a, v in zip(alpha, f, strict=True)) / sum(alpha)
    pairs = [torch.cat([v, mean]) for v in f]
    beta = [torch.sigmoid(model.beta(pair)) for pair in pairs]
    both = [a * b for a, b in zip(alpha, beta, strict=True)]
    trained = sum(w * pair for w, pair in zip(both, pairs, strict=True)) / sum(both)
    torch.testing.assert_close(model.forward_features(clip)[0], trained)
    torch.testing.assert_close(model.attention["beta"][0], torch.cat(beta))
    published = sum(a * pair for a, pair in zip(alpha, pairs, strict=True)) / sum(both)
    model.evaluation = "published"
    torch.testing.assert_close(model.forward_features(clip)[0], published)
    assert published.norm() > trained.norm()


def test_the_published_evaluation_only_matters_in_evaluation():
    model, twin = small("fan"), small("fan", evaluation="published")
    for each in (model, twin):
        each.train().dropout.p = 0.0
    clip = random(2, 3, 4, 32, 32)
    torch.testing.assert_close(model.forward_features(clip), twin.forward_features(clip))
    model.eval(), twin.eval()
    assert not torch.allclose(model.forward_features(clip), twin.forward_features(clip))


def test_self_attention_alone_is_the_weighted_mean():
    model = small("fan", attention="self").eval()
    clip = random(2, 3, 3, 32, 32)
    f = torch.stack([model.backbone(clip[:, :, t]) for t in range(3)], 1)
    alpha = model.alpha(f).sigmoid()
    torch.testing.assert_close(model.forward_features(clip), (alpha * f).sum(1) / alpha.sum(1))


def test_padding_does_not_change_fan():
    model = small("fan").eval()
    clip = random(2, 3, 4, 32, 32)
    padded = torch.cat([clip, 9 * random(2, 3, 3, 32, 32)], 2)
    torch.testing.assert_close(model(padded, lengths=torch.tensor([4, 4])), model(clip))


# -------------------------------------------------------------------------------------- c3d, lstm


def test_rows_are_those_of_memory_and_their_logits_are_averaged():
    model = small("c3d", batch_norm=False, readout="rows", width=0.125).eval()
    clip, seen = random(1, 3, 35, 96, 96), []
    model.conv5.register_forward_hook(lambda *args: seen.append(args[2]))
    logits = model(clip)
    assert seen[0].shape == (1, 64, 4, 6, 6)  # 35 -> 17 -> 8 -> 4 frames
    x = F.max_pool3d(seen[0], 2, padding=(0, 1, 1))
    assert x.shape == (1, 64, 2, 4, 4)
    rows = x.flatten().split(model.fc6[0].in_features)
    assert len(rows) == 2
    expected = torch.stack([model.head(model.fc7(model.fc6(row))) for row in rows]).mean(0)
    torch.testing.assert_close(logits[0], expected)


def test_c3d_is_one_row_at_its_own_input():
    mean = small("c3d", width=0.125).eval()
    rows = small("c3d", width=0.125, readout="rows").eval()
    clip = random(1, 3, 16, 112, 112)
    torch.testing.assert_close(mean(clip), rows(clip))
    with pytest.raises(ValueError, match="no whole rows"):
        rows(random(1, 3, 16, 64, 64))


def test_c3d_lstm_reads_its_clips_in_order():
    model = small("c3d_lstm", num_clips=3).eval()
    clip = random(1, 3, 15, 32, 32)
    with torch.no_grad():
        vectors = []
        for i in range(3):
            x = model.pool1(model.conv1(clip[:, :, 5 * i : 5 * i + 5]))
            x = F.max_pool3d(model.conv2(x), 2)
            x = F.max_pool3d(model.conv3(x), 2)
            assert x.shape[2] == 1  # 5 -> 2 -> 1 frames
            vectors.append(model.conv4(x).mean((2, 3, 4))[0])
        states, _ = model.lstm(torch.stack(vectors)[None])
        torch.testing.assert_close(model.forward_features(clip), states[:, -1])
    with pytest.raises(ValueError, match="no whole number"):
        model(random(1, 3, 7, 32, 32))
