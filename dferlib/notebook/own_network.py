"""The network that looks at a video of one's own, and what may be said about its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from IPython.display import Markdown, display
from torch import nn

from dferlib.device import set_threads
from dferlib.models import create_model
from dferlib.names import unknown_name
from dferlib.notebook.display import SMOKE_NOTICE
from dferlib.notebook.refusal import RefusedError
from dferlib.protocols import Recipe, load_protocol
from dferlib.training.planning import Request, own_clips
from dferlib.training.stores import locate_recipe_store, open_recipe_store
from dferlib.training.tasks import Task
from dferlib.training.weights import WeightsError, read_plain, user_weights

PAPER = "stcam"
PRESETS = ("auto", "smoke", "quick")


class VideoError(RefusedError):
    """A video, its faces or the weights cannot be used; the message names the file, the way out."""


@dataclass(frozen=True, eq=False)
class Reader:
    """A trained STCAM, what it calls its outputs, its settings, and what it was trained on."""

    model: nn.Module
    classes: tuple[str, ...]
    recipe: Recipe
    trained_on: str

    def __post_init__(self) -> None:
        self.model.eval()

    @property
    def chance(self) -> float:
        """Accuracy of guessing, from 0 to 1."""
        return 1 / len(self.classes)


def open_reader(weights: str = "", preset: str = "auto") -> Reader:
    """The network: of a file of weights, or trained on the drawn stand-in for Oulu-CASIA.

    A training whose weights lie in the cache is read; `auto` takes `quick` where it is there and
    else trains at `smoke`. No run is added to the results. VideoError for an unknown preset and for
    weights that are no STCAM of a known size.
    """
    set_threads()
    if weights:
        return _reader_of_file(Path(weights).expanduser())
    if preset not in PRESETS:
        raise VideoError(unknown_name("preset", preset, PRESETS))
    named = ("quick", "smoke") if preset == "auto" else (preset,)
    planned = {name: _plan(name, locate_recipe_store) for name in named}
    there = [name for name, task in planned.items() if task.has_weights]
    name = there[0] if there else named[-1]
    if there:
        task, how = planned[name], "read from an earlier training"
    else:
        text = f"No trained network is in the cache: one is trained at preset `{name}` first."
        display(Markdown(text))
        task, how = _plan(name, open_recipe_store), "trained here"
    model, rows = task.trained().cpu(), task.store.manifest.iloc[task.split.train]
    said = (
        f"STCAM at preset {name}, {how}, on {len(rows)} clips of {rows['subject'].nunique()} "
        "people whom a program drew (the stand-in for Oulu-CASIA). It has never seen a real "
        "person. What it says of a real face is a guess far outside of what it learned."
    )
    said += f" {SMOKE_NOTICE}" if name == "smoke" else ""
    return Reader(model, task.store.classes, task.recipe, said)


def _plan(preset: str, opener: Callable) -> Task:
    """The first training of the paper's own row on the stand-in for Oulu-CASIA."""
    paper = load_protocol(PAPER)
    request = Request(paper, preset, source="synthetic", open_store=opener)
    store = own_clips(paper, request.open(request.recipe("oulu")))
    return request.plan(store, [PAPER], [1])[0]


def _reader_of_file(path: Path) -> Reader:
    """The network of a file: the preset and the class set in which every tensor has its place."""
    paper = load_protocol(PAPER)
    try:
        if not path.is_file():
            raise WeightsError(f"there is no file {path}; name one, or leave weights empty")
        read_plain(path)
        for preset, dataset in product(("smoke", "quick", "paper"), ("oulu", "ckplus")):
            recipe, classes = paper.resolve(preset, dataset, PAPER), paper.classes[dataset]
            model = create_model(recipe.model, len(classes), **recipe.model_options())
            own = model.state_dict()
            try:
                state = user_weights(model, path)
            except WeightsError:
                continue
            if all(n in state and state[n].shape == value.shape for n, value in own.items()):
                model.load_state_dict({name: state[name] for name in own})
                said = (
                    f"Weights of {path.name}, which does not say what they were trained on. Its "
                    f"{len(classes)} outputs are taken for {', '.join(classes)}, in this order."
                )
                return Reader(model, tuple(classes), recipe, said)
    except WeightsError as error:
        raise VideoError(f"weights cannot be read: {error}") from error
    raise VideoError(
        f"{path} holds no whole STCAM of preset smoke, quick or paper with six or seven classes; "
        "name a file that a training of notebooks/stcam.ipynb left in the cache"
    )
