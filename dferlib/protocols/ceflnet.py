"""CEFLNet (Liu et al. 2022): protocol, rows of its tables, and presets.

A row may be another network under this paper's sampling and training, so the network is a setting
here, and `model` follows it.

Figures 5 and 8 are images in the text at hand: of the confusion matrices only the cells that the
text names are known, of the sweeps the ends and what Table 9 repeats. For MMI the text gives 100 %
for four of six classes and a mean of 83 % for the other two, which makes more than 94 %, not 91.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from dferlib.protocols.paper import Count, Paper, Preset
from dferlib.protocols.presets import BY_DEVICE, CONVERGING, RUNS_ONCE, hour
from dferlib.protocols.recipe import Recipe, recipe_dataclass
from dferlib.protocols.variants.ceflnet import (
    GPU_ROWS,
    NETWORK_FIELDS,
    QUICK_ROWS,
    SMOKE_ROWS,
    VARIANTS,
)

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = {
    "bu4dfe": _SIX,  # the paper's BU-3DFE: the set of 606 sequences in time
    "mmi": _SIX,
    "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    "dfew": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
}
_TRAINING = {  # rows of Table 1, and the setting that each is here
    "Optimizer": "optimizer",
    "Init learning rate": "lr",
    "weight decay": "weight_decay",
    "Maximum number of iterations": "period",
    "Mini-batch size": "batch_size",
    "Epoch": "epochs",
    "The number of clips per video": "num_clips",
    "The number of frames per clip": "frames_per_clip",
}
# Figure 8: number of clips, or of frames a clip -> the variant with that number
SWEEPS = {
    "clips": {1: "clips-1", 3: "clips-3", 5: "clips-5", 7: "ceflnet", 9: "clips-9"},
    "frames": {2: "frames-2", 5: "ceflnet", 10: "frames-10", 15: "frames-15"},
}
# Figure 7: the four representations
REPRESENTATIONS = {"ceflnet": "CEFLNet", "fan": "FAN", "cnn-lstm": "LSTM", "resnet18": "ResNet-18"}

_NO_FACES = "the authors' checkpoint, a ResNet-18 for faces, is not part of this project"
_OFFICIAL = "the folds of DFEW's lists; AFEW's training and validation list"
_FIFTH = {"num_folds": (5, "a fifth to test keeps enough clips for an interval")}
_QUICK = Preset(
    purpose="minutes on two CPU cores",
    clips=208,  # the smallest stand-in, of MMI
    changes={
        **CONVERGING,
        "width": (0.5, "a quarter of the multiplications"),
        "folds": ((1,), "one fold already pairs the variants on the same clips"),
        "init": ("synthetic", _NO_FACES),
    },
    by_dataset={
        "bu4dfe": {"fraction": (0.4, "240 of 606 clips"), **_FIFTH},
        "mmi": _FIFTH,
        "afew": {"fraction": (0.2, "231 of 1,156 clips")},
        "dfew": {"fraction": (0.02, "235 of 11,697 clips")},
    },
    variants=QUICK_ROWS,
)
_AS_STT = {
    "store_size": (54, "the frames that STT's smoke preset uses"),
    "input_size": (48, "goes with the store"),
}
_SMOKE = Preset(
    purpose="seconds; shows that everything runs, and nothing else",
    changes={
        **RUNS_ONCE,
        "store_size": (32, "the input itself; nothing is cropped"),
        "input_size": (32, "smallest input that leaves one position after five halvings"),
        "width": (0.25, "a sixteenth of the multiplications"),
        "warmup": (0, "there is one epoch only"),
    },
    by_dataset={
        "bu4dfe": {
            "fraction": (0.05, "five subjects, 30 clips"),
            "num_folds": (5, "five subjects fill five folds"),
        },
        "mmi": {
            "store_size": (36, "the frames that STCAM's smoke preset uses"),
            "fraction": (0.2, "6 of 30 subjects, as STCAM's smoke preset"),
            "num_folds": (5, "six subjects fill five folds"),
        },
        "afew": {**_AS_STT, "fraction": (0.03, "33 of 1,156 clips, as STT's smoke preset")},
        "dfew": {**_AS_STT, "fraction": (0.002, "35 of 11,697 clips, as STT's smoke preset")},
    },
    variants=SMOKE_ROWS,
)
_START = {
    "init": ("torchvision", f"{_NO_FACES}; ImageNet's of ResNet-18 are the nearest that are"),
    "normalise": ("imagenet", "goes with the initial weights"),
}
_NO_WEIGHTS = {
    row: {"init": ("synthetic", "no weights of C3D are named or at hand: procedural faces")}
    for row in ("c3d", "c3d-lstm")
}
_GPU = Preset(
    purpose="the paper's training in about an hour on a data-centre card",
    changes={**_START, **BY_DEVICE, **hour(11, period=15, warmup=1)},
    by_dataset={
        "mmi": hour(30, period=40, warmup=2),
        "afew": hour(60, period=80, warmup=5),
        "dfew": {
            **hour(6, period=8, warmup=0),
            "folds": ((1,), "five folds would leave one epoch each"),
        },
    },
    by_row=_NO_WEIGHTS,
    variants=GPU_ROWS,
)
_PAPER = Preset(purpose="the full protocol of the paper", changes=_START, by_row=_NO_WEIGHTS)

_ASSUMED = {
    "reading": "of 13 candidates the published network alone has the printed parameters and MACs; "
    "see models/ceflnet.py",
    "parts": "how the rows without LRL or EIAN end is not said: clips are averaged; ResNet-18 is "
    "the mean of the frames' logits",
    "network": "CNN-LSTM is ResNet-18 with one LSTM layer over all frames; its 79.17 is printed "
    "for C3D-LSTM, too, which is a row of its own here",
    "baselines": "how FAN, C3D and the LSTMs were trained is not said; they get this paper's "
    "sampling and training",
    "norm": "one batch over all frames; the authors loop over clips and positions in training, "
    "which is norm='position'",
    "loss": "Eq. 11 is a binary cross-entropy printed without brackets; cross-entropy, as in the "
    "authors' code. loss='binary' has Eq. 11",
    "period": "Table 1's 160 iterations are the period of the cosine in epochs, as in the "
    "authors' code; 120 epochs end at 0.15 of the learning rate",
    "warmup": "linear over 10 epochs, as in the authors' code; §4.1 says warm-up",
    "sampler": "frames of a 15-frame clip are different ones, in order; tests start at the "
    "sixteenth frame and take 0, 3, 6, 9, 12, as in the authors' code",
    "num_frames": "other numbers of clips and frames (Fig. 8, Table 9) keep 15-frame clips with "
    "equal steps in the 75 frames; a single clip is the middle one",
    "flip": "no augmentation is mentioned, and the authors' code has none",
    "crop": "none, as above",
    "store_size": "224 px without a margin, as above",
    "normalise": "the authors' code divides by 255 only; weights that were trained on ImageNet's "
    "mean and deviation get these",
    "peak": "no row reads it; of the single-frame CNN beside them, in the middle of a clip, as "
    "faces of BU-3DFE and MMI begin and end neutral",
    "C3D in Table 8": "the printed costs are those of C3D without batch norm and with the 487 "
    "outputs of Sports-1M (readout='rows'), whose accuracy nobody can have measured here; the "
    "accuracy is run with C3D as Tables 2 and 4 are: batch norm, and one output for each class",
    "init": "'a pre-trained ResNet-18'; the authors' code loads one for faces",
    "select": "the authors' code keeps the epoch that is best on the test fold",
    "num_folds": _OFFICIAL,
    "clips": "BU-3DFE's accuracies but one are k of 600 and MMI's k of 200, the text has 606 and "
    "205; all clips are used here",
    "locating": "what counts as a located clip, and by whose annotation, is not said; here the "
    "clip with the highest score has to hold the apex frame",
    "precision": "not mentioned",
}


@recipe_dataclass
class CeflnetRecipe(Recipe):
    """What §3 and §4 of the paper state; what it leaves open is named in `assumed`."""

    slug: ClassVar[str] = "ceflnet"
    model_fields: ClassVar = NETWORK_FIELDS["ceflnet"]
    sampler_fields: ClassVar = ("num_clips",)
    init_frames: ClassVar[int] = 7  # the pre-training clips have no more

    num_frames: int = 35  # Table 1: 7 clips of 5 frames
    num_clips: int = 7  # Table 1
    sampler: str = "windowed_clips"  # §4.1
    input_size: int = 224  # §4.1
    faces: str = "box=frame detector=mtcnn"  # §4.1: those of a detector, not said how enlarged
    init: str = "face-resnet18"  # §3.2: a pre-trained ResNet-18
    epochs: int = 120  # Table 1
    batch_size: int = 8  # Table 1
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"  # Table 1
    lr: float = 0.0001  # Table 1
    period: int = 160  # Table 1: maximum number of iterations
    weight_decay: float = 0.0001  # Table 1
    num_folds: int = 10  # §4.1, BU-3DFE and MMI
    folds: tuple[int, ...] = tuple(range(1, 11))  # §4.1
    network: Literal["ceflnet", "fan", "resnet18_lstm", "c3d", "c3d_lstm"] = "ceflnet"
    parts: Literal["none", "sal", "sal+lrl", "sal+lrl+eian"] = "sal+lrl+eian"  # §3

    # assumed; of the paper's schedule a number of epochs, of one cycle a share
    warmup: int | float = 10
    reading: Literal["release", "equations"] = "release"  # assumed
    norm: Literal["batch", "position"] = "batch"  # assumed
    store_size: int = 224  # assumed
    flip: bool = False  # assumed
    crop: Literal["five", "random", "none"] = "none"  # assumed
    loss: Literal["cross_entropy", "binary", "label_smoothing"] = "cross_entropy"  # assumed
    holdout: bool = False  # what is not tested is trained on
    select: Literal["last", "best_val", "best_test"] = "best_test"  # assumed
    width: float = 1.0  # assumed
    normalise: Literal["imagenet", "unit", "vggface"] = "unit"  # assumed
    peak: Literal["annotated", "last", "middle"] = "middle"  # assumed
    momentum: float = 0.0  # SGD's; the optimiser is Adam
    nesterov: bool = False  # SGD's
    milestones: tuple[int, ...] = ()  # the rate follows a cosine, see lr_factor
    gamma: float = 1.0
    label_smoothing: float = 0.0  # none is mentioned

    @property
    def model(self) -> str:
        """The network of this row, a name for create_model."""
        return self.network

    @property
    def frames_per_clip(self) -> int:
        """K, the frames that are sampled from each clip."""
        return self.num_frames // self.num_clips

    def lr_factor(self, epoch: int) -> float:
        """Return what the learning rate is multiplied by in an epoch, counted from 0 (§4.1).

        Linear warm-up to 1, then a half cosine of `period` epochs that the training may end before.
        """
        rising = (epoch + 1) / (self.warmup + 1)
        cosine = (1 + math.cos(math.pi * epoch / self.period)) / 2
        return rising * cosine if epoch < self.warmup else cosine

    def model_options(self) -> dict[str, Any]:
        """Return the options that the network of this row takes."""
        return {name: getattr(self, name) for name in NETWORK_FIELDS[self.network]}


PAPER = Paper(
    title="Clip-aware Expressive Feature Learning for Video-based Facial Expression Recognition",
    citation=(
        "Y. Liu, C. Feng, X. Yuan, L. Zhou, W. Wang, J. Qin, Z. Luo, Information Sciences, 2022"
    ),
    doi="10.1016/j.ins.2022.03.062",
    stated=CeflnetRecipe(),
    classes=CLASSES,
    variants=VARIANTS,
    presets={"smoke": _SMOKE, "quick": _QUICK, "gpu": _GPU, "paper": _PAPER},
    assumed=_ASSUMED,
    counts={
        # Accuracies on BU-3DFE but one are k of 600, none is k of 606; MMI's 91.00 is 182 of 200,
        # and 91 with a deviation of 4.36 is ten folds of 20 clips whose variance is 19; AFEW's
        # 53.98 is 190 of 352. whole: as the text counts, and as others find
        ("bu4dfe", ""): Count(600, whole=(606,)),
        ("mmi", ""): Count(200, whole=(205, 208)),
        ("afew", ""): Count(352, whole=(383, 381)),
        ("dfew", ""): Count(11_697),  # of the public lists; 12,059 are printed
    },
    own_settings={
        "afew": {"num_folds": 1, "folds": (1,)},  # §4.1: trained on Train, tested on Val
        "dfew": {"num_folds": 5, "folds": (1, 2, 3, 4, 5)},  # §4.1
    },
    always_differs=(
        (
            "face crops",
            "RetinaFace",
            "MTCNN, in every frame; or the dataset's own crops",
            "RetinaFace and its weights are not part of this project",
        ),
        (
            "last batch of an epoch",
            "dropped (authors' code)",
            "kept",
            "no training clip is left out",
        ),
    ),
)


def training_settings() -> dict[str, str]:
    """Return the rows of Table 1 with the setting that each of them is here."""
    return dict(_TRAINING)


def reported_locating(dataset: str) -> float:
    """Return Table 7's share of located clips on a dataset, in per cent."""
    (cell,) = PAPER.reported(7, dataset)
    return cell.value


def reported_spread(dataset: str) -> tuple[float, float]:
    """Return mean and standard deviation of the accuracy on a dataset as §4.2 gives them."""
    mean, deviation = PAPER.reported("§4.2", dataset)
    return mean.value, deviation.value


def reported_sweep(dataset: str) -> dict[str, dict[int, float]]:
    """Return what is known of Figure 8 on a dataset: {"clips" or "frames": {number: accuracy}}.

    These are its ends, and what Table 9 repeats: the figure is an image in the text at hand.
    """
    best, _ = reported_spread(dataset)
    cells = [cell for cell in PAPER.reported(9, dataset) if cell.metric == "accuracy"]
    frames = {int(cell.row.split(" ")[0]): cell.value for cell in cells}
    return {"clips": {7: best}, "frames": frames or {5: best}}
