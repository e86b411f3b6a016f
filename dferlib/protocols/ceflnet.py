"""CEFLNet (Liu et al. 2022): protocol, rows of its tables, presets and published numbers.

A row may be another network under this paper's sampling and training, so the network is a setting
here, and `model` follows it.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from dferlib.names import unknown_name
from dferlib.protocols.paper import Criterion, Preset, Protocol, Reported, protocol_dataclass
from dferlib.protocols.reported.ceflnet import (
    CLASSES,
    CLIPS,
    WHOLE_COPIES,
    reported,
    reported_confusion,
    reported_locating,
    reported_spread,
    reported_sweep,
    training_settings,
)
from dferlib.protocols.variants.ceflnet import (
    NETWORK_FIELDS,
    QUICK_ROWS,
    REPRESENTATIONS,
    SMOKE_ROWS,
    SWEEPS,
    VARIANTS,
)

__all__ = ["PAPER", "REPRESENTATIONS", "SWEEPS", "VARIANTS", "CeflnetProtocol", "reported"]
__all__ += [
    "reported_confusion",
    "reported_locating",
    "reported_spread",
    "reported_sweep",
    "training_settings",
]

_NO_FACES = "the authors' checkpoint, a ResNet-18 for faces, is not part of this project"
_OFFICIAL = "the folds of DFEW's lists; AFEW's training and validation list"
_QUICK = Preset(
    purpose="minutes on two CPU cores",
    clips=208,  # the smallest stand-in, of MMI
    changes={
        "store_size": (72, "64 px, and the margin in which pre-training places its crops"),
        "input_size": (64, "a twelfth of the multiplications of 224 px"),
        "width": (0.5, "a quarter of the multiplications"),
        "epochs": (10, "the time that a first look may take"),
        "period": (13, "the same part of a cosine in the shorter training"),
        "warmup": (1, "the same share of the shorter training"),
        "lr": (0.0005, "a tenth of the epochs have to go further"),
        "folds": ((1,), "one fold already pairs the variants on the same clips"),
        "init": ("synthetic", _NO_FACES),
        "precision": ("auto", "bf16 where the processor has units for it: half the time"),
    },
    by_dataset={
        "bu4dfe": {
            "fraction": (0.4, "240 of 606 clips"),
            "num_folds": (5, "a fifth to test keeps enough clips for an interval"),
        },
        "mmi": {"num_folds": (5, "a fifth to test keeps enough clips for an interval")},
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
        "store_size": (32, "the input itself; nothing is cropped"),
        "input_size": (32, "smallest input that leaves one position after five halvings"),
        "width": (0.25, "a sixteenth of the multiplications"),
        "epochs": (1, "one pass is enough to run every line"),
        "warmup": (0, "there is one epoch only"),
        "folds": ((1,), "one fold is enough to run every line"),
        "init": ("random", "pre-training would take longer than the test"),
    },
    by_dataset={
        "bu4dfe": {
            "fraction": (0.05, "five subjects, 30 clips"),
            "num_folds": (5, "five subjects fill five folds"),
        },
        "mmi": {
            "store_size": (36, "the frames that STCAM's smoke preset uses"),
            "fraction": (0.4, "12 of 30 subjects, as STCAM's smoke preset"),
            "num_folds": (5, "twelve subjects fill five folds"),
        },
        "afew": {**_AS_STT, "fraction": (0.03, "33 of 1,156 clips, as STT's smoke preset")},
        "dfew": {**_AS_STT, "fraction": (0.002, "35 of 11,697 clips, as STT's smoke preset")},
    },
    variants=SMOKE_ROWS,
)
_PAPER = Preset(
    purpose="the full protocol of the paper",
    changes={"init": ("synthetic", _NO_FACES)},
)

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
    "normalisation": "RGB with ImageNet mean and deviation; the authors' code divides by 255 only",
    "init": "'a pre-trained ResNet-18'; the authors' code loads one for faces",
    "select": "the authors' code keeps the epoch that is best on the test fold",
    "num_folds": _OFFICIAL,
    "clips": "BU-3DFE's accuracies but one are k of 600 and MMI's k of 200, the text has 606 and "
    "205; all clips are used here",
    "locating": "what counts as a located clip, and by whose annotation, is not said; here the "
    "clip with the highest score has to hold the apex frame",
    "precision": "not mentioned",
}


@protocol_dataclass
class CeflnetProtocol(Protocol):
    """What §3 and §4 of the paper state; what it leaves open is named in `assumed`."""

    slug: ClassVar[str] = "ceflnet"
    title: ClassVar[str] = (
        "Clip-aware Expressive Feature Learning for Video-based Facial Expression Recognition"
    )
    citation: ClassVar[str] = (
        "Y. Liu, C. Feng, X. Yuan, L. Zhou, W. Wang, J. Qin, Z. Luo, Information Sciences, 2022"
    )
    doi: ClassVar[str] = "10.1016/j.ins.2022.03.062"
    classes: ClassVar = CLASSES
    variants: ClassVar = VARIANTS
    presets: ClassVar = MappingProxyType({"smoke": _SMOKE, "quick": _QUICK, "paper": _PAPER})
    assumed: ClassVar = MappingProxyType(_ASSUMED)
    own_settings: ClassVar = MappingProxyType(
        {
            "afew": {"num_folds": 1, "folds": (1,)},  # §4.1: trained on Train, tested on Val
            "dfew": {"num_folds": 5, "folds": (1, 2, 3, 4, 5)},  # §4.1
        }
    )
    always_differs: ClassVar = (
        (
            "face crops",
            "RetinaFace",
            "MTCNN, in every frame; or the dataset's own crops",
            "RetinaFace and its weights are not part of this project",
        ),
        (
            "training part of a fold",
            "all but the test fold",
            "one more part is held out",
            "it validates, so that a rule exists that never looks at test subjects",
        ),
        (
            "last batch of an epoch",
            "dropped (authors' code)",
            "kept",
            "no training clip is left out",
        ),
    )
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

    warmup: int = 10  # assumed
    reading: Literal["release", "equations"] = "release"  # assumed
    norm: Literal["batch", "position"] = "batch"  # assumed
    store_size: int = 224  # assumed
    flip: bool = False  # assumed
    crop: Literal["five", "random", "none"] = "none"  # assumed
    loss: Literal["cross_entropy", "binary"] = "cross_entropy"  # assumed
    select: Literal["last", "best_val", "best_test"] = "best_test"  # assumed
    width: float = 1.0  # assumed
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

    def reported(self, table: int | None = None, dataset: str | None = None) -> list[Reported]:
        """Return the published cells; see `ceflnet_reported.reported`."""
        return reported(table, dataset)

    def reported_confusion(self, dataset: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Return class names and what is known of Figure 5; see `ceflnet_reported`."""
        return reported_confusion(dataset)

    def criterion(self) -> Criterion:
        """Return when this dataset and variant count as reproduced; fixed before any run.

        The accuracy on the real dataset, pooled over the folds, has to lie in the exact binomial
        95 % interval (Clopper-Pearson) of the published k of n. Raises ValueError where the paper
        prints none for this variant and dataset.
        """
        from scipy.stats import binomtest

        variant, dataset = VARIANTS[self.variant or "ceflnet"], self.dataset or "bu4dfe"
        cells = [c for c in reported(dataset=dataset) if variant.rows.get(c.table) == c.row]
        cells = [cell for cell in cells if cell.metric == "accuracy"]
        if not cells:
            known = self.printed_on(dataset)
            raise ValueError(unknown_name(f"accuracy on {dataset} of variant", variant.slug, known))
        published, n = float(cells[0].value) / 100, CLIPS[dataset]
        correct = round(published * n)
        interval = binomtest(correct, n).proportion_ci(0.95, method="exact")
        text = (
            f"pooled accuracy on the real {dataset} within {interval.low:.4f} to "
            f"{interval.high:.4f}, the 95 % interval of the published {correct} of {n}"
        )
        values = (published, correct, n, interval.low, interval.high)
        return Criterion("war", *values, text, WHOLE_COPIES[dataset])


PAPER = CeflnetProtocol()
