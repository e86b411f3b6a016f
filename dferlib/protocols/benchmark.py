"""The benchmark: networks of all papers and three plain rivals under one protocol of this project.

No paper's recipe: everybody reads the same frames of the same clips, is trained by the same
optimiser for the same number of steps, and is tested after the last epoch. Papers differ in their
samplers - STT takes pairs of frames, CEFLNet 35 frames in seven clips, HACN and ECNN-FSA one of
each of five parts - and no number here is one of theirs; for that there is each paper's notebook.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

from dferlib.protocols.paper import Paper, Preset, Variant
from dferlib.protocols.presets import BY_DEVICE, CONVERGING, NO_SECOND_EPOCH, RUNS_ONCE
from dferlib.protocols.recipe import Deviation, Recipe, recipe_dataclass

SLUG = "benchmark"
FRAMES = 6  # enough for five grades of dropped frames
SPAN_FRAMES = 2  # of each of CEFLNet's short clips; a clip of one frame has no relation to learn
_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu": _SIX,
    "mmi": _SIX,
    "bu4dfe": _SIX,
    "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    "dfew": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
}
LAST_IS_PEAK = ("ckplus", "oulu")

PAPERS = ("stcam", "ceflnet", "hacn", "stt", "ecnn_fsa")
RIVALS = ("peak-cnn", "resnet3d-18", "resnet18-gru")
# row -> (label, network); what a paper compares itself with stands first
ROWS = {
    "peak-cnn": ("CNN on one frame", "peak_cnn"),
    "resnet3d-18": ("3D ResNet-18", "resnet3d_18"),
    "resnet18-gru": ("ResNet-18 + GRU", "resnet18_gru"),
    "stcam": ("STCAM", "stcam"),
    "ceflnet": ("CEFLNet", "ceflnet"),
    "hacn": ("HACN", "hacn"),
    "stt": ("STT", "stt"),
    "ecnn_fsa": ("ECNN-FSA", "ecnn_fsa"),
}
NETWORK_FIELDS = {
    "peak_cnn": ("width", "frame"),
    "resnet3d_18": ("width",),
    "resnet18_gru": ("width",),
    "stcam": ("width",),
    "ceflnet": ("width", "num_clips"),
    "hacn": ("width",),
    "stt": ("width", "stage", "num_frames", "input_size"),
    "ecnn_fsa": ("width", "batch_norm"),
}


class Extra(NamedTuple):
    """What a preset runs beside its rows.

    `curves` maps the datasets of learning curves to shares of the training subjects; `corrupted` is
    the most test clips of a dataset that are corrupted; `seeds` are those of the rows, of which
    curves and corruptions take the first.
    """

    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    curves: dict[str, tuple[float, ...]]
    corrupted: int


EXTRAS = {
    "smoke": Extra(("ckplus", "oulu"), (0,), {"oulu": (0.3,)}, 4),
    "quick": Extra(("ckplus", "oulu", "dfew"), (0, 1), {"ckplus": (0.1, 0.3)}, 24),
    "gpu": Extra(tuple(CLASSES), (0, 1, 2), dict.fromkeys(CLASSES, (0.1, 0.3)), 10_000),
}

_NARROW = ("a sixteenth of the multiplications", "an eighth of the channels")
_QUICK = Preset(
    purpose="at most 45 minutes on two CPU cores, once stores and initial weights are there",
    clips=0,  # an epoch passes once over the clips, few or many
    changes={
        **CONVERGING,
        "width": (0.5, "a quarter of the multiplications"),
        "batch_size": (8, "few clips, and a short training needs many steps"),
        "epochs": (4, "what 45 minutes have room for; 20 to 40 steps in each"),
        "holdout": (False, "nothing is chosen by validation: the last epoch counts in every row"),
        "folds": ((1,), "one fold tests a third of the clips"),
    },
    by_dataset={"dfew": {"fraction": (0.02, "235 of 11,697 clips")},
                "afew": {"fraction": (0.4, "462 of 1,156 clips")}},
    by_row={
        "peak-cnn": {"width": (1.0, "its cost is a hundredth of the others'")},
        "resnet3d-18": {"width": (0.25, _NARROW[0])},
        "hacn": {"width": (0.25, _NARROW[0])},
        "ecnn_fsa": {"width": (0.25, _NARROW[0])},
    },
)  # fmt: skip
_SMOKE = Preset(
    purpose="seconds; shows that everything runs, and nothing else",
    changes={
        **RUNS_ONCE,
        **NO_SECOND_EPOCH,
        "store_size": (36, "the crops that the papers' smoke presets share"),
        "input_size": (32, "smallest input that leaves one position after five halvings"),
        "width": (0.125, _NARROW[1]),
        "fraction": (0.15, "12 or more subjects remain"),
        "holdout": (False, "as in the other presets"),
    },
    by_dataset={name: {"fraction": (0.01, "seconds")} for name in ("afew", "dfew")},
    variants={"oulu": (("peak-cnn", "hacn"), "two rows are enough for what two datasets need")},
)
_GPU = Preset(
    purpose="all datasets and folds at the papers' widths, on a data-centre card",
    changes={
        **CONVERGING,
        **BY_DEVICE,
        "store_size": (128, "112 px and a margin to crop from"),
        "input_size": (112, "what most networks of this field read"),
        "epochs": (40, "a first look at full width"),
        "holdout": (False, "nothing is chosen by validation: the last epoch counts in every row"),
    },
    by_dataset={"dfew": {"fraction": (0.2, "2,341 of 11,697 clips")}},
)


@recipe_dataclass
class BenchmarkRecipe(Recipe):
    """The one protocol; only the network and its width differ between rows.

    `share` is the part of the training subjects that is trained on; `frame` is the one that the CNN
    of one frame reads of the frames that all rows get.
    """

    slug: ClassVar[str] = SLUG
    model_fields: ClassVar[tuple[str, ...]] = ("width",)

    network: str = "stcam"
    num_frames: int = FRAMES
    sampler: str = "one_per_segment"
    store_size: int = 128
    input_size: int = 112
    flip: bool = True
    crop: Literal["five", "random", "none"] = "random"
    width: float = 1.0
    init: str = "synthetic"
    epochs: int = 40
    batch_size: int = 16
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    lr: float = 0.002
    schedule: Literal["steps", "one_cycle"] = "one_cycle"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    weight_decay: float = 0.01
    decayed: Literal["all", "weights"] = "weights"
    loss: str = "label_smoothing"
    label_smoothing: float = 0.05
    num_folds: int = 3
    folds: tuple[int, ...] = (1, 2, 3)
    holdout: bool = False
    select: Literal["last", "best_val", "best_test"] = "last"
    share: float = 1.0
    frame: int = -1
    num_clips: int = FRAMES // SPAN_FRAMES
    stage: Literal["layer3", "layer4"] = "layer3"  # the 4x4 grid of STT's quick preset
    batch_norm: bool = True  # from nothing, plain VGG-16 stays at chance

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; it lies above 0 and up to 1")

    @property
    def model(self) -> str:
        """The network of this row, a name for create_model."""
        return self.network

    @property
    def init_frames(self) -> int:
        """Frames of the pre-training clips: as in the papers' presets, whose weights are shared."""
        return {"peak_cnn": 1, "hacn": 5, "ecnn_fsa": 5}.get(self.network, 7)

    def model_options(self) -> dict[str, Any]:
        """Return the options that the network of this row takes."""
        return {name: getattr(self, name) for name in NETWORK_FIELDS[self.network]}

    def deviations(self) -> list[Deviation]:
        """Nothing: it is of no paper that it could differ from."""
        return []


def _own(dataset: str) -> dict[str, Any]:
    """The official lists of a dataset; the frame that is taken for the peak."""
    own: dict[str, Any] = {} if dataset in LAST_IS_PEAK else {"frame": FRAMES // 2}
    if dataset == "dfew":
        own |= {"num_folds": 5, "folds": (1, 2, 3, 4, 5)}
    if dataset == "afew":
        own |= {"num_folds": 1, "folds": (1,)}
    return own


PAPER = Paper(
    title="One protocol for all",
    citation="this project",
    doi="",
    stated=BenchmarkRecipe(),
    classes=CLASSES,
    variants={
        slug: Variant(slug, label, {}, {"network": network})
        for slug, (label, network) in ROWS.items()
    },
    presets={"smoke": _SMOKE, "quick": _QUICK, "gpu": _GPU},
    assumed={},
    counts={},
    own_settings={name: own for name in CLASSES if (own := _own(name))},
)
