"""STCAM (Chen, Zhang, Li, Lee 2020): protocol, ablation rows and presets.

All accuracies of the authors' own models are k of n clips pooled over ten folds (n of Table 1),
rounded or cut to two decimals. Five cells of Table 11 did not survive in the text at hand; their
notes say what the row sums tell.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from dferlib.protocols.paper import Count, Paper, Preset, row
from dferlib.protocols.presets import BY_DEVICE, CONVERGING, NO_SECOND_EPOCH, RUNS_ONCE, hour
from dferlib.protocols.recipe import Recipe, recipe_dataclass
from dferlib.protocols.stages import Stage

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu": _SIX,
    "mmi": _SIX,
}
SEQUENCES = {"ckplus": 327, "oulu": 480, "mmi": 208}  # Table 1

Attention = Literal[
    "none", "3dcam", "stam", "stam+3dcam", "3dcam+stam", "nl-gaussian", "nl-embedded"
]


def _ablation(label: str) -> dict[int, str]:
    return dict.fromkeys((2, 3, 4), label)


_ROWS = (
    row("baseline", "Baseline", dict.fromkeys(range(2, 9), "Baseline"), attention="none"),
    *(
        row(slug, label, _ablation(label), attention=slug)
        for slug, label in (
            ("3dcam", "Baseline + 3D-CAM"),
            ("stam", "Baseline + STAM"),
            ("stam+3dcam", "Baseline + STAM + 3D-CAM"),
        )
    ),
    row(
        "stcam",
        "Baseline + 3D-CAM + STAM",
        _ablation("Baseline + 3D-CAM + STAM")
        | dict.fromkeys((5, 6, 7), "Baseline + STCAM")
        | {8: "STCAM"},
        attention="3dcam+stam",
    ),
    row("nl-gaussian", "NL-Gaussian", {8: "NL-Gaussian"}, attention="nl-gaussian"),
    row(
        "nl-embedded", "NL-Embedded Gaussian", {8: "NL-Embedded Gaussian"}, attention="nl-embedded"
    ),
)

_NO_STAGE = {"transfer": ("", "Kinetics is not at hand; any dataset or checkpoint can be named")}
_NO_KINETICS = {
    "init": ("synthetic", "Kinetics weights of this network are not public"),
    **_NO_STAGE,
}
_QUICK = Preset(
    purpose="minutes on two CPU cores",
    clips=480,  # the Oulu-CASIA stand-in
    changes={
        **CONVERGING,
        **_NO_KINETICS,
        "width": (0.5, "a quarter of the multiplications"),
        "folds": ((1, 2), "two of ten folds already pair the variants on the same clips"),
    },
)
_SMOKE = Preset(
    purpose="seconds; shows that everything runs, and nothing else",
    changes={
        **RUNS_ONCE,
        **_NO_STAGE,
        **NO_SECOND_EPOCH,
        "store_size": (36, "smallest frame that gives five different crops"),
        "input_size": (32, "smallest input that leaves one position after five halvings"),
        "width": (0.25, "a sixteenth of the multiplications"),
        "fraction": (0.15, "12 or more subjects remain, so that ten folds exist"),
    },
    by_dataset={
        "mmi": {
            "fraction": (0.2, "6 of the 30 subjects; their clips are four times as long"),
            "num_folds": (5, "six subjects fill five folds"),
        }
    },
)
_GPU = Preset(
    purpose="the paper's training in about an hour on a data-centre card",
    changes={**_NO_KINETICS, **BY_DEVICE, **hour(40, (16, 36))},
    by_dataset={"ckplus": hour(60, (24, 54)), "mmi": hour(100, (40, 90))},
)
_PAPER = Preset(purpose="the full protocol of the paper", changes=_NO_KINETICS)

_ASSUMED = {
    "width": "channels are not printed; see the table of open points in models/stcam.py",
    "hidden": "the width of the first FC layer is not printed; 512",
    "temporal_strides": "1: Fig. 7 shows one attention map for every frame",
    "dropout": "none is mentioned",
    "loss": "softmax is named (§3.1), the loss is not: cross-entropy",
    "label_smoothing": "none is mentioned",
    "sampler": "jitter moves the five inner indices by up to half a step, ends stay; §4.2 says "
    "only that sample jittering was applied",
    "crop": "§4.2; which of the five a clip gets is drawn once for all its frames",
    "normalise": "RGB with ImageNet mean and deviation; not mentioned",
    "margin": "the landmark box enlarged by 10 % to a square; §4.2 says bounding box",
    "peak": "'the middle frame' of MMI's clips is (n - 1) // 2, a rule of the sampler and no "
    "annotation: nothing is scored against it",
    "select": "the epoch reported is not stated; the last one needs no second look at test data",
    "aggregation": "all printed accuracies are k/327, k/480 or k/208: correct clips pooled over "
    "the folds",
    "init": "which Kinetics is not said",
    "precision": "not mentioned",
}


@recipe_dataclass
class StcamRecipe(Recipe):
    """What §4 of the paper states; what it leaves open is named in `assumed`."""

    slug: ClassVar[str] = "stcam"
    model: ClassVar[str] = "stcam"
    model_fields: ClassVar = (
        "attention",
        "width",
        "hidden",
        "temporal_strides",
        "reduction",
        "dropout",
    )

    num_frames: int = 7  # §4.2 Frames selection
    sampler: str = "neutral_to_peak"  # §4.2 Frames selection: first, peak and five between
    store_size: int = 240  # §4.2 Data preprocessing
    input_size: int = 224  # §4.2 Data augmentation
    flip: bool = True  # §4.2 Data augmentation
    crop: Literal["five", "random", "none"] = "five"  # §4.2: four corners and centre
    init: str = "kinetics"  # §4.2 Model pretraining
    transfer: str = "kinetics"  # §4.2 Model pretraining
    epochs: int = 100  # §4.2 Parameters settings
    batch_size: int = 16  # §4.2 Parameters settings
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"  # §4.2 Parameters settings
    momentum: float = 0.9  # §4.2 Parameters settings
    nesterov: bool = True  # §4.2 Parameters settings
    lr: float = 0.001  # §4.2 Parameters settings
    milestones: tuple[int, ...] = (40, 90)  # §4.2 Parameters settings
    gamma: float = 0.1  # §4.2 Parameters settings
    weight_decay: float = 0.01  # §4.2 Parameters settings
    num_folds: int = 10  # §4.1, subject-independent
    folds: tuple[int, ...] = tuple(range(1, 11))  # §4.1
    reduction: int = 16  # §4.2 Parameters settings
    attention: Attention = "3dcam+stam"  # §3.3.2: channels first

    loss: str = "cross_entropy"  # assumed
    label_smoothing: float = 0.0  # assumed
    holdout: bool = False  # what is not tested is trained on
    select: Literal["last", "best_val", "best_test"] = "last"  # assumed
    width: float = 1.0  # assumed
    hidden: int = 512  # assumed
    temporal_strides: tuple[int, int] = (1, 1)  # assumed
    dropout: float = 0.0  # assumed


PAPER = Paper(
    title=(
        "STCAM: Spatial-Temporal and Channel Attention Module for Dynamic Facial Expression "
        "Recognition"
    ),
    citation=(
        "W. Chen, D. Zhang, M. Li, D.-J. Lee, IEEE Transactions on Affective Computing, 2020"
    ),
    doi="10.1109/TAFFC.2020.3027340",
    stated=StcamRecipe(),
    classes=CLASSES,
    variants={variant.slug: variant for variant in _ROWS},
    presets={"smoke": _SMOKE, "quick": _QUICK, "gpu": _GPU, "paper": _PAPER},
    assumed=_ASSUMED,
    counts={(name, ""): Count(n) for name, n in SEQUENCES.items()},
    own_settings={"mmi": {"peak": "middle"}},  # §4.2
    stages={
        "kinetics": Stage(
            "Kinetics",
            "§4.2",
            {
                "epochs": 8,
                "batch_size": 32,
                "weight_decay": 0.0005,
                "milestones": (),
            },
        )
    },
    always_differs=(
        (
            "pre-training",
            "Kinetics, 8 epochs, SGD, lr 0.001, batch 32",
            "procedural faces of other people, see dferlib/training/pretrain.py",
            "Kinetics weights of this network are not public; this stand-in is the same task in "
            "the same domain, so it is worth more than Kinetics would be",
        ),
        (
            "attention at the start of fine-tuning",
            "not said",
            "untrained in every row that has it; weights of 3D-CAM and STAM are near one half",
            "only convolution weights are carried over (§4.2), so in a short training the rows "
            "with attention start with a handicap that non-local blocks, which start as the "
            "identity, do not have; the setting pretrain='own' pre-trains each row with its own",
        ),
        (
            "face boxes on Oulu-CASIA and MMI",
            "Dlib's landmarks (§4.2)",
            "the box of a detector, a Haar cascade or MTCNN, without landmarks",
            "Dlib's landmark weights are not part of this project; CK+ brings landmarks of its own",
        ),
    ),
)
