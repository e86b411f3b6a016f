"""ECNN-FSA (Chen, Tong, Zhang, Xu 2023): protocol, rows of its tables, and presets.

The paper leaves much open and contradicts itself; `assumed` says how every point is resolved.
Numbers that cannot be are kept as printed: the accuracy of 49.78 % on AFEW stays the published one,
while its own confusion matrix, which has 160 of 374 clips right, is what a run is judged by.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from dferlib.names import OWN_CLIPS
from dferlib.protocols.paper import Count, Paper, Preset
from dferlib.protocols.presets import BY_DEVICE, CONVERGING, NO_SECOND_EPOCH, RUNS_ONCE, hour
from dferlib.protocols.recipe import Recipe, recipe_dataclass
from dferlib.protocols.stages import Stage
from dferlib.protocols.variants.ecnn_fsa import FSA_FIELDS, NETWORK_FIELDS, VARIANTS, Network

_SEVEN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
NUMBERS_OF_FRAMES = {"n3": 3, "ecnn_fsa": 5, "n6": 6, "n9": 9}  # §2.4

_NO_FACES = "weights of VGG-Face fine-tuned on SFEW and FER2013 are not public"
_IMAGENET = (
    f"{_NO_FACES}; ImageNet's of VGG-16 are the nearest that are, and without batch norm VGG-16 "
    "hardly learns from nothing"
)
_NO_STAGE = {
    "transfer": ("", "SFEW and FER2013 are not at hand; any dataset or checkpoint can be named")
}
_START = {
    **_NO_STAGE,
    "init": ("torchvision", _IMAGENET),
    "normalise": ("imagenet", "goes with the initial weights"),
}
_CK_ROWS = ("cnn-lstm-2048-2048", "score-fusion", "ecnn_fsa")
_AFEW_ROWS = tuple(slug for slug in VARIANTS if slug != "score-fusion")
_OF_TABLE_4 = "the rows of Table 4; the other rows are printed for AFEW"
_ROWS = {
    "ckplus": (_CK_ROWS, _OF_TABLE_4),
    OWN_CLIPS: (_CK_ROWS, _OF_TABLE_4),
    "afew": (_AFEW_ROWS, "score fusion is printed for CK+ only"),
}
_PAPER = Preset(purpose="the full protocol of the paper", changes=_START, variants=_ROWS)
_GPU = Preset(
    purpose="the paper's training in about an hour on a data-centre card",
    changes={**_START, **BY_DEVICE, **hour(36, (12, 24))},
    variants={
        **_ROWS,
        "afew": (
            (
                *("cnn-lstm-2048-2048", "ecnn-lstm-fc1-7x7"),
                *("fsa-s0.06", "ecnn_fsa", "fsa-s0.2", "fsa-s0.3"),
            ),
            "all 21 rows would have ten epochs each of the paper's 180; ask for others by name",
        ),
    },
)
_QUICK = Preset(
    purpose="minutes on two CPU cores",
    clips=327,  # the smallest stand-in, of CK+
    changes={
        **CONVERGING,
        **_NO_STAGE,
        "width": (0.25, "a sixteenth of the multiplications"),
        "batch_norm": (
            True,
            "from nothing, plain VGG-16 stayed at chance in ten epochs on stills of the Oulu-CASIA "
            "stand-in, at learning rates of 0.003 and 0.0005; with norms it left it",
        ),
        "batch_size": (16, "few clips, and a step needs enough of them to follow"),
        "folds": ((1,), "one fold already pairs the variants on the same clips"),
        "init": ("synthetic", _NO_FACES),
    },
    by_dataset={"afew": {"fraction": (0.4, "462 of 1,156 clips")}},
    variants=_ROWS,
)
_SMOKE = Preset(
    purpose="seconds; shows that everything runs, and nothing else",
    changes={
        **RUNS_ONCE,
        **_NO_STAGE,
        **NO_SECOND_EPOCH,
        "store_size": (36, "the crops that the smoke presets on CK+ share"),
        "input_size": (32, "smallest input that leaves one position after five halvings"),
        "width": (0.125, "a sixty-fourth of the multiplications"),
        "batch_size": (16, "few clips"),
        "fraction": (0.15, "12 or more subjects remain, so that five folds exist"),
    },
    by_dataset={
        "afew": {
            "store_size": (54, "the crops that the smoke presets on AFEW share"),
            "input_size": (48, "goes with the crops"),
            "fraction": (0.03, "33 of 1,156 clips, as STT's smoke preset"),
        }
    },
    variants={
        **_ROWS,
        "afew": (
            ("cnn-lstm-2048-2048", "ecnn-lstm-fc1-7x7", "ecnn_fsa", "fsa-3072-2fc-s0.06", "n3"),
            "one row of each kind of network is enough to run every line",
        ),
    },
)

_ASSUMED = {
    "added convolutions": "all three are printed as 3x3x512x1024, impossible in a row: 512 -> 1024 "
    "-> 1024 -> 1024 after pool5",
    "tap": "'from the seventh layer' with 256 channels is conv3_3; read after its pooling, where "
    "the 7x7 convolution costs a quarter",
    "backbone_dim": "2048 comes from a 1x1 convolution before the pooling (§2.4)",
    "fc_layers": "Table 1 has layer norm, ReLU, dropout, FC; §1.1 has FC, ReLU, dropout, FC. Table "
    "1 is followed, and a second FC layer stands in front",
    "s": "instead of the division by the root of d_k in Equation 1, not beside it",
    "readout": "the fusion of the n vectors is not given: their mean; 'weights' is the other way",
    "residual": "none is mentioned; the work that §1.3 follows has one",
    "branch_fc": "'Fc1' and 'Fc2' in Table 3: FC layers in the enhanced branch, as §2.2 says; "
    "Table 7 prints the accuracy of Fc1 as 'FC6'",
    "states": "the LSTM layers of Table 3 have no size; (2048, 2048), the best F1 of Table 2",
    "CNN-LSTM [30]": "reference 30 has no LSTM, and 41.57 in Table 9 stands in no row of Table 2; "
    "the row with the best F1 of Table 2, (2048, 2048), is run for it",
    "s = 0.01 or 0.001": "Table 6 prints the one, Table 7 and §2.4 the other, and accuracies that "
    "differ by 2.00; both are run",
    "n": "3, 6 and 9 were tried on a dataset that is not named; run on AFEW, where s was tried",
    "sampler": "the sentence is cut short ('first split ... on frame from each segment'): one "
    "random frame from each of n parts, as in FAN (reference 1); the middle ones in tests",
    "test_frames": "score fusion scores all frames of a test clip (§2.3)",
    "classes of CK+": "§2.1 lists contempt, Table 5 has neutral instead: contempt is left out, and "
    "the first frames of each subject's longest sequence are a neutral clip",
    "num_folds": "'5 times of cross validation' (§2.3): five folds without a common subject",
    "epochs": "60 on CK+ and 180 on AFEW, as in FAN's code, whose batch of 48 the paper takes",
    "milestones": "'decreases during the training process': a tenth after each third",
    "gamma": "a tenth",
    "weight_decay": "0.0001, as in FAN's code",
    "nesterov": "plain momentum",
    "loss": "softmax is named, the loss is not: cross-entropy",
    "label_smoothing": "none is mentioned",
    "flip": "not mentioned; clips are mirrored at random",
    "crop": "not mentioned; none",
    "normalise": "not mentioned: BGR less VGG-Face's mean, as its weights were trained",
    "peak": "no row reads it; of the single-frame CNN beside them: the last frame on CK+, the "
    "middle one of a wild clip",
    "select": "the epoch reported is not stated; the last one needs no second look at test data",
    "F1": "the mean over the classes",
    "width": "channels are printed",
    "batch_norm": "VGG-16 has none",
    "precision": "not mentioned",
}


@recipe_dataclass
class EcnnFsaRecipe(Recipe):
    """What §1 and §2 of the paper state for CK+; `own_settings` has what differs on AFEW."""

    slug: ClassVar[str] = "ecnn_fsa"
    model_fields: ClassVar = FSA_FIELDS
    sampler_fields: ClassVar = ("test_frames",)

    num_frames: int = 5  # §2.1: n
    sampler: str = "one_per_segment"  # §2.1
    store_size: int = 224  # §2.1
    init_frames: ClassVar[int] = 5  # of pre-training clips: all rows start alike, whatever n

    faces: str = "align=upright margin=0.25"  # §2.1
    input_size: int = 224  # §2.1
    init: str = "vggface"  # §2.1
    transfer: str = "sfew+fer2013"  # §2.1
    normalise: Literal["imagenet", "unit", "vggface"] = "vggface"  # assumed; goes with init
    batch_size: int = 48  # §2.1
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"  # §2.1
    momentum: float = 0.9  # §2.1
    lr: float = 0.001  # §2.1
    num_folds: int = 5  # §2.3
    folds: tuple[int, ...] = (1, 2, 3, 4, 5)  # §2.3
    network: Network = "ecnn_fsa"
    fusion: Literal["fsa", "mean", "scores"] = "fsa"  # §1.3
    s: float = 0.1  # §1.3, Table 1
    dropout: float = 0.5  # Table 1
    backbone_dim: int = 1024  # §2.4
    branch_dim: int = 1024  # §2.4
    branch_kernel: int = 7  # §1.2
    fc_layers: int = 1  # §2.4
    test_frames: Literal["middle", "all"] = "middle"

    flip: bool = True  # assumed
    crop: Literal["five", "random", "none"] = "none"  # assumed
    width: float = 1.0
    epochs: int = 60  # assumed
    milestones: tuple[int, ...] = (20, 40)  # assumed
    gamma: float = 0.1  # assumed
    nesterov: bool = False  # assumed
    weight_decay: float = 0.0001  # assumed
    loss: str = "cross_entropy"  # assumed
    label_smoothing: float = 0.0  # assumed
    holdout: bool = False  # what is not tested is trained on
    select: Literal["last", "best_val", "best_test"] = "last"  # assumed
    readout: Literal["mean", "weights"] = "mean"  # assumed
    residual: bool = False  # assumed
    tap: Literal["pool3", "conv3_3"] = "pool3"  # assumed
    batch_norm: bool = False
    branch_fc: int = 1  # Table 3 only
    states: tuple[int, ...] = (2048, 2048)  # Table 2; of the LSTM layers

    @property
    def model(self) -> str:
        """The network of this row, a name for create_model."""
        return self.network

    def model_options(self) -> dict[str, Any]:
        """Return the options that the network of this row takes."""
        return {name: getattr(self, name) for name in NETWORK_FIELDS[self.network]}


PAPER = Paper(
    title="Video expression recognition based on frame-level attention mechanism",
    citation="R. Chen, Y. Tong, Y. Zhang, B. Xu, High Technology Letters, 2023, 29(2): 130-139",
    doi="10.3772/j.issn.1006-6748.2023.02.003",
    stated=EcnnFsaRecipe(),
    classes={"ckplus": _SEVEN, "afew": _SEVEN},
    own_classes=True,
    variants=VARIANTS,
    presets={"smoke": _SMOKE, "quick": _QUICK, "gpu": _GPU, "paper": _PAPER},
    assumed=_ASSUMED,
    not_run={
        "Baseline": "of the owners of AFEW, not of a network here",
        "AFEW baseline": "of the owners of AFEW, not of a network here",
        "ECNN-LSTM(FC6, 7x7, LBP)": "what LBP adds, and where, is not said",
    },
    counts={
        # 309 sequences without contempt, and a neutral clip of each of 106 subjects
        ("ckplus", "ecnn_fsa"): Count(415),
        # whole: with a face found; in the list
        ("afew", "ecnn_fsa"): Count(374, whole=(381, 383), correct=160, source="Table 10"),
    },
    stages={"sfew+fer2013": Stage("parts of SFEW and FER2013, from VGG-Face's weights", "§2.1")},
    own_settings={  # §2.1
        "afew": {
            "num_folds": 1,
            "folds": (1,),
            "epochs": 180,
            "milestones": (60, 120),
            "peak": "middle",  # assumed; no row reads it
        }
    },
    always_differs=(
        (
            "pre-training",
            "VGG-Face weights, fine-tuned on parts of SFEW and FER2013; on AFEW also 'expanded "
            "training samples'",
            "ImageNet's VGG-16, or in the quick preset procedural faces of other people, see "
            "dferlib/training/pretrain.py",
            "neither the weights nor the expansion are public",
        ),
        (
            "attention and LSTM at the start of fine-tuning",
            "not said",
            "untrained",
            "only convolutions are carried over (of ImageNet's weights only VGG-16's own), so in a "
            "short training every row but score fusion starts with a handicap",
        ),
        (
            "face crops",
            "dlib's box and 25 % more (§2.1)",
            "on real data the owner's landmarks, or MTCNN's box and eyes, and 25 % more",
            "dlib's landmark weights are not part of this project; procedural faces are rendered "
            "with 10 % around them",
        ),
        (
            "training of score fusion",
            "not said; in tests the scores of all frames are averaged (§2.3)",
            "on the mean of the frames' probabilities, as it is tested",
            "a loss for each frame would teach the neutral first frames the peak's class",
        ),
        (
            "frames of the CNN-LSTM on CK+",
            "the last three frames and the first (§2.3)",
            "those of ECNN-FSA",
            "the rows are compared on the same frames",
        ),
    ),
)
