"""What the presets of all papers share: name -> (value, reason), written once.

`quick` is the cheapest training of the same network that converges, one recipe for all papers;
`smoke` runs every line once; `gpu` is the paper's own training with the epochs of an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Changes = Mapping[str, tuple[Any, str]]

_CYCLE = "in so few epochs the paper's own optimiser and schedule leave the network half trained"
_CHOSEN = "chosen once for all papers, with STCAM and a single-frame CNN, not for each"
CONVERGING: Changes = {
    "store_size": (72, "goes with the input size; the margin for crops keeps its share"),
    "input_size": (64, "a third of the multiplications of 112 px, a twelfth of those of 224"),
    "optimizer": ("adamw", _CYCLE),
    "lr": (0.002, _CHOSEN),
    "schedule": ("one_cycle", _CYCLE),
    "warmup": (0.3, "the share of the cycle that is usual"),
    "weight_decay": (0.01, _CHOSEN),
    "decayed": ("weights", "biases and scales of norms have nothing that decay would keep small"),
    "epochs": (12, "the time that a first look may take"),
    "loss": (
        "label_smoothing",
        "few clips are soon learned by heart; targets short of 1 hold that back",
    ),
    "label_smoothing": (0.05, "goes with the loss"),
    "init": ("synthetic", "procedural faces, which cost no download and fit the smaller network"),
    "normalise": ("imagenet", "goes with the initial weights"),
    "holdout": (True, "a part validates, so that a rule exists that never looks at test clips"),
    "precision": ("auto", "bf16 where the processor has units for it: half the time"),
}

RUNS_ONCE: Changes = {
    "epochs": (1, "one pass is enough to run every line"),
    "folds": ((1,), "one fold is enough to run every line"),
    "init": ("random", "pre-training would take longer than the test"),
    "normalise": ("imagenet", "goes with the other presets"),
    "holdout": (True, "every selection rule is run"),
}
NO_SECOND_EPOCH = {"milestones": ((), "there is no second epoch")}

HOUR_TFLOPS = 40  # what a data-centre card is taken to sustain in bf16
_HOUR = f"what about an hour at {HOUR_TFLOPS} TFLOP/s has room for, by counted operations"
BY_DEVICE = {"precision": ("auto", "bf16 where the device has units for it")}


def hour(epochs: int, milestones: tuple[int, ...] | None = None, **others: Any) -> Changes:
    """Write the epochs that an hour has room for, and what is scaled with them."""
    scaled = others if milestones is None else {"milestones": milestones, **others}
    same = "moved in proportion to the epochs"
    return {"epochs": (epochs, _HOUR), **{name: (value, same) for name, value in scaled.items()}}
