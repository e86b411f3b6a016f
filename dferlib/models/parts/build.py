"""How models are built: options that are checked, channels that scale, and weights to start from.

What feeds a gate - a sigmoid or a softmax by which features are weighted - starts small. Drawn like
other layers it stands at 0 or 1 by chance, where it has no gradient to leave by and shuts out
features before anything is learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import nn


def check_choices(**options: tuple[str, Iterable[str]]) -> None:
    """Raise ValueError for an option that is none of its known values: name=(value, known)."""
    for name, (value, known) in options.items():
        if value not in known:
            raise ValueError(f"{name} is {value!r}; valid: {', '.join(known)}")


def scaler(width: float, multiple: int = 8) -> Callable[[int], int]:
    """Return a function that scales a channel count by `width` to a multiple, at least once it.

    At width 1 every count that is a multiple of it stays. ValueError for a width outside 0.05 to 4.
    """
    if not 0.05 <= width <= 4:
        raise ValueError(f"width is {width!r}; it scales all channels and lies in 0.05 to 4")
    return lambda channels: max(multiple, multiple * round(channels * width / multiple))


def refuse_scaled(weights: str, width: float) -> None:
    """Raise ValueError where published weights are asked for at another width than 1."""
    if width != 1:
        raise ValueError(
            f"{weights} exist for width 1 only, this model has width {width}; "
            "build it with width=1, or use init 'synthetic' or 'random'"
        )


def initialise(model: nn.Module) -> nn.Module:
    """Draw new weights: Kaiming-normal convolutions, Xavier-uniform linear layers, biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def near_zero(layer: nn.Conv2d | nn.Conv3d | nn.Linear) -> None:
    """Draw a layer that feeds a gate: normal weights of deviation 0.001, bias 0.

    Sigmoids then start at a half and shares at 1 / n, so that features pass evenly; not at exactly
    zero, where the layer in front would have no gradient.
    """
    nn.init.normal_(layer.weight, std=0.001)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def open_recurrent(layer: nn.LSTM | nn.GRU) -> None:
    """Draw the input weights of a recurrent layer by the number of its inputs.

    PyTorch draws all weights within 1 / sqrt(states). That is right for the states; where there are
    many more inputs than states, as in HACN, their sum shuts the gates.
    """
    bound = 1 / math.sqrt(layer.input_size)
    nn.init.uniform_(layer.weight_ih_l0, -bound, bound)
