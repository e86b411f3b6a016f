"""STT's equations and its baselines, against explicit loops, torchvision and published counts."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import ResNet, WeightsEnum, resnet18
from torchvision.models.vgg import cfgs, make_layers
from torchvision.models.video import r2plus1d_18, r3d_18

from dferlib.analysis.cost import count_cost
from dferlib.models import create_model
from dferlib.models.i3d import Same
from dferlib.models.p3d import Pseudo3D
from dferlib.models.parts import attention
from dferlib.models.parts.frames import encode_frames, positions_on_grid, real_frames
from dferlib.models.parts.recurrent import FramesThenRecurrent
from dferlib.models.parts.resnet import ResNet18
from dferlib.models.resnet3d_18 import ZeroFilled
from dferlib.models.stt import ATTENTION, Attention, Block, Transformer
from dferlib.training.pretrain import init_key, pretrained_as, pretrained_backbone
from dferlib.training.weights import WeightsError, copy_backbone, rename_weights, save_weights

RECURRENT = ("vgg11_lstm", "resnet18_lstm", "resnet18_gru")
FREE_LENGTH = (*RECURRENT, "former_dfer", "stt")
FIXED_LENGTH = ("c3d", "p3d", "i3d", "r2plus1d_18", "resnet3d_18")


def small(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, 6, **{"width": 0.25, **options})


def random(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


POOLED = {  # networks with ResNet-18, and the options that leave the mean of its vectors
    "resnet18_lstm": {"layers": 0},
    "resnet18_gru": {"layers": 0},
    "stt": {"attention": "none"},
    "former_dfer": {"spatial_layers": 0, "temporal_layers": 0},
}
TRUNK = ("resnet18_lstm", 8)  # the model that is pre-trained, and its classes


def stt(attention: str = "spatial+temporal", **options) -> nn.Module:
    readout = "frames-mean" if attention == "spatial" else "class-mean"
    return small("stt", attention=attention, **{"readout": readout, **options})


# --------------------------------------------------------------------------------- sizes and costs


@pytest.mark.parametrize(
    ("name", "options", "parameters", "size", "gflops"),
    [
        ("stt", {}, 24_065_607, 112, 22.6),
        ("stt", {"mlp_ratio": 1}, 21_966_407, 112, 21.4),
        ("stt", {"mlp_ratio": 4}, 28_264_007, 112, 24.9),
        ("stt", {"attention": "lstm"}, 13_281_351, 112, 15.6),
        ("former_dfer", {}, 18_031_943, 112, 16.6),
        ("c3d", {}, 78_029_959, 112, 77.1),
        ("c3d", {"batch_norm": False}, 78_024_455, 112, 77.1),
        ("p3d", {}, 24_939_975, 160, 16.9),
        ("i3d", {}, 12_294_439, 224, 55.6),
        ("r2plus1d_18", {}, 31_303_716, 112, 81.0),
        ("resnet3d_18", {}, 33_169_863, 112, 81.4),
        ("resnet3d_18", {"design": "hara"}, 33_033_671, 112, 16.6),
        ("vgg11_lstm", {}, 11_325_319, 112, 60.0),
        ("resnet18_lstm", {}, 13_281_351, 112, 15.6),
        ("resnet18_gru", {}, 12_756_039, 112, 15.6),
    ],
)
def test_parameters_and_flops_for_7_classes(name, options, parameters, size, gflops):
    with torch.device("meta"):
        model = create_model(name, 7, **options)
    cost = count_cost(model, (3, 16, size, size))
    assert cost.parameters == parameters
    assert 2 * cost.macs / 1e9 == pytest.approx(gflops, abs=0.06)


def test_sizes_account_for_their_parts():
    resnet = 11_176_512  # ResNet-18 without its classifier
    head = 512 * 7 + 7
    attention = 2 * 512 + 3 * 512 * 512 + 512 * 512 + 512  # norm, q k v without bias, output
    mlp = 2 * 512 + 512 * 1024 + 1024 + 1024 * 512 + 512
    tokens = 512 * 512 + 512 + (16 + 17 + 1) * 512  # projection, positions, class token
    assert resnet + tokens + 4 * (2 * attention + mlp) + head == 24_065_607
    assert resnet + 4 * (2 * 512 * 512 + 2 * 512) + head == 13_281_351  # LSTM
    assert resnet + 3 * (2 * 512 * 512 + 2 * 512) + head == 12_756_039  # GRU
    convolutions = sum(p.numel() for p in VGG().parameters())
    assert convolutions + 4 * (2 * 512 * 512 + 2 * 512) + head == 11_325_319
    shortcuts = 64 * 128 + 128 * 256 + 256 * 512 + 2 * (128 + 256 + 512)
    stem = 3 * 64 * 49 * (7 - 3)
    assert 33_169_863 + stem - shortcuts == 33_033_671  # from Tran's network to Hara's


def test_c3d_without_batch_norm_has_the_size_often_quoted():
    with torch.device("meta"):
        model = create_model("c3d", 487, batch_norm=False)
    assert sum(p.numel() for p in model.parameters()) == 79_991_015  # 79.99 M


# ------------------------------------------------------------------------ against torchvision


class VGG(nn.Module):
    """torchvision's VGG-11 without its classifier, which takes seconds to draw."""

    def __init__(self) -> None:
        super().__init__()
        self.features = make_layers(cfgs["A"])


@pytest.fixture
def weights(monkeypatch) -> dict:
    """Have torchvision's weights drawn at random instead of downloaded; returns what was drawn."""
    drawn = {}
    made = {"ResNet18_Weights": resnet18, "VGG11_Weights": VGG}
    made |= {"R3D_18_Weights": r3d_18, "R2Plus1D_18_Weights": r2plus1d_18}

    def get_state_dict(self, *args, **kwargs):
        torch.manual_seed(1)
        model = made[type(self).__name__]().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        drawn["model"] = model
        return model.state_dict()

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    return drawn


def load(name: str, **options) -> nn.Module:
    from importlib import import_module

    model = create_model(name, 7, **options).eval()
    source = import_module(f"dferlib.models.{name}").torchvision_weights
    copy_backbone(model, source(**model.spec["options"]))
    return model


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet3d_18", "r2plus1d_18"])
def test_video_networks_equal_torchvisions(name, weights):
    model, clip = load(name), random(1, 3, 4, 48, 48)
    theirs = weights["model"]
    theirs.fc = nn.Identity()
    torch.testing.assert_close(model.forward_features(clip), theirs(clip))


@torch.no_grad()
@pytest.mark.parametrize("name", POOLED)
def test_resnet_backbones_equal_torchvisions(name, weights):
    options = POOLED[name]
    model, clip = load(name, **options), random(1, 3, 3, 64, 64)
    theirs: ResNet = weights["model"]
    theirs.fc = nn.Identity()
    expected = theirs(clip.transpose(1, 2).flatten(0, 1)).mean(0)
    torch.testing.assert_close(model.forward_features(clip)[0], expected)


@torch.no_grad()
def test_vgg_backbone_equals_torchvisions(weights):
    model, clip = load("vgg11_lstm"), random(1, 3, 2, 64, 64)
    expected = weights["model"].features(clip.transpose(1, 2).flatten(0, 1)).mean((2, 3))
    torch.testing.assert_close(encode_frames(model.backbone, clip, None)[0], expected)


def test_weights_are_refused_where_they_cannot_fit():
    from dferlib.models import resnet3d_18, vgg11_lstm
    from dferlib.models import stt as module

    for source in (module.torchvision_weights, vgg11_lstm.torchvision_weights):
        with pytest.raises(ValueError, match=r"width 1 only.*width 0.5"):
            source(width=0.5)
    with pytest.raises(ValueError, match="not 'hara'"):
        resnet3d_18.torchvision_weights(design="hara", width=1.0)


# -------------------------------------------------------------------------------- STT: equations


def project(layer: nn.Linear, v: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return layer.weight @ v + (0 if layer.bias is None else layer.bias)


def attend(part: Attention, tokens: list[torch.Tensor]) -> list[torch.Tensor]:
    """Equations 3 to 8 (or 9 to 11) without the residual, one query and one head at a time."""
    dim, heads = tokens[0].numel(), part.heads
    size = dim // heads
    normed = [F.layer_norm(z, (dim,), part.norm.weight, part.norm.bias) for z in tokens]
    q, k, v = ([project(part.qkv, z)[i * dim : (i + 1) * dim] for z in normed] for i in range(3))
    result = []
    for i in range(len(tokens)):
        read = []
        for a in range(heads):
            cut = slice(a * size, (a + 1) * size)
            scores = [
                sum((q[i][cut] / math.sqrt(size) * k[j][cut]).tolist()) for j in range(len(tokens))
            ]
            top = [math.exp(score - max(scores)) for score in scores]
            weights = [value / sum(top) for value in top]
            read.append(sum(w * v[j][cut] for j, w in enumerate(weights)))
        result.append(project(part.project, torch.cat(read)))
    return result


@torch.no_grad()
@pytest.mark.parametrize("attention", ["spatial+temporal", "spatial", "temporal"])
def test_a_block_equals_equations_3_to_12(attention):
    torch.manual_seed(0)
    dim, frames, places = 8, 3, 4
    block = Block(dim, 2, 2, attention, class_frame=True).double()
    z = random(2, frames + 1, places, dim, dtype=torch.float64)
    expected = z.clone()
    for b in range(2):
        if block.spatial is not None:
            for t in range(frames + 1):
                change = attend(block.spatial, list(expected[b, t]))
                expected[b, t] += torch.stack(change)  # Eq. 8
        if block.temporal is not None:
            for p in range(places):
                change = attend(block.temporal, list(expected[b, :, p]))
                expected[b, :, p] += torch.stack(change)  # Eq. 11
    norm, first, gelu, second = block.mlp
    for index in torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(4)).tolist():
        token = expected[tuple(index)]
        normed = F.layer_norm(token, (dim,), norm.weight, norm.bias)
        expected[tuple(index)] = token + project(second, gelu(project(first, normed)))  # Eq. 12
    torch.testing.assert_close(block(z, None, None, ""), expected, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(block(z, None, {}, "b"), expected, atol=1e-12, rtol=1e-10)


@torch.no_grad()
def test_the_embedding_equals_equations_1_and_2():
    torch.manual_seed(0)
    part = Transformer(channels=5, dim=8, places=4, frames=3, readout="class-mean").double()
    x = random(2, 3, 5, 2, 2, dtype=torch.float64)
    z = part.embed(x)
    assert z.shape == (2, 4, 4, 8)
    weight, bias = part.project.weight[:, :, 0, 0], part.project.bias
    for b in range(2):
        for p in range(4):
            # every place has a class token: the same vector, with its temporal position only
            torch.testing.assert_close(z[b, 0, p], part.class_token[0, 0, 0] + part.time[0, 0])
            for t in range(3):
                f1 = weight @ x[b, t, :, p // 2, p % 2] + bias
                expected = f1 + part.space[0, p] + part.time[0, t + 1]
                torch.testing.assert_close(z[b, t + 1, p], expected)


@torch.no_grad()
def test_the_class_frame_can_be_left_out_of_spatial_attention():
    torch.manual_seed(0)
    block = Block(8, 2, 2, "spatial+temporal", class_frame=False).double()
    z, maps = random(1, 3, 4, 8, dtype=torch.float64), {}
    spatial = z.clone()
    for t in (1, 2):
        spatial[0, t] += torch.stack(attend(block.spatial, list(z[0, t])))
    rest = Block(8, 2, 2, "temporal", class_frame=False).double()
    rest.load_state_dict({k: v for k, v in block.state_dict().items() if "spatial" not in k})
    torch.testing.assert_close(block(z, None, maps, "b"), rest(spatial, None, None, ""))
    assert maps["b.spatial"].shape == (1, 2, 2, 4, 4)


# ------------------------------------------------------------------------- STT: what is read out


@torch.no_grad()
@pytest.mark.parametrize("readout", ["class-mean", "class-first", "frames-mean"])
def test_readouts_are_the_named_ones(readout):
    model = stt(readout=readout, layers=2).eval()
    part, clip = model.transformer, random(2, 3, 5, 64, 64)
    x = encode_frames(model.backbone, clip, None)
    z = part.embed(x)
    for block in part.blocks:
        z = block(z, None, None, "")
    expected = {
        "class-mean": z[:, 0].mean(1),
        "class-first": z[:, 0, 0],
        "frames-mean": z[:, 1:].mean((1, 2)),
    }
    torch.testing.assert_close(model.forward_features(clip), expected[readout])


@pytest.mark.parametrize("attention", ATTENTION)
def test_every_row_of_table_1_trains(attention):
    model = stt(attention).train()
    model(random(3, 3, 4, 64, 64)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    expected = ["transformer.class_token"] if attention == "spatial" else []
    assert without == expected  # spatial attention alone has no use for the class token


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="use readout='frames-mean'"):
        small("stt", attention="spatial")
    with pytest.raises(ValueError, match=r"'joint'.*spatial\+temporal"):
        small("stt", attention="joint")
    with pytest.raises(ValueError, match="class-first"):
        small("stt", readout="first")
    with pytest.raises(ValueError, match="multiple of heads=7"):
        small("stt", heads=7)
    with pytest.raises(ValueError, match=r"'layer5'.*layer4"):
        small("stt", stage="layer5")
    with pytest.raises(ValueError, match="up to 16; sample fewer"):
        small("stt")(random(1, 3, 17, 32, 32))
    with pytest.raises(ValueError, match="up to 4; sample fewer"):
        small("former_dfer", num_frames=4)(random(1, 3, 5, 32, 32))
    with pytest.raises(ValueError, match=r"'tan'.*hara"):
        small("resnet3d_18", design="tan")
    with pytest.raises(ValueError, match="layers is -1"):
        small("resnet18_gru", layers=-1)


@pytest.mark.parametrize(("stage", "side"), [("layer4", 4), ("layer3", 7)])
def test_the_grid_at_the_papers_size(stage, side):
    with torch.device("meta"):
        model = create_model("stt", 7, stage=stage)
    x = encode_frames(model.backbone, torch.empty(1, 3, 16, 112, 112, device="meta"), None)
    channels = {"layer4": 512, "layer3": 256}[stage]
    assert x.shape == (1, 16, channels, side, side)
    assert model.transformer.embed(x).shape == (1, 17, side * side, 512)
    assert model.transformer.space.shape == (1, side * side, 512)


@pytest.mark.parametrize("name", POOLED)
def test_pretraining_is_shared_and_carries_the_resnet_only(name):
    trunk = create_model(*TRUNK, width=0.25, layers=0)
    shallow = {"stage": "layer3"} if name == "stt" else {}
    for extra in ({}, shallow):
        model = create_model(name, 7, width=0.25, **extra)
        assert pretrained_as(name, model.spec["options"]) == (TRUNK[0], trunk.spec["options"])
        before = {k: v.clone() for k, v in model.state_dict().items()}
        state = {k: v + 1 for k, v in trunk.state_dict().items()}
        loaded = copy_backbone(model, rename_weights(model, state))
        changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
        resnet = ResNet18(0.25, extra.get("stage", "layer4")).state_dict()
        assert len(changed) == loaded == len(resnet)
        assert all(any(k.endswith(name) for name in resnet) for k in changed)


def test_a_bare_backbone_finds_its_place(tmp_path):
    resnet = ResNet18(0.25)
    path = tmp_path / "faces.pth"
    named = {f"module.{name}": value for name, value in resnet.state_dict().items()}
    torch.save({"state_dict": named | {"module.fc.weight": torch.zeros(9, 128)}}, path)
    for name in POOLED:
        model = create_model(name, 7, width=0.25)
        assert pretrained_backbone(model, str(path))["loaded"] == len(resnet.state_dict())
        kept = [value for key, value in model.state_dict().items() if key.endswith("conv1.weight")]
        assert torch.equal(kept[0], resnet.state_dict()["conv1.weight"])


def test_the_end_of_one_run_is_the_start_of_another(tmp_path, monkeypatch):
    monkeypatch.setenv("DFER_CACHE", str(tmp_path))
    model, target = (stt("spatial+temporal") for _ in range(2))
    head = target.head.weight.clone()
    save_weights(model, tmp_path / "runs" / "stt" / "x.safetensors", {"run_id": "x"})
    record = pretrained_backbone(target, "run:stt/x")
    assert record["init"] == init_key("run:stt/x") == "run:stt/x"
    assert torch.equal(target.transformer.space, model.transformer.space)
    assert torch.equal(target.head.weight, head)
    with pytest.raises(WeightsError, match="no weights at"):
        pretrained_backbone(target, "run:stt/y")


# --------------------------------------------------------------------------------- recorded maps


@torch.no_grad()
def test_stts_maps_have_their_shapes_and_change_nothing():
    model, clip = stt(layers=2).eval(), random(2, 3, 5, 64, 64)
    plain = model(clip)
    assert model.attention == {}
    model.record_attention = True
    torch.testing.assert_close(model(clip), plain)
    shapes = {name: tuple(value.shape) for name, value in model.attention.items()}
    expected = {"spatial": (2, 6, 8, 4, 4), "temporal": (2, 4, 8, 6, 6), "read": (2, 5, 2, 2)}
    assert shapes == {f"block{i}.{k}": v for i in (1, 2) for k, v in expected.items()}
    for name, weights in model.attention.items():
        if not name.endswith("read"):
            torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    temporal, read = model.attention["block2.temporal"], model.attention["block2.read"]
    torch.testing.assert_close(read[1, 3, 1, 0], temporal[1, 2, :, 0, 4].mean())


@torch.no_grad()
def test_former_dfers_maps_have_their_shapes_and_change_nothing():
    model, clip = small("former_dfer").eval(), random(2, 3, 5, 64, 64)
    plain, lengths = model(clip), torch.tensor([5, 3])
    model.record_attention = True
    torch.testing.assert_close(model(clip), plain)
    assert model.attention["spatial1"].shape == (2, 5, 8, 16, 16)
    assert model.attention["temporal3"].shape == (2, 8, 6, 6)
    model(clip, lengths)
    assert not model.attention["temporal1.read"][1, 3:].any()
    assert not model.attention["spatial1"][1, 3:].any()
    assert model.attention["temporal1.read"][1, :3].min() > 0


@pytest.mark.parametrize("name", ["stt", "former_dfer", "resnet18_gru"])
def test_grad_cam_gives_one_map_a_frame(name):
    from dferlib.analysis.explain import grad_cam

    clip = random(2, 3, 4, 64, 64)
    maps = grad_cam(small(name), clip)
    assert maps.shape == (2, 4, 64, 64)
    assert torch.isfinite(maps).all()


# ---------------------------------------------------------------------------- lengths and frames


@pytest.mark.parametrize("name", FREE_LENGTH)
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(name, training):
    model = small(name).train(training)
    clip, lengths = random(2, 3, 6, 64, 64), torch.tensor([6, 4])
    state = {k: v.clone() for k, v in model.state_dict().items()}
    padded = model(clip, lengths)
    after = {k: v.clone() for k, v in model.state_dict().items()}
    clip[1, :, 4:] = 100.0
    model.load_state_dict(state)
    torch.testing.assert_close(model(clip, lengths), padded)
    if training:  # the frames of the padding are in no batch statistics
        torch.testing.assert_close(model.state_dict(), after)
    else:
        alone = model(clip[1:, :, :4])
        torch.testing.assert_close(padded[1:], alone, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(model(clip[:1]), padded[:1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attention", ATTENTION)
def test_padding_changes_no_row_of_table_1(attention):
    model = stt(attention).eval()
    clip = random(2, 3, 5, 64, 64)
    padded = model(clip, torch.tensor([5, 3]))
    torch.testing.assert_close(padded[1:], model(clip[1:, :, :3]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FIXED_LENGTH)
def test_networks_that_convolve_over_time_refuse_lengths(name):
    with pytest.raises(ValueError, match="takes no lengths"):
        small(name)(random(1, 3, 7, 32, 32), lengths=torch.tensor([5]))


@pytest.mark.parametrize("name", [*FREE_LENGTH, *FIXED_LENGTH])
def test_wrong_shapes_are_refused(name):
    with pytest.raises(ValueError, match=r"\(1, 7, 3, 32, 32\)"):
        small(name)(random(1, 7, 3, 32, 32))


@pytest.mark.parametrize("lengths", [[0, 4], [4, 7], [4]])
def test_impossible_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="2 numbers from 1 to 6"):
        real_frames(random(2, 3, 6, 8, 8), torch.tensor(lengths))


@pytest.mark.parametrize("name", [*FREE_LENGTH, *FIXED_LENGTH])
def test_every_network_sees_the_order_of_the_frames(name):
    model, clip = small(name).eval(), random(1, 3, 16, 48, 48)
    assert not torch.allclose(model(clip), model(clip.flip(2)), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", [*RECURRENT, "former_dfer"])
def test_without_its_temporal_part_a_network_averages_frames(name):
    options = {"layers": 0} if name in RECURRENT else {"temporal_layers": 0}
    model, clip = small(name, **options).eval(), random(1, 3, 4, 48, 48)
    torch.testing.assert_close(model(clip), model(clip.flip(2)))
    frames = torch.cat([model.forward_features(clip[:, :, t : t + 1]) for t in range(4)])
    torch.testing.assert_close(model.forward_features(clip)[0], frames.mean(0))


def test_positions_stay_on_their_own_grid_and_are_resized_for_others():
    table = random(1, 16, 8)
    assert positions_on_grid(table, 4, 4) is table
    resized = positions_on_grid(table, 2, 3)
    assert resized.shape == (1, 6, 8)
    torch.testing.assert_close(positions_on_grid(torch.ones(1, 9, 2), 5, 5), torch.ones(1, 25, 2))


@torch.no_grad()
def test_a_recurrent_layer_is_torchs_on_pooled_frames():
    model, clip = small("resnet18_gru").eval(), random(2, 3, 3, 48, 48)
    assert isinstance(model, FramesThenRecurrent)
    state = torch.zeros(2, 128)
    cell = nn.GRUCell(128, 128)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict({n: getattr(model.recurrent, f"{n}_l0") for n in names})
    for t in range(3):
        state = cell(model.backbone.maps(clip[:, :, t]).mean((2, 3)), state)
    torch.testing.assert_close(model.forward_features(clip), state)


@torch.no_grad()
def test_former_dfers_layer_is_torchs_pre_norm_encoder_layer():
    layer = small("former_dfer").layers[0].double().eval()
    theirs = nn.TransformerEncoderLayer(
        128, 8, 256, 0.0, lambda x: F.gelu(x, approximate="tanh"), batch_first=True, norm_first=True
    )
    ours = layer.state_dict()
    names = {"self_attn.in_proj_weight": "qkv.weight", "norm1": "norm", "norm2": "feed_forward.0"}
    names |= {"self_attn.out_proj": "project", "linear1": "feed_forward.1"}
    names |= {"linear2": "feed_forward.3"}
    state = {"self_attn.in_proj_bias": torch.zeros(384)}
    for theirs_name, own in names.items():
        if own in ours:
            state[theirs_name] = ours[own]
            continue
        for part in ("weight", "bias"):
            state[f"{theirs_name}.{part}"] = ours[f"{own}.{part}"]
    theirs.load_state_dict(state)
    x = random(2, 5, 128, dtype=torch.float64)
    expected = theirs.double().eval()(x)
    for keep in (False, True):
        torch.testing.assert_close(layer(x, None, keep)[0], expected, atol=1e-10, rtol=1e-8)


# --------------------------------------------------------------------------------- 3-D networks


@torch.no_grad()
def test_c3d_reads_its_own_grid_as_it_is():
    model, seen = small("c3d").eval(), []
    model.pool5.register_forward_hook(lambda *args: seen.append(args[2]))
    model.fc6.register_forward_hook(lambda *args: seen.append(args[1][0]))
    model(random(1, 3, 16, 112, 112))
    assert seen[0].shape == (1, 128, 1, 4, 4)
    torch.testing.assert_close(seen[1], seen[0].flatten(1), rtol=0, atol=0)


@torch.no_grad()
def test_p3d_joins_space_and_time_in_three_ways():
    x = random(1, 8, 3, 4, 4)
    for kind in "ABC":
        block = Pseudo3D(8, kind).eval()
        space = block.space(x)
        expected = {"A": block.time(space), "B": space + block.time(x)}
        expected["C"] = space + block.time(space)
        torch.testing.assert_close(block(x), expected[kind])
    model = small("p3d")
    middles = [block.branch[1] for i in (1, 2, 3) for block in getattr(model, f"layer{i}")]
    assert "".join(middle.kind for middle in middles) == "ABCABCABCABCA"
    kernels = {m.kernel_size[0] for m in model.layer4.modules() if isinstance(m, nn.Conv3d)}
    assert kernels == {1}  # the last stage is 2-D


@torch.no_grad()
@pytest.mark.parametrize(("frames", "left"), [(16, 1), (7, 1), (32, 2)])
def test_p3d_halves_time_four_times(frames, left):
    model, seen = small("p3d").eval(), []
    model.layer4.register_forward_hook(lambda *args: seen.append(args[2].shape[2]))
    model(random(1, 3, frames, 32, 32))
    assert seen == [left]


@pytest.mark.parametrize("size", range(5, 13))
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 2), (3, 1), (2, 2), (1, 1)])
def test_i3ds_padding_is_tensorflows(size, kernel, stride):
    x = torch.zeros(1, 1, 1, 1, size)
    padded = Same((1, 1, kernel), (1, 1, stride))(x + 1)[0, 0, 0, 0]
    outputs = math.ceil(size / stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    expected = [0.0] * (total // 2) + [1.0] * size + [0.0] * (total - total // 2)
    assert padded.tolist() == expected
    assert (len(padded) - kernel) // stride + 1 == outputs


@torch.no_grad()
def test_i3ds_stages_have_the_published_shapes():
    with torch.device("meta"):
        model = create_model("i3d", 7).eval()
    shapes = []
    for stage in (model.stem, *model.stages):
        stage.register_forward_hook(lambda *args: shapes.append(tuple(args[2].shape[1:])))
    model(torch.empty(1, 3, 16, 224, 224, device="meta"))
    channels = [shape[0] for shape in shapes]
    assert channels == [192, 192, 256, 480, 480, 512, 512, 512, 528, 832, 832, 832, 1024]
    assert shapes[0][1:] == (8, 56, 56)
    assert shapes[-1] == (1024, 2, 7, 7)


@torch.no_grad()
def test_the_two_resnets_differ_in_stem_and_shortcut():
    shapes = {}
    for design in ("tran", "hara"):
        model = small("resnet3d_18", design=design).eval()
        model.layer1.register_forward_hook(
            lambda *args, d=design: shapes.update({d: tuple(args[1][0].shape[1:])})
        )
        model(random(1, 3, 8, 32, 32))
    assert shapes == {"tran": (16, 8, 16, 16), "hara": (16, 4, 8, 8)}
    x = random(1, 2, 4, 5, 6)
    filled = ZeroFilled(2, 5)(x)
    assert filled.shape == (1, 5, 2, 3, 3)
    torch.testing.assert_close(filled[:, :2], F.avg_pool3d(x, 1, stride=2))
    assert not filled[:, 2:].any()


@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_bf16_on_a_cpu_is_that_of_float32(masked):
    q, k, v = (random(3, 2, 5, 8).requires_grad_() for _ in range(3))
    mask = torch.tensor([[True, True, True, False, True]]) if masked else None
    scores = (q @ k.mT / math.sqrt(8)).masked_fill(~mask if masked else torch.tensor(False), -1e9)
    expected = scores.softmax(-1) @ v
    torch.testing.assert_close(attention.attend(q, k, v, mask), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        read = attention.attend(*(t.bfloat16() for t in (q, k, v)), mask)
    assert read.dtype == torch.bfloat16
    torch.testing.assert_close(read.float(), expected, atol=0.03, rtol=0.03)
    read.float().sum().backward()
    assert torch.isfinite(q.grad).all()
