"""STT (Ma, Sun, Li 2022): protocol, rows of its four tables, and presets.

A row of Table 3 or 4 is another network under this paper's training, so the network is a setting
here, and `model` follows it.

On DFEW every UAR and WAR of Table 3 follows from the seven recalls and the class counts of the
public folds, pooled over the five folds, within 0.01. Two rows do not fit, and stay as printed: the
recall of disgust of STT (3.49 is no k of 145; 3.45 makes both sums exact), and ResNet18+GRU (UAR
51.68 and WAR 64.02, its recalls give 51.90 and 64.10). Of Figure 6 only N = 4 is in the text.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from dferlib.names import OWN_CLIPS
from dferlib.protocols.paper import Count, Paper, Preset
from dferlib.protocols.presets import BY_DEVICE, CONVERGING, NO_SECOND_EPOCH, RUNS_ONCE, hour
from dferlib.protocols.recipe import Recipe, recipe_dataclass
from dferlib.protocols.stages import Stage
from dferlib.protocols.variants.stt import (
    LOSS_FIELDS,
    NETWORK_FIELDS,
    STT_FIELDS,
    VARIANTS,
    Loss,
    Network,
)

CLASSES = {
    "dfew": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    "afew": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
}
DFEW_COUNTS = (2445, 1894, 2669, 2173, 1469, 145, 902)  # clips of each class in the public lists
LAYERS = (1, 2, 3, 4, 5, 6)  # Fig. 6; run them with override(layers=...)

# What the paper itself does in another way on AFEW (§4.1, §4.2)
_ON_AFEW_ALONE = {
    "epochs": 20,
    "lr": 0.001,
    "milestones": (),
    "transfer": "dfew",
    "num_folds": 1,
    "folds": (1,),
}
_NO_FACES = (
    "weights of MS-Celeb-1M, which its owner withdrew, are not part of this project; ImageNet's of "
    "the same trunk are, and Kinetics' of the 3-D networks that torchvision has"
)
_WITHOUT = "no weights of this network are named or at hand: procedural faces"
_PRETRAINED = {"normalise": ("imagenet", "goes with the initial weights")}
_AS_NAMED = {"init": ("torchvision", _NO_FACES), **_PRETRAINED}
_NO_WEIGHTS = {
    row: {"init": ("synthetic", _WITHOUT)}
    for row in ("c3d-ti", "p3d-ti", "i3d-ti", "c3d-ds", "i3d-ds")
}
_ON_DFEW = tuple(slug for slug, v in VARIANTS.items() if set(v.rows) & {1, 2, 3})
_ON_AFEW = tuple(slug for slug, v in VARIANTS.items() if 4 in v.rows)
_ALL = "every row that the paper prints for this dataset"
_TABLES_1_2 = ("lstm", "spatial", "temporal", "stt", "cross-entropy", "label-smoothing")
_ROWS = {
    "dfew": (_ON_DFEW, _ALL),
    "afew": (_ON_AFEW, _ALL),
    OWN_CLIPS: (_TABLES_1_2, "what the paper is about"),
}

_PAPER = Preset(
    purpose="the full protocol of the paper",
    changes=_AS_NAMED,
    by_row=_NO_WEIGHTS,
    variants=_ROWS,
)
_GPU = Preset(
    purpose="the paper's training in about an hour on a data-centre card",
    changes={**_AS_NAMED, **BY_DEVICE},
    by_dataset={
        "dfew": {
            **hour(25, (10, 20)),
            "folds": ((1,), "five folds would leave five epochs each to these rows"),
        },
    },
    by_row=_NO_WEIGHTS,
    variants={
        **_ROWS,
        "dfew": (
            (
                *_TABLES_1_2,
                *("resnet18-lstm-ti", "resnet18-lstm-ds", "resnet18-gru-ds", "former-dfer-ds"),
            ),
            "a row with a 3-D network or VGG-11 takes as long as four of these; ask for it by name",
        ),
        "afew": (
            ("stt", "resnet18-lstm-ds", "resnet18-gru-ds", "former-dfer-ds"),
            "the stage on DFEW of a row with a 3-D network takes too long; ask for it by name",
        ),
    },
)
_QUICK = Preset(
    purpose="minutes on two CPU cores",
    clips=462,  # the smallest stand-in, of AFEW
    changes={
        # but for the loss, which is the paper's subject
        **{k: v for k, v in CONVERGING.items() if k not in ("loss", "label_smoothing")},
        "stage": ("layer3", "keeps the 4x4 grid that layer4 has at 112 px"),
        "width": (0.5, "a quarter of the multiplications"),
        "batch_size": (8, "few clips, and a short training needs many steps"),
        "folds": ((1,), "one fold already pairs the variants on the same clips"),
        "fraction": (0.04, "465 of 11,697 clips"),
    },
    by_dataset={
        "afew": {"fraction": (0.4, "462 of 1,156 clips")},
        OWN_CLIPS: {"fraction": (1.0, "all of them")},
    },
    variants=_ROWS,
)
_SMOKE = Preset(
    purpose="seconds; shows that everything runs, and nothing else",
    changes={
        **RUNS_ONCE,
        **NO_SECOND_EPOCH,
        "store_size": (54, "smallest frame that gives five different crops"),
        "input_size": (48, "smallest input that leaves every network more than one position"),
        "width": (0.25, "a sixteenth of the multiplications"),
        "batch_size": (16, "few clips"),
        "fraction": (0.002, "35 clips, one of each class and fold"),
    },
    by_dataset={
        "afew": {"fraction": (0.03, "33 of 1,156 clips"), "lr": (0.01, "nothing is fine-tuned")}
    },
    variants={
        "dfew": ((*_TABLES_1_2, "resnet18-lstm-ti", "former-dfer-ds"), "seconds"),
        "afew": (("stt", "resnet18-lstm-ds", "former-dfer-ds"), "seconds"),
        OWN_CLIPS: (("stt", "cross-entropy"), "seconds"),
    },
)

_ASSUMED = {
    "width": "channels are those of the networks' own papers; see models/stt.py and its neighbours",
    "stage": "'high-level feature maps': layer4, whose 512 channels fit d = 512",
    "readout": "Eq. 13 names z_(0,0), but places are counted from 1; the mean over the places",
    "class_frame": "Eq. 6 is printed for frames 1 to F; the class tokens attend to each other, too",
    "mlp_ratio": "2, as in Former-DFER's code, whose protocol the paper follows",
    "momentum": "0.9, as in Former-DFER's code",
    "nesterov": "plain momentum, as in Former-DFER's code",
    "weight_decay": "0.0001, as in Former-DFER's code",
    "gamma": "divided by 10 (§4.2)",
    "flip": "Former-DFER's code mirrors whole clips at random",
    "crop": "Former-DFER's code cuts random resized windows, the same for all frames of a clip",
    "store_size": "112 px and a margin to crop from; the released crops have 224 px",
    "normalise": "Former-DFER's code divides by 255 only; weights that were trained on ImageNet's "
    "mean and deviation get these",
    "peak": "no row reads it; of the single-frame CNN beside them, in the middle of a wild clip",
    "label_smoothing": "0.1 in the label smoothing row of Table 2; lambda is not printed",
    "sampler": "segments of equal length, a random start in each, the middle one in tests; short "
    "clips as in Former-DFER's code. Time interpolation is linear between neighbours",
    "select": "Former-DFER's code reports the best epoch on the test fold, and so does this field",
    "aggregation": "all rows of Table 3 are recalls pooled over five folds, WAR their weighted sum",
    "num_folds": "the public lists hold 11,697 clips; the text says 12,509",
    "design": "Table 3 cites Hara et al., the code of DFEW's authors trains torchvision's network",
    "baselines": "how the other rows were trained is not said; they get this paper's training with "
    "cross entropy, or the loss in their name",
    "weights of DFEW": "of which epoch they are is not said: the last; one training for all seeds",
    "precision": "not mentioned",
}


@recipe_dataclass
class SttRecipe(Recipe):
    """What §3 and §4 of the paper state for DFEW; `own_settings` has what differs on AFEW."""

    slug: ClassVar[str] = "stt"
    model_fields: ClassVar = STT_FIELDS

    num_frames: int = 16  # §4.2: S = 8 segments of T = 2 frames
    sampler: str = "dynamic_sampling"  # §3.2
    input_size: int = 112  # §4.2 Data Preprocessing
    faces: str = "align=upright"  # §4.2: AFEW; DFEW's released crops are taken as they are
    init: str = "ms-celeb-1m"  # §4.2
    epochs: int = 100  # §4.2
    batch_size: int = 32  # §4.2
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"  # §4.2
    lr: float = 0.01  # §4.2
    milestones: tuple[int, ...] = (40, 80)  # §4.2: every 40 epochs
    gamma: float = 0.1  # §4.2
    loss: Loss = "compact"  # §3.4
    beta: float = 0.2  # §4.2
    num_folds: int = 5  # §4.1
    folds: tuple[int, ...] = (1, 2, 3, 4, 5)  # §4.1
    network: Network = "stt"
    attention: Literal["none", "lstm", "spatial", "temporal", "spatial+temporal"] = (
        "spatial+temporal"  # §3.3
    )
    layers: int = 4  # §4.2: N
    heads: int = 8  # §4.2
    dim: int = 512  # §4.2: d

    store_size: int = 128  # assumed
    flip: bool = True  # assumed
    crop: Literal["five", "random", "none"] = "random"  # assumed
    width: float = 1.0  # assumed
    normalise: Literal["imagenet", "unit", "vggface"] = "unit"  # assumed
    peak: Literal["annotated", "last", "middle"] = "middle"  # assumed
    momentum: float = 0.9  # assumed
    nesterov: bool = False  # assumed
    weight_decay: float = 0.0001  # assumed
    label_smoothing: float = 0.0  # §4.3: a row of Table 2 only
    holdout: bool = False  # what is not tested is trained on
    select: Literal["last", "best_val", "best_test"] = "best_test"  # assumed
    mlp_ratio: int = 2  # assumed
    stage: Literal["layer3", "layer4"] = "layer4"  # assumed
    readout: Literal["class-mean", "class-first", "frames-mean"] = "class-mean"  # assumed
    class_frame: bool = True  # assumed
    design: Literal["tran", "hara"] = "tran"  # assumed; of 3D ResNet-18

    @property
    def model(self) -> str:
        """The network of this row, a name for create_model."""
        return self.network

    def model_options(self) -> dict[str, Any]:
        """Return the options that the network of this row takes."""
        return {name: getattr(self, name) for name in NETWORK_FIELDS.get(self.network, ("width",))}

    def loss_options(self) -> dict[str, float]:
        """Return the options for `create_loss(recipe.loss, **options)` that the paper gives."""
        return {k: getattr(self, v) for k, v in LOSS_FIELDS.get(self.loss, {}).items()}

    @property
    def init_frames(self) -> int:
        """Frames of the clips on which init "synthetic" pre-trains: all that these have.

        Every network of the paper's tables reads clips of any length up to `num_frames`.
        """
        return min(7, self.num_frames)


PAPER = Paper(
    title="Spatio-Temporal Transformer for Dynamic Facial Expression Recognition in the Wild",
    citation="F. Ma, B. Sun, S. Li, arXiv:2205.04749, 2022",
    doi="10.48550/arXiv.2205.04749",
    stated=SttRecipe(),
    classes=CLASSES,
    variants=VARIANTS,
    presets={"smoke": _SMOKE, "quick": _QUICK, "gpu": _GPU, "paper": _PAPER},
    assumed=_ASSUMED,
    not_run={"EmotiW-2019 Baseline [11]": "of the owners of AFEW, not of a network here"},
    counts={
        ("dfew", ""): Count(11_697),  # of the public lists
        ("afew", ""): Count(381),  # with a face found
        ("afew", "stt"): Count(378, whole=(381, 383)),  # 54.23 is 205 of 378, and no k of these
    },
    own_settings={"afew": _ON_AFEW_ALONE},
    # of every row of Table 4 (§4.4)
    stages={"dfew": Stage("DFEW, first fold", "§4.2, §4.4", fold=1)},
    always_differs=(
        (
            "pre-training",
            "MS-Celeb-1M for ResNet-18; not said for the other networks",
            "with the presets paper and gpu what torchvision has: ImageNet for ResNet-18 and "
            "VGG-11, Kinetics for 3D ResNet-18 and R(2+1)D; for C3D, P3D, I3D, and for all rows "
            "with quick, procedural faces of other people, see dferlib/training/pretrain.py",
            "MS-Celeb-1M was withdrawn",
        ),
        (
            "crops in training",
            "not said; random resized windows in Former-DFER's code",
            "random windows of one size, the same for all frames",
            "what the store's frames are cropped to stays a face",
        ),
        (
            "crop in tests",
            "not said; Former-DFER's code resizes the whole frame to 112 px",
            "the middle 112 of 128 px",
            "so a test clip has the scale of the training clips",
        ),
    ),
)


def reported_layers() -> dict[int, dict[str, float | None]]:
    """Return what Figure 6 shows on DFEW, {N: {"UAR", "WAR"}}; None where only the image has it."""
    found: dict[int, dict[str, float | None]] = {n: {} for n in LAYERS}
    for cell in PAPER.reported("Figure 6"):
        found[int(cell.row.removeprefix("N = "))][cell.metric] = cell.value
    return found
