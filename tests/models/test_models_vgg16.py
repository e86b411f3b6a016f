"""The VGG-16 trunk against torchvision's and against the published size."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import WeightsEnum
from torchvision.models.vgg import cfgs, make_layers

from dferlib.models.parts.vgg16 import VGG16, imagenet_vgg16


class Theirs(nn.Module):
    """torchvision's VGG-16 without its classifier, which takes seconds to draw."""

    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        self.features = make_layers(cfgs["D"], batch_norm=batch_norm)


@torch.no_grad()
@pytest.mark.parametrize("batch_norm", [False, True])
def test_maps_equal_torchvisions(batch_norm, monkeypatch):
    torch.manual_seed(0)
    theirs = Theirs(batch_norm).eval()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: theirs.state_dict())
    model = VGG16(batch_norm=batch_norm).eval()
    model.load_state_dict(imagenet_vgg16("", 1.0, batch_norm=batch_norm))  # strict: all fit
    images = torch.randn(2, 3, 70, 64)
    torch.testing.assert_close(model(images), theirs.features(images))


def blocks_of(model: VGG16, images: torch.Tensor) -> list[torch.Tensor]:
    """The pooled output of each block."""
    found: list[torch.Tensor] = []
    for layer in model:
        images = layer(images)
        found += [images] if isinstance(layer, nn.MaxPool2d) else []
    return found


def test_size_and_blocks_are_the_published_ones():
    with torch.device("meta"):
        model = VGG16()
        blocks = blocks_of(model, torch.empty(1, 3, 224, 224))
    assert sum(p.numel() for p in model.parameters()) == 14_714_688
    shapes = [(64, 112), (128, 56), (256, 28), (512, 14), (512, 7)]
    assert [tuple(block.shape[1:3]) for block in blocks] == shapes
    assert model.block_channels == (64, 128, 256, 512, 512)
    assert [type(m) for m in model].count(nn.Conv2d) == 13


@torch.no_grad()
def test_width_scales_every_block_and_the_last_block_is_the_output():
    model = VGG16(0.25).eval()
    assert model.block_channels == (16, 32, 64, 128, 128)
    assert model.channels == 128
    images = torch.randn(1, 3, 64, 64)
    blocks = blocks_of(model, images)
    assert [block.shape[1] for block in blocks] == [16, 32, 64, 128, 128]
    torch.testing.assert_close(blocks[-1], model(images))


def test_published_weights_are_refused_at_another_width():
    with pytest.raises(ValueError, match=r"width 1 only.*width 0.5"):
        imagenet_vgg16("", 0.5)
