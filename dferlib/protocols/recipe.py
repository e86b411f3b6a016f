"""The settings of one training, and how they may be changed.

A paper's own settings are a subclass; `dataclasses.asdict(recipe)` holds nothing but settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from dferlib.names import unknown_name

# strict: an override keeps the type of the value that it replaces
recipe_dataclass = dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True)
)

# what is asked for, not how it is trained
_REQUEST = ("preset", "dataset", "variant", "clips")
# the same training whoever asked for it; the store's manifest hash tells how faces were cut out
_NOT_IN_KEY = {"folds", "preset", "select", "faces", "clips"}
# settings that came later: at these values a training is what it was without them
UNSAID = {
    "passes": 1,
    "schedule": "steps",
    "warmup": 0.3,
    "decayed": "all",
    "holdout": True,
    "normalise": "imagenet",
    "transfer": "",
    "pretrain": "shared",
}


class Deviation(NamedTuple):
    """One setting in which a recipe differs from the paper."""

    name: str
    paper: Any
    value: Any
    reason: str


@recipe_dataclass
class Recipe:
    """The settings of a training. A paper subclasses it, gives values and adds its model's options.

    `Paper.resolve` makes recipes; in `Paper.stated` preset, dataset and variant are empty, as what
    the paper states is for no one of them.
    """

    slug: ClassVar[str]  # of the paper
    model: ClassVar[str]  # name for create_model
    model_fields: ClassVar[tuple[str, ...]]  # fields that are options of the model
    sampler_fields: ClassVar[tuple[str, ...]] = ()  # and of the sampler

    preset: str = ""
    dataset: str = ""
    variant: str = ""
    clips: int = 0  # of the data set, where they were counted

    num_frames: int
    sampler: str
    store_size: int
    faces: str = ""  # how faces are cut out of real frames; see datasets/faces/options.py
    input_size: int
    # with the initial weights: ImageNet's mean and deviation; / 255 alone; BGR less VGG-Face's mean
    normalise: Literal["imagenet", "unit", "vggface"] = "imagenet"
    peak: Literal["annotated", "last", "middle"] = "last"  # which frame is the apex
    flip: bool
    crop: Literal["five", "random", "none"]
    width: float
    init: str
    # of init "synthetic": one for all rows, of what they share; or each row's whole network
    pretrain: Literal["shared", "own"] = "shared"
    # the training of the same network before this one: of what data; see protocols/stages.py
    transfer: str = ""
    epochs: int
    passes: int = 1  # over the training clips in an epoch; more than one where clips are few
    batch_size: int
    optimizer: Literal["sgd", "adam", "adamw"]
    momentum: float
    nesterov: bool
    lr: float
    schedule: Literal["steps", "one_cycle"] = "steps"  # steps: milestones, or the paper's own
    warmup: float = 0.3  # share of a cycle in which the rate rises
    milestones: tuple[int, ...]
    gamma: float
    weight_decay: float
    decayed: Literal["all", "weights"] = "all"  # weights: no biases, no scales of norms
    loss: str
    label_smoothing: float
    num_folds: int
    folds: tuple[int, ...]
    holdout: bool = True  # whether a part of the training folds validates instead
    select: Literal["last", "best_val", "best_test"]
    fraction: float = 1.0
    precision: Literal["float32", "bf16", "auto"] = "float32"  # auto: what the device has units for

    def __post_init__(self) -> None:
        wrong = [k for k in self.folds if not 1 <= k <= self.num_folds]
        if wrong:
            raise ValueError(f"folds holds {wrong}; folds are numbered 1 to {self.num_folds}")
        if self.input_size > self.store_size:
            raise ValueError(
                f"input_size {self.input_size} is larger than store_size {self.store_size}; "
                "crops are cut out of the stored frames"
            )
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction is {self.fraction}; it lies above 0 and up to 1")
        if self.label_smoothing and self.loss != "label_smoothing":
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}, but loss is {self.loss!r}, which does "
                "not smooth; set loss='label_smoothing', too"
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {self.milestones} are not increasing")
        if self.schedule == "one_cycle" and not 0 < self.warmup < 1:
            raise ValueError(f"warmup is {self.warmup}; of one cycle it is a share between 0 and 1")
        if self.select == "best_val" and not self.holdout:
            raise ValueError(
                "select is 'best_val', but no clips are held out to validate; set holdout=True"
            )

    @property
    def official_split(self) -> bool:
        """Whether the split that a dataset prescribes is used, where there is one."""
        return True

    @property
    def init_frames(self) -> int:
        """Frames of the clips on which init "synthetic" pre-trains."""
        return self.num_frames

    def override(self, **changes: Any) -> Self:
        """Return a copy with some settings changed.

        Raises ValueError for an unknown name (with the nearest valid one), a value of another type
        or a value that is not allowed.
        """
        known = [f.name for f in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(unknown_name(f"setting of protocol {self.slug!r}", name, known))
        try:
            return dataclasses.replace(self, **changes)
        except ValidationError as error:
            raise ValueError(self._explain(error, changes)) from None

    def key(self) -> dict[str, Any]:
        """Return the settings that define a trained model.

        Which folds are run, the name of the preset and the rule that picks an epoch afterwards are
        left out: the same training has the same key whoever asked for it. Settings at a value that
        goes without saying are left out, too.
        """
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in _NOT_IN_KEY and not (name in UNSAID and UNSAID[name] == value)
        }

    def deviations(self) -> list[Deviation]:
        """List what differs from the paper for the same dataset and variant, with the reasons.

        Settings changed after `Paper.resolve` are listed, too, as "set by the caller".
        """
        paper = import_module(f"{__package__}.{self.slug}").PAPER  # which imports this module
        stated = paper.stated_for(self.dataset, self.variant)
        reasons = paper.reasons(self)
        found = []
        for item in dataclasses.fields(self):
            mine, theirs = getattr(self, item.name), getattr(stated, item.name)
            if mine != theirs and item.name not in _REQUEST:
                value, reason = reasons.get(item.name, (None, ""))
                reason = reason if value == mine else "set by the caller"
                found.append(Deviation(item.name, theirs, mine, reason))
        return found

    def model_options(self) -> dict[str, Any]:
        """Return the options for `create_model(recipe.model, num_classes, **options)`."""
        return {name: getattr(self, name) for name in self.model_fields}

    def sampler_options(self) -> dict[str, Any]:
        """Return the options of the frame sampler, see `dferlib.datasets.samplers`."""
        return {name: getattr(self, name) for name in self.sampler_fields}

    def loss_options(self) -> dict[str, float]:
        """Return the options for `create_loss(recipe.loss, **options)`."""
        smoothed = self.loss == "label_smoothing"
        return {"smoothing": self.label_smoothing} if smoothed else {}

    def _explain(self, error: ValidationError, changes: Mapping[str, Any]) -> str:
        lines = []
        for item in error.errors():
            name = str(item["loc"][0]) if item["loc"] else ""
            if name in changes:
                lines.append(
                    f"{name}={changes[name]!r} does not fit protocol {self.slug!r}: "
                    f"{item['msg']} (the value was {getattr(self, name)!r})"
                )
            else:
                lines.append(item["msg"].removeprefix("Value error, "))
        return "; ".join(lines)
