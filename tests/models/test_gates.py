"""At the start no gate of any model is shut, and every parameter learns.

A gate multiplies something by a weight from 0 to 1: the sigmoids and softmaxes of attention, the
gates of recurrent layers. Where they are drawn too large, they stand at 0 or 1 before anything is
learned, and have no gradient to leave it.
"""

from __future__ import annotations

import ast
import inspect
import re
import statistics
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dferlib import models
from dferlib.models.parts.build import initialise

SEEDS = 20
SIDE = 40  # two places a side on the coarsest grids
SIGMOIDS = (torch.sigmoid, Tensor.sigmoid)
SOFTMAXES = (torch.softmax, Tensor.softmax)

GATES = ("sigmoid", "logsigmoid", "softmax", "scaled_dot_product_attention")

FOLDER = Path(models.__file__).parent
NAMES = tuple(path.stem for path in sorted(FOLDER.glob("[!_]*.py")))
SMALL = {"width": 0.0625, "num_clips": 2, "states": (128, 128)}  # as far as a model has them
LARGER = {  # where so small a model is another one
    "stcam": {"reduction": 4},  # units in the MLPs, nearly as many as r = 16 leaves at full width
    "hacn": {"hidden": 16},  # as many inputs to a state of the GRU as at full width
    "ceflnet": {"width": 0.25},  # a classifier that is not dead behind its eight ReLUs
}
OTHER_ROWS = {  # beside the defaults of every model: what has other gates
    "stcam": ({"attention": "nl-embedded"}, {"attention": "nl-gaussian"}),
    "hacn": ({"mode": "map"}, {"mode": "literal"}, {"attention": "none"}),
    "ceflnet": ({"reading": "equations"},),
    "ecnn_fsa": ({"batch_norm": True}, {"batch_norm": True, "readout": "weights"}),
    "fan": ({"attention": "self"},),
    "stt": ({"attention": "lstm"}, {"attention": "spatial", "readout": "frames-mean"}),
}
ROWS = [(name, options) for name in NAMES for options in ({}, *OTHER_ROWS.get(name, ()))]

# Parameters that start without a gradient: a pattern of "<model> <options> <parameter>" -> why
STILL = {
    r"c3d.*conv\d\.\d\.bias": "the batch norm behind takes it out; the released C3D has it",
    r"ecnn_fsa.*True.*backbone.*\.bias": "the batch norm behind takes it out",
    r"ecnn_fsa \{\} fsa\.(query|key)": "a plain VGG-16 drawn anew gives all frames small, like "
    "vectors; the published weights and batch norm do not",
    r"(fan|ceflnet|hacn).*(alpha|beta|score|theta|omega)\.bias": "a common bias cancels in a mean "
    "whose weights are all alike",
    r"ceflnet.*equations.*score\.weight": "frames that have read each other are nearly alike",
    r"hacn.*literal.*(omega|weight_hh)": "all beta are equal, the GRU reads one step",
    r"stcam.*mlp\.0\.weight": "W_1 learns once W_2, which starts near zero, has grown",
    r"stcam.*nl-.*(theta|phi|g)\.|stcam.*nl-.*w_z\.0": "the last norm starts at zero, so that the "
    "block is the identity",
    r"stt.*spatial.*(class_token)": "nothing reaches the class token without temporal attention",
}
# Calls that are no gate of a training in float32: a pattern of "<file>: <call>" -> why
NOT_IN_TRAINING = {
    r"hacn\.py: logits\.detach": "weights for figures, of logits whose gate is below",
    r"attention\.py: .*q\.float": "the same attention where bf16 is slow",
}
# Gates that start shut: the same patterns, without a parameter
SHUT = {r"stcam.*nl-gaussian": "softmax(x x^T) has no weights that could be drawn smaller"}


class Gates(TorchFunctionMode):
    """Collects what share of the gates is beyond .05 and .95, by place."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.shut: list[float] = []
        self.places: set[tuple[str, int]] = set()  # file and line in the models
        for module in model.modules():
            if isinstance(module, nn.LSTM | nn.GRU):
                module.register_forward_hook(self._recurrent)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (*SIGMOIDS, *SOFTMAXES, F.logsigmoid, F.scaled_dot_product_attention):
            self.places.add(caller())
        if func is F.scaled_dot_product_attention:
            q, k = args[:2]
            scale = kwargs.get("scale") or q.shape[-1] ** -0.5
            if k.shape[-2] > 1:
                self._softmax((scale * q @ k.mT).softmax(-1), -1)
        result = func(*args, **kwargs)
        if func in SIGMOIDS:
            self._sigmoid(result)
        elif func is F.logsigmoid:
            self._sigmoid(result.exp())
        elif func in SOFTMAXES:
            self._softmax(result, kwargs.get("dim", args[1] if len(args) > 1 else -1))
        return result

    def _sigmoid(self, weights: Tensor) -> None:
        self.shut.append(((weights - 0.5).abs() > 0.45).float().mean().item())

    def _softmax(self, weights: Tensor, dim: int) -> None:
        """One of many weights may well be small; one that leaves the others nothing is shut."""
        self.shut.append((weights.amax(dim) > 0.95).float().mean().item())

    @torch.no_grad()
    def _recurrent(self, layer: nn.Module, inputs: tuple, output: tuple) -> None:
        """The gates of every step, from the states that the layer gave."""
        assert layer.num_layers == 1, "gates of further layers are not seen from outside"
        before = F.pad(output[0], (0, 0, 1, 0))[:, :-1]
        logits = inputs[0] @ layer.weight_ih_l0.T + before @ layer.weight_hh_l0.T
        logits += layer.bias_ih_l0 + layer.bias_hh_l0
        kinds = logits.chunk(4 if isinstance(layer, nn.LSTM) else 3, -1)
        gates = (kinds[0], kinds[1], kinds[3]) if len(kinds) == 4 else kinds[:2]
        self._sigmoid(torch.stack(gates).sigmoid())


def caller() -> tuple[str, int]:
    """File and line of the models' code that is being run."""
    frame = sys._getframe(2)
    while frame and not frame.f_code.co_filename.startswith(str(FOLDER)):
        frame = frame.f_back
    assert frame, "a gate outside the models"
    return frame.f_code.co_filename, frame.f_lineno


def places_of_gates() -> dict[tuple[str, int], str]:
    """Every call in the models that weights something by a sigmoid or softmax: place -> text."""
    found = {}
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in GATES:
                found[str(path), node.lineno] = f"{path.name}: {ast.unparse(node)}"
    return found


def small_model(name: str, options: dict) -> nn.Module:
    """A model for five classes, as small as it stays what it is."""
    build = import_module(f"{models.__name__}.{name}").build
    known = inspect.signature(build).parameters
    small = {key: value for key, value in SMALL.items() if key in known}
    return build(5, **{**small, **LARGER.get(name, {}), **options})


def some_clips() -> Tensor:
    return F.interpolate(torch.randn(2, 3, 4, 4, 4), (4, SIDE, SIDE), mode="trilinear")


def first_step(name: str, options: dict, seed: int) -> tuple[float | None, dict[str, float]]:
    """Draw a model and pass clips forward and backward in training mode.

    Returns the largest share of shut gates in any place, None in a model without gates; and the
    norm of each parameter's gradient over the root of its size, relative to the median parameter's.
    """
    torch.manual_seed(seed)
    model, clips = small_model(name, options), some_clips()
    with Gates(model) as gates:
        F.cross_entropy(model(clips), torch.arange(2)).backward()
    sizes = {
        name: 0.0 if p.grad is None else p.grad.norm().item() / p.numel() ** 0.5
        for name, p in model.named_parameters()
    }
    median = statistics.median(sizes.values())
    return max(gates.shut, default=None), {name: size / median for name, size in sizes.items()}


def excused(place: str, reasons: dict[str, str]) -> bool:
    return any(re.match(pattern, place) for pattern in reasons)


@pytest.mark.parametrize(("name", "options"), ROWS, ids=lambda value: str(value))
def test_no_gate_starts_shut_and_every_parameter_learns(name, options):
    shut, still, row = [], Counter(), f"{name} {options}"
    for seed in range(SEEDS):
        share, gradients = first_step(name, options, seed)
        still.update(f"{row} {key}" for key, size in gradients.items() if size < 1e-3)
        if share is None and seed == 2:  # nothing else depends much on the draw
            break
        shut.append(share or 0.0)
    if not excused(row, SHUT):
        assert statistics.mean(shut) < 0.05
    # once in all draws, all of the few units of a layer this small may be dead by chance
    often = [place for place, count in still.items() if count > 1]
    assert [place for place in often if not excused(place, STILL)] == []


def test_no_gate_of_any_model_is_left_out():
    """Each is passed by one of the rows above, or gives weights for figures alone."""
    passed = set()
    for name, options in ROWS:
        torch.manual_seed(0)
        model, clips = small_model(name, options), some_clips()
        with torch.no_grad(), Gates(model) as gates:
            model(clips)
        passed |= gates.places
    left = {text for place, text in places_of_gates().items() if place not in passed}
    assert {text for text in left if not excused(text, NOT_IN_TRAINING)} == set()
    assert len(passed) >= len(left)


@pytest.mark.parametrize(
    ("name", "options", "drawing"),
    [
        ("hacn", {}, "near_zero"),
        ("hacn", {"mode": "map"}, "near_zero"),
        ("hacn", {"attention": "none"}, "open_recurrent"),
        ("fan", {}, "near_zero"),
        ("ceflnet", {}, "near_zero"),
    ],
)
def test_gates_drawn_like_other_layers_are_seen_to_be_shut(name, options, drawing, monkeypatch):
    as_others = {"near_zero": initialise, "open_recurrent": nn.GRU.reset_parameters}[drawing]
    monkeypatch.setattr(f"{models.__name__}.{name}.{drawing}", as_others)
    assert statistics.mean(first_step(name, options, seed)[0] for seed in range(4)) > 0.05
