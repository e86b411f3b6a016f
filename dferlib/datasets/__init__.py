"""From a dataset on disk, or from the procedural faces, to a frame store with a manifest.

    store = open_store("oulu", source="synthetic", size=72)
    store.manifest, store.frames[store.manifest.offset[0]]

`python -m dferlib.datasets check ckplus ROOT` looks over a dataset that was just unpacked.
"""

from dferlib.datasets.class_sets import choose_classes
from dferlib.datasets.doctor.check import (
    CheckReport,
    check,
    check_store,
    list_datasets,
    load_manifest,
)
from dferlib.datasets.faces.report import FaceReport, face_report
from dferlib.datasets.manifest import (
    DATASETS,
    MANIFEST_COLUMNS,
    DatasetError,
    MissingDatasetError,
    StoreError,
    class_name,
)
from dferlib.datasets.store import FrameStore, load_store, open_store
from dferlib.files import cache_folder

__all__ = [
    "DATASETS",
    "MANIFEST_COLUMNS",
    "CheckReport",
    "DatasetError",
    "FaceReport",
    "FrameStore",
    "MissingDatasetError",
    "StoreError",
    "cache_folder",
    "check",
    "check_store",
    "choose_classes",
    "class_name",
    "face_report",
    "list_datasets",
    "load_manifest",
    "load_store",
    "open_store",
]
