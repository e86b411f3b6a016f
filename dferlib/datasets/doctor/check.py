"""Looking over a dataset that was just unpacked: what is there, against what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dferlib.datasets.doctor.inspection import Kind, crop_key_frames, inspect_files, sample_kinds
from dferlib.datasets.doctor.likeness import (
    FLAT,
    face_likeness,
    find_twins,
    key_frames,
    thumbnails,
)
from dferlib.datasets.doctor.report import CheckReport
from dferlib.datasets.faces.crops import NOTHING
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.faces.report import make_faces_table
from dferlib.datasets.folds import fitting_folds, official_folds, split_fold
from dferlib.datasets.manifest import DATASETS, DatasetError, make_manifest
from dferlib.datasets.readers.scan import UNKNOWN, Golden, Scan
from dferlib.datasets.sources import load_reader, scan_dataset, warn_about
from dferlib.datasets.store import FrameStore

__all__ = ["CheckReport", "check", "check_store", "list_datasets", "load_manifest"]

WORST = 24  # crops that a report shows
NUM_FOLDS = 10
CLIPS_AT_ONCE = 256  # whose frames are in memory together


def list_datasets() -> tuple[str, ...]:
    """Names of the datasets: those of the papers, and any `folder` of clips.

    Those of the papers have a procedural stand-in.
    """
    return tuple(DATASETS)


def load_manifest(dataset: str, root: str | Path, **options: Any) -> pd.DataFrame:
    """Read the manifest of a real dataset from its folder, without reading any image.

    `options` go to the dataset's reader. DatasetError as in `open_store`, and a warning where the
    counts are not those of a whole copy, or something looks like data and was not read.
    """
    scan = scan_dataset(dataset, root, options).refuse_errors()
    warn_about(scan)
    return make_manifest([clip.row() for clip in scan.clips], dataset, "real")


def check(
    dataset: str,
    root: str | Path,
    *,
    decode: bool = True,
    progress: bool = False,
    num_folds: int = NUM_FOLDS,
    faces: str = "",
    **options: Any,
) -> CheckReport:
    """Look over a dataset's folder: counts, files, duplicates, folds and crops; see `CheckReport`.

    Differences from the known counts are reported, not raised: a licensed copy may be a newer or a
    partial one. `decode=False` reads no image, so files, duplicates and crops are not looked at.
    `faces` says how faces are found, as in `open_store`. DatasetError if the dataset is not there
    at all.
    """
    scan = scan_dataset(dataset, root, options)
    facts = _facts_of_scan(scan, num_folds)
    if not decode:
        return CheckReport(**facts, kinds=_kinds_table(sample_kinds(scan)))
    chosen = parse_faces(faces, load_reader(dataset).FACES)
    seen = inspect_files(scan, chosen, progress)
    return CheckReport(
        **facts | {"errors": (*scan.errors, *seen.faults)},
        kinds=_kinds_table(seen.kinds),
        copies=seen.copies,
        shared=seen.shared,
        notes=seen.notes,
        jumps=seen.jumps,
        repeats=seen.repeats,
        marks=seen.marks,
        faces=make_faces_table(seen.records),
        read="every file was read, and three crops of each clip were looked at",
        **_look_at_crops(
            facts.get("manifest"),
            np.array(seen.rows, int),
            seen.thumbs,
            seen.notes,
            (num_folds, True),
            lambda row, place: crop_key_frames(scan.clips[row], chosen).frames[place],
        ),
    )


def check_store(
    store: FrameStore,
    *,
    data_root: str | Path | None = None,
    num_folds: int = NUM_FOLDS,
    use_official: bool = True,
    **options: Any,
) -> CheckReport:
    """Look over the dataset behind an open frame store, without reading its files a second time.

    Crops and near-duplicates come from the store. For a real dataset its folder is counted anew:
    `data_root` and `options` are those of `open_store`. The folds are the dataset's own, if it has
    any and `use_official` does not leave them aside.
    """
    places = np.array([key_frames(count) for count in store.manifest["n_frames"]])
    places += store.manifest["offset"].to_numpy()[:, None]
    blocks = np.split(places, range(CLIPS_AT_ONCE, len(places), CLIPS_AT_ONCE))
    thumbs = np.concatenate([thumbnails(store.frames[rows]) for rows in blocks])
    crops = _look_at_crops(
        store.manifest,
        np.arange(len(places)),
        thumbs,
        store.notes,
        (num_folds, use_official),
        lambda row, place: store.frames[places[row, place]],
    )
    if store.source == "synthetic":
        facts = _facts_of_standin(store, num_folds, use_official)
        return CheckReport(
            **facts,
            twins=crops["twins"],
            flat=crops["flat"],
            read="rendered: there is no file to read",
        )
    scan = scan_dataset(store.dataset, data_root, options)
    facts = _facts_of_scan(scan, num_folds, use_official)
    share = f"; this run uses {len(store.manifest)} of {len(scan.clips)} clips"
    return CheckReport(
        **facts,
        kinds=_kinds_table(sample_kinds(scan)),
        notes=store.notes,
        faces=store.faces,
        read="every file was read when the frame store was filled"
        + share * (len(store.manifest) < len(scan.clips)),
        **crops,
    )


def _facts_of_scan(scan: Scan, num_folds: int, use_official: bool = True) -> dict[str, Any]:
    """What a report says without any pixel."""
    golden: Golden = load_reader(scan.dataset).GOLDEN
    classes = tuple(scan.classes or DATASETS[scan.dataset])
    rows = [clip.row() for clip in scan.clips]
    facts: dict[str, Any] = {"dataset": scan.dataset, "root": scan.root, "layout": scan.layout}
    facts |= {"classes": classes, "errors": scan.errors, "excluded": scan.excluded}
    facts["doubts"] = scan.doubts
    facts["problems"] = (*scan.problems, *(_list_repeats(scan) if golden.once else ()))
    folds: dict[str, Any] = {}
    if rows:
        facts["manifest"] = make_manifest(rows, scan.dataset, "real")
        folds = _count_folds(facts["manifest"], classes, num_folds, use_official)
    known = len(golden.fold_clips or golden.fold_subjects)
    counted = folds
    if rows and known and known != len(folds.get("folds", ())):
        counted = _count_folds(facts["manifest"], classes, known)
    return facts | folds | {"counts": _compare(golden, scan, counted.get("folds"))}


def _facts_of_standin(store: FrameStore, num_folds: int, use_official: bool) -> dict[str, Any]:
    labels = store.manifest["label"].value_counts()
    rows = [("subjects", UNKNOWN, store.manifest["subject"].nunique())]
    rows += [(name, UNKNOWN, int(labels.get(name, 0))) for name in store.classes]
    return {
        "dataset": store.dataset,
        "root": None,
        "layout": f"frame store with crops of {store.size} px",
        "source": store.source,
        "classes": store.classes,
        "manifest": store.manifest,
        "counts": pd.DataFrame(rows, columns=["what", "expected", "found"]),
        **_count_folds(store.manifest, store.classes, num_folds, use_official),
    }


def _count_folds(
    manifest: pd.DataFrame, classes: Sequence[str], num_folds: int, use_official: bool = True
) -> dict[str, Any]:
    """Test clips of every fold, and subjects that are in two parts; nothing without folds."""
    rows, leaks = [], []
    subjects = manifest["subject"].to_numpy(dtype=str)
    try:
        num_folds = _num_folds(manifest, num_folds, use_official)
        for fold in range(1, num_folds + 1):
            split = split_fold(manifest, fold, num_folds, use_official=use_official)
            test = manifest.iloc[split.test]
            labels = test["label"].value_counts()
            row = {"fold": fold, "clips": len(test), "subjects": test["subject"].nunique()}
            rows.append(row | {name: int(labels.get(name, 0)) for name in classes})
            parts = [set(subjects[part]) for part in (split.train, split.val, split.test)]
            shared = (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])
            leaks += [f"{name} in fold {fold}" for name in sorted(shared)]
    except DatasetError:
        return {}  # too few subjects for so many folds, or an official part is not there
    return {"folds": pd.DataFrame(rows), "leaks": tuple(leaks)}


def _num_folds(manifest: pd.DataFrame, num_folds: int, use_official: bool = True) -> int:
    own = (manifest["dataset"] == "folder").all()
    official = official_folds(manifest) if use_official else 0
    return official or (fitting_folds(manifest, num_folds) if own else num_folds)


def _look_at_crops(
    manifest: pd.DataFrame,
    rows: np.ndarray,
    thumbs: np.ndarray,
    notes: Mapping[str, str],
    folds: tuple[int, bool],
    fetch: Callable[[int, int], np.ndarray],
) -> dict[str, Any]:
    """Near-duplicates, crops without content and worst crops, from thumbnails of clips.

    `thumbs` are (len(rows), 3, 16, 16), `rows` their rows in the manifest; `fetch` gives the crop
    of a clip, by its row in the manifest, at one of the three places.
    """
    if not len(rows):
        return {}
    twins = _name_twins(find_twins(thumbs), manifest.iloc[rows], _fold_of(manifest, *folds)[rows])
    likeness, clips = face_likeness(thumbs), manifest["clip_id"].to_numpy()[rows]
    order = np.lexsort((likeness.min(axis=1), ~np.isin(clips, list(notes))))[:WORST]
    worst = pd.DataFrame({"clip_id": clips[order], "likeness": likeness.min(axis=1)[order]})
    worst["note"] = [notes.get(name, "") for name in worst["clip_id"]]
    crops = [fetch(rows[clip], int(likeness[clip].argmin())) for clip in order]
    # a grey frame that stands for a clip which nobody can read has its own finding
    shows_nothing = (thumbs.std(axis=(2, 3)) < FLAT).sum(axis=1)
    flat = {
        name: int(count)
        for name, count in zip(clips, shows_nothing, strict=True)
        if count and NOTHING not in notes.get(name, "")
    }
    return {"twins": twins, "flat": flat, "worst": worst, "crops": np.stack(crops)}


def _name_twins(twins: pd.DataFrame, clips: pd.DataFrame, fold: np.ndarray) -> pd.DataFrame:
    """Near-duplicates by name, and whether they differ in label or fold."""
    first, second = (twins[name].to_numpy() for name in ("first", "second"))
    names, labels = clips["clip_id"].to_numpy(), clips["label"].to_numpy()
    differ = [labels[first] != labels[second], fold[first] != fold[second]]
    table = pd.DataFrame({"first": names[first], "second": names[second]})
    return table.assign(
        likeness=twins["likeness"], apart=np.select(differ, ["labels", "folds"], "")
    )


def _fold_of(clips: pd.DataFrame, num_folds: int, use_official: bool = True) -> np.ndarray:
    """Fold that tests each clip, 0 for clips that none does; -1 where there are no folds."""
    fold = np.zeros(len(clips), int)
    try:
        num_folds = _num_folds(clips, num_folds, use_official)
        for number in range(1, num_folds + 1):
            fold[split_fold(clips, number, num_folds, use_official=use_official).test] = number
    except DatasetError:
        return np.full(len(clips), UNKNOWN)
    return fold


def _list_repeats(scan: Scan) -> list[str]:
    pairs = Counter((clip.subject, clip.label) for clip in scan.clips)
    return [
        f"{who} has {count} clips of {what}" for (who, what), count in pairs.items() if count > 1
    ]


def _compare(golden: Golden, scan: Scan, folds: pd.DataFrame | None) -> pd.DataFrame:
    rows = golden.compare(scan)
    for title, expected in (("clips", golden.fold_clips), ("subjects", golden.fold_subjects)):
        there = [UNKNOWN] * len(expected) if folds is None else folds[title].tolist()
        pairs = enumerate(zip(expected, there, strict=False), start=1)
        rows += [(f"{title} in fold {fold}", *pair) for fold, pair in pairs]
    return pd.DataFrame(rows, columns=["what", "expected", "found"])


def _kinds_table(kinds: Counter[Kind]) -> pd.DataFrame:
    rows = [(*kind, count) for kind, count in kinds.most_common()]
    return pd.DataFrame(rows, columns=["width", "height", "mode", "count"])
