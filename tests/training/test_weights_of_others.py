"""Weights of others: whatever they are wrapped in and called, and what is no weights at all."""

from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file

from dferlib.models import create_model
from dferlib.models.parts.resnet import ResNet18
from dferlib.training.pretrain import pretrained_backbone
from dferlib.training.weights import WeightsError

WIDTH = 0.125


@pytest.fixture(scope="module")
def donor():
    return ResNet18(WIDTH)


def named(donor, beginning):
    return {f"{beginning}{name}": value for name, value in donor.state_dict().items()}


WRAPPINGS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "any name": lambda state: {"lr": 0.1, "weights_of_a_friend": {"net": state}},
}
BEGINNINGS = ("", "module.", "module.encoder.", "model.visual.trunk.", "backbone_2d.")


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("wrap", WRAPPINGS, ids=str)
def test_wrappings_and_prefixes_are_found_by_matching(donor, tmp_path, wrap, beginning):
    path = tmp_path / "theirs.pth"
    state = named(donor, beginning) | {f"{beginning}fc.weight": torch.zeros(9, 64)}
    torch.save(WRAPPINGS[wrap](state), path)
    model = create_model("stt", 7, width=WIDTH)
    assert pretrained_backbone(model, str(path))["loaded"] == len(donor.state_dict())
    kept = [v for name, v in model.state_dict().items() if name.endswith("0.conv1.weight")]
    theirs = [v for name, v in donor.state_dict().items() if name.endswith("0.conv1.weight")]
    assert all(torch.equal(*pair) for pair in zip(kept, theirs, strict=True))


def test_prefixes_in_a_safetensors_file(donor, tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({name: value.clone() for name, value in named(donor, "module.").items()}, path)
    model = create_model("stt", 7, width=WIDTH)
    assert pretrained_backbone(model, str(path))["loaded"] == len(donor.state_dict())


def half(path, donor):
    torch.save(donor.state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def not_finite(path, donor):
    state = {name: value.clone() for name, value in donor.state_dict().items()}
    state["conv1.weight"][0, 0] = torch.nan
    torch.save({"model": state}, path)


STUB = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"
IMPOSTORS = {
    "empty": (lambda path, _: path.write_bytes(b""), "it is empty; download or copy it anew"),
    "half": (half, "is cut short, damaged or no file of weights .* copy it anew"),
    "page": (lambda path, _: path.write_text("\n<!DOCTYPE html><p>Sign in"), "it is a web page"),
    "stub": (lambda path, _: path.write_text(STUB), "a stub of git-lfs; run `git lfs pull`"),
    "text": (lambda path, _: path.write_text("see the README"), "damaged or no file of weights"),
    "namespace": (
        lambda path, donor: torch.save(
            {"args": Namespace(lr=1), "model": donor.state_dict()}, path
        ),
        "argparse.Namespace under 'args', and reading that could run code; .* save its tensors",
    ),
    "whole model": (lambda path, donor: torch.save(donor, path), "dferlib.*could run code"),
    "not finite": (not_finite, "'model: conv1.weight' has 49 of [0-9]+ values that are not finite"),
    "nothing": (lambda path, _: torch.save({"epoch": 3}, path), "it holds no tensors by name"),
    "a list": (lambda path, _: torch.save([1, 2], path), "it holds no tensors by name"),
    "other": (
        lambda path, _: torch.save({"a.weight": torch.zeros(3, 5)}, path),
        "fits no part of stt: its first is 'a.weight', the model's is",
    ),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", IMPOSTORS)
def test_what_is_no_weights_is_one_kind_of_error(donor, tmp_path, kind, suffix):
    write, message = IMPOSTORS[kind]
    path = tmp_path / f"theirs{suffix}"
    write(path, donor)
    if suffix == ".safetensors" and kind not in ("empty", "page", "stub"):
        message = "cut short|could run code"  # a torch file under this name is none of this kind
    model = create_model("stt", 7, width=WIDTH)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=message) as error:
        pretrained_backbone(model, str(path))
    assert str(path) in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
