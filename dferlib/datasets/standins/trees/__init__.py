"""Small trees of procedural faces in the exact layout of each dataset, oddities included.

They let anyone try the readers, and run a notebook with `source="real"`, without a licence: the
files look as the real ones do, the pixels are nobody's. The oddities that the real sets have are
always there (labels in scientific notation, empty and absent label folders, subjects without a
label, gaps in the ids, grey and colour images, system files); `pitfalls` plants damage on top, one
kind per name in `PITFALLS`. Trees with videos need PyAV, the extra `video`.
"""

from dferlib.datasets.standins.trees import acted, ckplus_oulu, lab, wild
from dferlib.datasets.standins.trees.acted import write_cremad, write_folder, write_ravdess
from dferlib.datasets.standins.trees.ckplus_oulu import write_ckplus, write_oulu
from dferlib.datasets.standins.trees.lab import write_bu4dfe, write_mmi
from dferlib.datasets.standins.trees.wild import write_afew, write_dfew

PITFALLS = {**ckplus_oulu.PITFALLS, **lab.PITFALLS, **wild.PITFALLS, **acted.PITFALLS}

__all__ = [
    "PITFALLS",
    "write_afew",
    "write_bu4dfe",
    "write_ckplus",
    "write_cremad",
    "write_dfew",
    "write_folder",
    "write_mmi",
    "write_oulu",
    "write_ravdess",
]
