"""HACN (Zhu, Ye, Zhao, Dai 2021): protocol, rows of Tables 2 to 4, and presets.

In the text at hand the tables are images. Values without a note stand in the running text; the text
gives differences to HACN for other rows, which are subtracted and may be off by 0.01; other
people's values are lost and None. Table 1 is the standard ResNet-50 that the text names.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from dferlib.protocols.paper import Count, Paper, Preset, row
from dferlib.protocols.presets import BY_DEVICE, CONVERGING, NO_SECOND_EPOCH, RUNS_ONCE, hour
from dferlib.protocols.recipe import Recipe, recipe_dataclass
from dferlib.protocols.reported import Reported

CLASSES = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
    "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
}
AFEW_LISTS = {"train": 773, "val": 383, "test": 653}  # §4.1
CLIPS = {"ckplus": 327, "oulu": 480, "afew": 773 + 383}  # §4.1
# Totals of which a printed accuracy could be a share; Oulu-CASIA films everybody in three lights.
CLAIMED_TOTALS = {
    "afew": {"training and validation list": CLIPS["afew"], "validation list": AFEW_LISTS["val"]},
    "ckplus": {"labelled sequences": CLIPS["ckplus"]},
    "oulu": {"one light": CLIPS["oulu"], "all three lights": 3 * CLIPS["oulu"]},
}
DENSENET_ACCURACIES = {  # one source on AFEW, printed by two papers
    "DenseNet-161 as printed here": 51.40,
    "as CEFLNet prints it": 51.44,
}
OWN = "HACN (ours)"
CLAIMS = {  # what §4.5 says of Fig. 7 without numbers
    "ckplus": ("contempt and surprise are always right",),
    "afew": (
        "happiness and neutral are recognised best",
        "disgust and surprise are recognised worst, and taken for anger",
    ),
    "oulu": (
        "surprise is recognised best and anger worst",
        "anger and sadness are taken for each other",
    ),
}
# What is tested on AFEW. The paper says five-fold (§4.2); the rows that it compares with were
# trained on the training list and tested on the validation list.
EVALUATIONS = {
    "five-fold": {"evaluation": "five-fold"},
    "train-val": {"evaluation": "train-val", "num_folds": 1, "folds": (1,)},
}

_CONTROL_1, _CONTROL_2 = (
    "Control group 1: ResNet50+GRU",
    "Control group 2: ResNet50 + hybrid attention",
)
_ROWS = (
    row(
        "control-1",
        "Control group 1: no attention",
        {2: f"{_CONTROL_1} (no hybrid attention)", 3: _CONTROL_1, 4: _CONTROL_1},
        attention="none",
    ),
    row(
        "control-2",
        "Control group 2: no GRU",
        {2: f"{_CONTROL_2} (no GRU)", 3: _CONTROL_2, 4: _CONTROL_2},
        temporal="mean",
    ),
    row("self", "Self-attention only (Figure 5)", {}, attention="self"),
    row("hacn", "HACN", dict.fromkeys((2, 3, 4), OWN)),
    row("map", "HACN, attention on maps", {}, mode="map"),
    row("literal", "HACN, equations as printed", {}, mode="literal"),
)

_QUICK = Preset(
    purpose="minutes on two CPU cores",
    clips=327,  # the smallest stand-in, of CK+
    changes={
        **CONVERGING,
        "width": (0.25, "a sixteenth of the multiplications"),
        "folds": ((1,), "one fold already pairs the rows on the same clips"),
    },
    by_dataset={"afew": {"fraction": (0.4, "462 of 1,156 clips")}},
)
_SMOKE = Preset(
    purpose="seconds; shows that everything runs, and nothing else",
    changes={
        **RUNS_ONCE,
        **NO_SECOND_EPOCH,
        "store_size": (36, "the frames that the other papers' smoke presets use"),
        "input_size": (32, "smallest input that leaves one position after five halvings"),
        "width": (0.125, "a sixty-fourth of the multiplications"),
        "fraction": (0.15, "12 or more subjects remain"),
    },
    by_dataset={
        "afew": {
            "store_size": (54, "the crops that the smoke presets on AFEW share"),
            "input_size": (48, "goes with the store"),
            "fraction": (0.03, "33 of 1,156 clips, as STT's smoke preset"),
        }
    },
)
_GPU = Preset(
    purpose="the paper's training in about an hour on a data-centre card",
    changes={**BY_DEVICE, **hour(90, (18, 36, 54, 72))},
    by_dataset={
        "ckplus": hour(100, (20, 40, 60, 80)),
        "afew": hour(40, tuple(range(4, 40, 4))),
    },
)
_PAPER = Preset(purpose="the full protocol of the paper")

_ASSUMED = {
    "num_frames": "k is said to be the average number of frames of the videos, 5; CK+ sequences "
    "have 10 to 60: 5 is a fixed number here",
    "sampler": "random frames in training, the middle frame of each part in tests; the whole "
    "sequence from neutral to peak",
    "mode": "Equations 3, 4 and 6 cannot be followed as printed; see models/hacn.py",
    "theta and omega": "one number out of each, as in the frame attention networks",
    "pooling": "'1x1 average pooling' to get 'global image features' is taken for global pooling",
    "dropout": "named (§3.3), without a rate or a place: 0.5 in front of both weights, as in the "
    "frame attention networks",
    "temporal": "one direction, the last state is classified",
    "init": "not said: ImageNet; give a path for weights from faces",
    "peak": "no row reads it; of the single-frame CNN beside them: the last frame of a sequence "
    "from neutral to peak, the middle one of a wild clip",
    "frozen layers": "none are mentioned",
    "width": "that of ResNet-50",
    "milestones": "'0.8 times the current learning rate after 20 epochs': after every 20 epochs",
    "nesterov": "plain momentum",
    "flip": "augmentation is not mentioned; whole clips are mirrored at random",
    "crop": "none is mentioned",
    "normalise": "'normalized': ImageNet mean and deviation",
    "label_smoothing": "none is mentioned",
    "folds": "whether they share subjects is not said: subjects are kept apart",
    "evaluation": "five folds over training and validation list of AFEW, as printed; the other "
    "one is run beside it",
    "Oulu-CASIA": "three kinds of light are named, the choice is not: visible light, strong",
    "select": "the mean over the validation folds is printed, the epoch is not said; the last",
    "aggregation": "the printed value is a mean over folds; ours is pooled, the mean beside it",
    "precision": "not mentioned",
}


@recipe_dataclass
class HacnRecipe(Recipe):
    """What §3 and §4 of the paper state; what they leave open is named in `assumed`."""

    slug: ClassVar[str] = "hacn"
    model: ClassVar[str] = "hacn"
    model_fields: ClassVar = ("attention", "mode", "temporal", "hidden", "dropout", "width")

    num_frames: int = 5  # §3.1: k
    sampler: str = "one_per_segment"  # §3.1
    store_size: int = 224  # §4.2
    faces: str = "align=first"  # §4.2
    input_size: int = 224  # §4.2
    epochs: int = 100  # §4.3: CK+ and Oulu-CASIA
    batch_size: int = 16  # §4.3
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"  # §4.3
    momentum: float = 0.9  # §4.3
    lr: float = 0.001  # §4.3: CK+ and Oulu-CASIA
    gamma: float = 0.8  # §4.3
    weight_decay: float = 0.0001  # §4.3
    loss: str = "cross_entropy"  # Eq. 7
    num_folds: int = 5  # §4.2
    folds: tuple[int, ...] = (1, 2, 3, 4, 5)  # §4.2
    evaluation: Literal["five-fold", "train-val"] = "five-fold"  # §4.2
    attention: Literal["none", "self", "hybrid"] = "hybrid"  # §3.2
    hidden: int = 128  # §3.3

    mode: Literal["per_frame", "literal", "map"] = "per_frame"  # assumed
    temporal: Literal["gru", "mean"] = "gru"  # §3.3; the state that is read is assumed
    dropout: float = 0.5  # assumed
    width: float = 1.0  # assumed
    milestones: tuple[int, ...] = (20, 40, 60, 80)  # assumed: after every 20 epochs
    nesterov: bool = False  # assumed
    flip: bool = True  # assumed
    crop: Literal["five", "random", "none"] = "none"  # assumed
    init: str = "torchvision"  # assumed
    label_smoothing: float = 0.0  # assumed
    holdout: bool = False  # what is not tested is trained on
    select: Literal["last", "best_val", "best_test"] = "last"  # assumed

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.evaluation == "train-val" and self.dataset not in ("", "afew"):
            raise ValueError(
                f"evaluation is 'train-val', but {self.dataset} has no official lists; "
                "use evaluation='five-fold'"
            )

    @property
    def official_split(self) -> bool:
        """Whether AFEW's own lists are used."""
        return self.evaluation == "train-val"


PAPER = Paper(
    title="Hybrid Attention Cascade Network for Facial Expression Recognition",
    citation="X. Zhu, S. Ye, L. Zhao, Z. Dai, Sensors 21(6), 2003, 2021",
    doi="10.3390/s21062003",
    stated=HacnRecipe(),
    classes=CLASSES,
    variants={variant.slug: variant for variant in _ROWS},
    presets={"smoke": _SMOKE, "quick": _QUICK, "gpu": _GPU, "paper": _PAPER},
    assumed=_ASSUMED,
    counts={(name, ""): Count(n) for name, n in CLIPS.items()},
    own_settings={  # §4.3
        "afew": {
            "epochs": 200,
            "lr": 0.0001,
            "milestones": tuple(range(20, 200, 20)),
            "peak": "middle",  # assumed; no row reads it
        }
    },
    always_differs=(
        (
            "what a fold is for",
            "the fold that validates is what the paper reports",
            "it is tested once, after the last epoch, and chooses nothing",
            "a fold that chooses an epoch is no test; with quick, another one validates",
        ),
        (
            "face detection and alignment",
            "Haar cascade, 68 dlib landmarks, later frames warped on the first",
            "the owner's landmarks, or MTCNN's box and eyes; later frames turned as the first",
            "dlib's landmark weights are not part of this project; procedural faces need none",
        ),
    ),
)


def reported_auc(dataset: str) -> dict[str, float]:
    """Return the areas under the ROC curves of Figure 8 that the text gives, by kind of mean."""
    cells = PAPER.reported("Figure 8", dataset)
    return {cell.metric.removeprefix("AUC "): cell.value for cell in cells}


def reported_claims(dataset: str) -> tuple[str, ...]:
    """Return what the text says of Figure 7 on a dataset, in words of this project."""
    return CLAIMS[dataset]


def reported_differences() -> list[Reported]:
    """Return the differences of §4.5, HACN minus a row, in percentage points."""
    return PAPER.reported("§4.5")
