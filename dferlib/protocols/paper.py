"""The class behind every protocol: fields that define a training, and how they may be changed.

What a paper *is* (title, classes, ablation rows, presets) are class variables; what a training
*does* are fields, so `dataclasses.asdict(protocol)` holds nothing but settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as _pydantic_dataclass

from dferlib.names import OWN_CLIPS, unknown_name

# strict: an override keeps the type of the value that it replaces
protocol_dataclass = _pydantic_dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True)
)


class Deviation(NamedTuple):
    """One setting in which a resolved protocol differs from the paper."""

    name: str
    paper: Any
    value: Any
    reason: str


class Reported(NamedTuple):
    """One published cell; `value` is None where the text at hand lost it."""

    table: int
    dataset: str
    row: str
    metric: str
    value: float | str | None
    unit: str
    note: str = ""


class Criterion(NamedTuple):
    """When a result on real data counts as reproduced; `low` and `high` are fractions."""

    metric: str
    published: float
    correct: int
    n: int
    low: float
    high: float
    text: str
    whole: tuple[int, ...] = ()  # clips of a whole copy, where the printed value fits another n

    def holds(self, value: float) -> bool:
        """Tell whether a result (a fraction) lies inside the interval."""
        return self.low <= value <= self.high


class Extent(NamedTuple):
    """The data at hand: number of clips, and of folds where own clips fill fewer (0: the paper's)."""

    clips: int = 0
    folds: int = 0


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the ablation tables: its name here, its label in each table, and what it changes."""

    slug: str
    label: str
    rows: Mapping[int, str]
    changes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Preset:
    """A size of the experiment: name -> (value, reason), and more changes for single datasets.

    ``variants`` maps a dataset to (the rows that are run on it, reason) where not all are.
    ``clips`` is the size of the smallest data set for which the epochs were set: where there are
    fewer than two thirds of them, an epoch passes over them more than once; 0: it never does.
    """

    purpose: str
    changes: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    by_dataset: Mapping[str, Mapping[str, tuple[Any, str]]] = field(default_factory=dict)
    variants: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    clips: int = 0

    def of(self, dataset: str) -> dict[str, tuple[Any, str]]:
        """Return all changes for one dataset."""
        return {**self.changes, **self.by_dataset.get(dataset, {})}

    def passes(self, clips: int) -> int:
        """Return how often an epoch passes over the training clips of a data set of ``clips``.

        About as many are seen as of the data set that the preset was set for.
        """
        return max(1, round(self.clips / clips)) if clips else 1


@protocol_dataclass
class Protocol:
    """The settings of a training. A paper subclasses it, gives values and adds its model's options.

    `preset`, `dataset` and `variant` are empty until `resolve` sets them.
    """

    slug: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str]
    doi: ClassVar[str]
    model: ClassVar[str]  # name for create_model
    classes: ClassVar[Mapping[str, tuple[str, ...]]]  # dataset -> class names, in order
    variants: ClassVar[Mapping[str, Variant]]
    presets: ClassVar[Mapping[str, Preset]]
    assumed: ClassVar[Mapping[str, str]]  # setting or question -> why this value
    model_fields: ClassVar[tuple[str, ...]]  # fields that are options of the model
    sampler_fields: ClassVar[tuple[str, ...]] = ()  # and of the sampler

    # dataset -> settings that the paper itself has for it, where they differ from the fields
    own_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # what runs here whatever the preset: (what, in the paper, here, why)
    always_differs: ClassVar[tuple[tuple[str, str, str, str], ...]] = ()

    stored_selections: ClassVar[tuple[str, ...]] = ("last", "best_val", "best_test")

    preset: str = ""
    dataset: str = ""
    variant: str = ""
    clips: int = 0  # of the data set, where they were counted: see `sweep.fit_protocol`

    num_frames: int
    sampler: str
    store_size: int
    faces: str = ""  # how faces are cut out of real frames; see datasets/face_options.py
    input_size: int
    peak: Literal["annotated", "last", "middle"] = "last"  # which frame is the apex
    flip: bool
    crop: Literal["five", "random", "none"]
    width: float
    init: str
    epochs: int
    passes: int = 1  # over the training clips in an epoch; more than one where clips are few
    batch_size: int
    optimizer: Literal["sgd", "adam", "adamw"]
    momentum: float
    nesterov: bool
    lr: float
    milestones: tuple[int, ...]
    gamma: float
    weight_decay: float
    loss: str
    label_smoothing: float
    num_folds: int
    folds: tuple[int, ...]
    select: Literal["last", "best_val", "best_test"]
    schedule: Literal["steps", "one_cycle"] = "steps"
    warmup: float = 0.3
    decayed: Literal["all", "weights"] = "all"
    holdout: bool = True
    normalise: str = "imagenet"
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

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets of the paper that this package reads."""
        return tuple(self.classes)

    @property
    def official_split(self) -> bool:
        """Whether the split that a dataset prescribes is used, where there is one."""
        return True

    def variants_of(self, preset: str, dataset: str) -> tuple[str, ...]:
        """Return the variants that a preset runs on a dataset, which is what "all" means there."""
        chosen, _ = self.presets[preset].variants.get(dataset, (tuple(self.variants), ""))
        return chosen

    def printed_on(self, dataset: str) -> tuple[str, ...]:
        """Return the variants for which the paper prints a value on a dataset."""
        if dataset == OWN_CLIPS:
            return ()
        if dataset not in self.classes:
            return ()
        cells = {(cell.table, cell.row) for cell in self.reported(dataset=dataset)}
        return tuple(k for k, v in self.variants.items() if cells & set(v.rows.items()))

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

    @property
    def stated(self) -> Self:
        """The settings as the paper states them."""
        return self

    def resolve(self, preset: str, dataset: str, variant: str, extent: Extent = Extent()) -> Self:
        """Return the protocol of one training: this paper's, made smaller by a preset.

        Presets and variants are `self.presets` and `self.variants`, the dataset is one of the paper
        or `OWN_CLIPS`; ValueError for others.
        """
        for what, name, known in (
            ("preset", preset, self.presets),
            ("dataset", dataset, (*self.classes, OWN_CLIPS)),
            ("variant", variant, self.variants),
        ):
            if name not in known:
                raise ValueError(unknown_name(f"{what} of protocol {self.slug!r}", name, known))
        changes = dict(self.own_settings.get(dataset, {}))
        changes |= {name: value for name, (value, _) in self.presets[preset].of(dataset).items()}
        changes |= self.variants[variant].changes
        clips = extent.clips or self.clips
        changes |= {"passes": self.presets[preset].passes(clips), "clips": clips}
        if extent.folds:
            every = tuple(range(1, extent.folds + 1))
            changes = {"folds": every} | changes | {"num_folds": extent.folds}
        return self.override(preset=preset, dataset=dataset, variant=variant, **changes)

    def deviations(self) -> list[Deviation]:
        """List what differs from the paper for the same dataset and variant, with the reasons.

        Settings changed after `resolve` are listed, too, as "set by the caller".
        """
        paper = type(self)().override(**self.own_settings.get(self.dataset, {}))
        if self.variant:
            paper = paper.override(**self.variants[self.variant].changes)
        reasons = self._reasons()
        found = []
        for item in dataclasses.fields(self):
            mine, theirs = getattr(self, item.name), getattr(paper, item.name)
            if mine != theirs and item.name not in ("preset", "dataset", "variant", "clips"):
                value, reason = reasons.get(item.name, (None, ""))
                reason = reason if value == mine else "set by the caller"
                found.append(Deviation(item.name, theirs, mine, reason))
        return found

    def _reasons(self) -> dict[str, tuple[Any, str]]:
        """Values that the preset sets, or the number of clips, each with its reason."""
        if not self.preset:
            return {}
        preset = self.presets[self.preset]
        few = f"{self.clips} clips; the epochs of {self.preset} were set for {preset.clips} or more"
        reasons = dict(preset.of(self.dataset))
        if self.dataset == OWN_CLIPS:
            fewer = "no more folds than these clips have subjects"
            own = {"num_folds": (self.num_folds, fewer), "folds": (self.folds, fewer)}
            reasons = own | reasons  # which folds are run is the preset's choice where it makes one
        return reasons | {"passes": (preset.passes(self.clips), few)}

    def model_options(self) -> dict[str, Any]:
        """Return the options for `create_model(protocol.model, num_classes, **options)`."""
        return {name: getattr(self, name) for name in self.model_fields}

    def sampler_options(self) -> dict[str, Any]:
        """Return the options of the frame sampler, see `dferlib.datasets.samplers`."""
        return {name: getattr(self, name) for name in self.sampler_fields}

    def loss_options(self) -> dict[str, float]:
        """Return the options for `create_loss(protocol.loss, **options)`."""
        smoothed = self.loss == "label_smoothing"
        return {"smoothing": self.label_smoothing} if smoothed else {}

    def key(self) -> dict[str, Any]:
        """Return the settings that define a trained model.

        Which folds are run, the name of the preset and the rule that picks an epoch afterwards are
        left out: the same training has the same key whoever asked for it. So is how faces are cut
        out: the store's manifest hash says it, and only where there was something to cut. A single
        pass in an epoch goes without saying.
        """
        left_out = {"folds", "preset", "select", "faces", "clips"}
        left_out |= {"passes"} if self.passes == 1 else set()
        new = {"schedule": "steps", "warmup": 0.3, "decayed": "all", "holdout": True}
        new |= {"normalise": "imagenet"}
        left_out |= {name for name, value in new.items() if getattr(self, name) == value}
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in left_out}

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


Paper = Protocol
