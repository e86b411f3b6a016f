"""Channel counts that scale with `width`, and fresh weights, for models that are convolutional."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def scaler(width: float) -> Callable[[int], int]:
    """Return a function that scales a channel count by `width` to a multiple of 8, at least 8.

    At width 1 every count that is a multiple of 8 stays. ValueError for a width outside 0.05 to 4.
    """
    if not 0.05 <= width <= 4:
        raise ValueError(f"width is {width!r}; it scales all channels and lies in 0.05 to 4")
    return lambda channels: max(8, 8 * round(channels * width / 8))


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
