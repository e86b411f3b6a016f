"""The layer that is explained is fine enough for a mouth, and one that a clip's maps come from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dferlib.analysis import explain
from dferlib.analysis.fine_layer import MOUTH_CELLS, fine_layer, grid_of
from dferlib.models import create_model


class Net(nn.Module):
    """Maps of 16, 8 and 4 places a side, then a table of weights that looks like a map."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(3, 4, 3, (1, 2, 2), 1)
        self.second = nn.Conv3d(4, 4, 3, (1, 2, 2), 1)
        self.cam_layer = nn.Conv3d(4, 4, 3, (1, 2, 2), 1)
        self.weigh = nn.Softmax(-1)
        self.head = nn.Linear(4, 2)

    def forward(self, clip):
        x = self.cam_layer(self.second(self.first(clip)))
        tokens = x.mean((2,)).flatten(2).mT
        self.weigh((tokens @ tokens.mT)[:, None])  # (B, 1, 16, 16)
        return self.head(x.mean((2, 3, 4)))


def test_the_last_layer_that_is_fine_enough():
    net, clip = Net(), torch.zeros(1, 3, 2, 32, 32)
    net.train()
    assert fine_layer(net, clip, 4)[::2] == ("cam_layer", 4)
    assert fine_layer(net, clip, 5)[::2] == ("second", 8)
    assert fine_layer(net, clip, 12)[::2] == ("first", 16)
    assert fine_layer(net, clip, 20)[::2] == ("first", 16)  # none is finer
    assert grid_of(net, clip, net.second).side == 8
    assert net.training
    with pytest.raises(ValueError, match="Linear is not passed"):
        grid_of(net, clip, nn.Linear(1, 1))


@pytest.mark.parametrize("name", ["stcam", "stt", "ceflnet", "hacn", "ecnn_fsa"])
def test_a_small_input_is_explained_on_a_grid_that_can_show_a_mouth(name):
    options = {"input_size": 64, "num_frames": 5} if name == "stt" else {}
    model = create_model(name, 6, width=0.125, **options)
    clip = torch.rand(1, 3, 35 if name == "ceflnet" else 5, 64, 64)
    layer = fine_layer(model, clip)
    assert MOUTH_CELLS <= layer.side <= 2 * MOUTH_CELLS
    maps = explain.grad_cam(model, clip, method="layercam", layer=layer.module, enlarge=False)
    assert maps.shape[3] == layer.side
    assert maps.max() > 0
