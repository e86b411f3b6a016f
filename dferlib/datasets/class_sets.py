"""The same clips under another set of classes.

Papers do not agree on the classes of CK+: some have contempt, some neutral, which no sequence is
labelled with, and which is then made from the first frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dferlib.datasets.manifest import CLASS_ALIASES, MANIFEST_COLUMNS, DatasetError
from dferlib.datasets.store import FrameStore, load_store

NEUTRAL = "neutral"
NEUTRAL_SHARE = 10  # the first tenth of a sequence is neutral, at least one frame


class ClassView(FrameStore):
    """A frame store with other classes; frames and truth are those of the store behind it."""

    def __reduce__(self) -> tuple:
        return choose_classes, (load_store(self.path), self.classes)


def choose_classes(store: FrameStore, classes: Sequence[str]) -> FrameStore:
    """Return the store with these classes, in this order, sharing its frames.

    Clips of other classes are left out. Where "neutral" is wanted and no clip is labelled with it,
    the first tenth of the longest sequence of each subject that is left (at least one frame)
    becomes a neutral clip, named `<clip>#neutral`; that makes sense for sequences that start
    neutral. The store itself is returned where it has these classes already. DatasetError for a
    class that does not exist or that no clip has.
    """
    classes = tuple(classes)
    if classes == store.classes:
        return store
    unknown = [name for name in classes if name not in CLASS_ALIASES]
    if unknown:
        known = ", ".join(CLASS_ALIASES)
        raise DatasetError(f"classes hold {unknown}, which do not exist; known are {known}")
    clips = store.manifest[store.manifest["label"].isin(classes)]
    if NEUTRAL in classes and NEUTRAL not in set(clips["label"]):
        clips = pd.concat([clips, _first_frames(clips)])
    empty = [name for name in classes if name not in set(clips["label"])]
    if empty:
        raise DatasetError(
            f"no clip of {store.dataset} shows {', '.join(empty)}; it has "
            f"{', '.join(store.classes)}; ask for a larger fraction or for other classes"
        )
    fields = {field.name: getattr(store, field.name) for field in dataclasses.fields(store)}
    names = set(clips["clip_id"])
    changed = {"manifest": clips.reset_index(drop=True), "classes": classes}
    changed |= {"notes": {name: note for name, note in store.notes.items() if name in names}}
    changed |= {"faces": store.faces[store.faces["clip_id"].isin(names)].reset_index(drop=True)}
    return ClassView(**fields | changed)


def _first_frames(clips: pd.DataFrame) -> pd.DataFrame:
    """Neutral clips, one for each subject, from the start of the subject's longest clip."""
    ordered = clips.sort_values(["n_frames", "clip_id"], ascending=[False, True], kind="stable")
    longest = ordered.drop_duplicates("subject").sort_values("clip_id")
    count = np.maximum(1, longest["n_frames"] // NEUTRAL_SHARE)
    made = longest.assign(clip_id=longest["clip_id"] + f"#{NEUTRAL}", label=NEUTRAL)
    made = made.assign(n_frames=count, apex=-1, onset=-1)
    return made[list(MANIFEST_COLUMNS)]
