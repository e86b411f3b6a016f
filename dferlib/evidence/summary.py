"""The summary over all papers, results/summary.csv, and the table that the README shows of it.

python -m dferlib.evidence.summary        makes both anew: the summary of the stored predictions,
                                          for the runs in it, and of it the README's table
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from dferlib.evidence import sentences
from dferlib.evidence.checked_table import checksum_file, read_table, write_table
from dferlib.evidence.row_verdict import (
    CANNOT_TELL,
    REAL_ONLY,
    judge_rows,
    printed_rows,
    reference_of,
)
from dferlib.evidence.tables import (
    PUBLISHED_ONLY,
    Evidence,
    classes_of,
    load_evidence,
    published_beside_ours,
)
from dferlib.files import project_root, write_atomic
from dferlib.protocols import Paper, load_protocol

SUMMARY_KEY = ["paper", "dataset", "source", "preset"]
SUMMARY_COLUMNS = ["paper", "table", "dataset", "row", "metric", "published", "ours", "ci_low"]
SUMMARY_COLUMNS += ["ci_high", "n", "select", "source", "preset", "status", "verdict"]
SUMMARY_COLUMNS += ["clips_needed", "note"]
REFERENCE = "reference"  # in place of a verdict: the row that the others are held against
WAR = "WAR (%)"


def update_summary(
    path: Path,
    paper: Paper,
    evidence: Evidence,
    tables: Iterable[int],
    *,
    dataset: str,
    source: str,
    preset: str,
    select: str,
) -> pd.DataFrame:
    """Replace this paper's rows for one dataset, source and preset in results/summary.csv.

    Cells that a synthetic run fills have the status ``synthetic, not a reproduction``; the note of
    a UAR names the classes that no clip tested. Rows of WAR of a synthetic run have a verdict, see
    `row_verdict`; on real data that needs the protocol, and stands in the notebook. Returns the new
    rows; clips of one's own have none, as no paper reports on them.
    """
    if dataset not in paper.datasets:
        return pd.DataFrame(columns=SUMMARY_COLUMNS)
    key = dict(zip(SUMMARY_KEY, (paper.slug, dataset, source, preset), strict=True))
    cells = []
    for table in tables:
        rows = published_beside_ours(paper, table, evidence, dataset=dataset, select=select)
        cells.append(rows[~rows["status"].str.startswith(PUBLISHED_ONLY)].assign(table=table))
    new = pd.concat(cells, ignore_index=True).assign(select=select, **key)
    new["metric"] = new["metric"] + " (" + new["unit"] + ")"
    if source == "synthetic":
        new["status"] = new["status"].replace("run", "synthetic, not a reproduction")
    new = _judged(new, paper, evidence.get(dataset), dataset, source, select)
    new = new[SUMMARY_COLUMNS].round(4)  # F1 is printed as a fraction
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".summary.lock"), timeout=120):
        old = read_summary(path) if path.is_file() else pd.DataFrame(columns=SUMMARY_COLUMNS)
        same = (old[SUMMARY_KEY] == pd.Series(key)).all(axis=1) if len(old) else []
        kept = old[~same] if len(old) else old
        merged = pd.concat([kept, new], ignore_index=True) if len(kept) else new
        write_table(path, merged.sort_values([*SUMMARY_KEY, "table"], kind="stable"))
    return new


def read_summary(path: Path) -> pd.DataFrame:
    """Read the summary; DamagedFileError where it is not what was written."""
    way_out = (
        f"Take {path.name} and {checksum_file(path).name} back from git, or delete both and start "
        "the notebooks again: finished runs are read, and their rows made anew"
    )
    return read_table(path, SUMMARY_COLUMNS, way_out)


def _judged(
    new: pd.DataFrame,
    paper: Paper,
    predictions: pd.DataFrame | None,
    dataset: str,
    source: str,
    select: str,
) -> pd.DataFrame:
    """The rows with the verdict on each, and where UAR counts a class that was never tested."""
    new = new.assign(verdict="", clips_needed=np.nan, note="")
    if predictions is None:
        return new
    classes = classes_of(paper, dataset, predictions)
    missing = sentences.untested_classes(predictions, classes, select)
    if missing:
        uar = new["metric"].str.startswith("UAR") & new["ours"].notna()
        new.loc[uar, "note"] = f"no test clip is {', '.join(missing)}: recall 0 in UAR"
    if source != "synthetic":
        return new
    reference, run = reference_of(paper), set(predictions["variant"])
    for table in dict.fromkeys(new["table"]):
        names = printed_rows(paper, table, dataset)
        both = set(names) & run
        if reference not in both or len(both) < 2:
            continue
        asked = {"dataset": dataset, "source": source, "select": select}
        judged = judge_rows(paper, table, predictions, classes, reference, **asked)
        words = dict(zip(judged["row"], judged["verdict"], strict=True))
        words[names[reference][0]] = REFERENCE
        needed = dict(zip(judged["row"], judged["clips_needed"], strict=True))
        here = (new["table"] == table) & (new["metric"] == WAR) & new["ours"].notna()
        new.loc[here, "verdict"] = new.loc[here, "row"].map(words)
        new.loc[here, "clips_needed"] = new.loc[here, "row"].map(needed)
    return new


def remake_summary(path: Path, stored: pd.DataFrame, results: Path) -> pd.DataFrame:
    """Write the summary anew from the predictions in `results`, for the runs of the one that was.

    `stored` is that one: which datasets, sources, presets, rules and tables it holds is kept, every
    value is made again. Returns the new one. ValueError naming runs that are not there any more.
    """
    keys = [*SUMMARY_KEY, "select"]
    for key, rows in stored.groupby(keys, sort=False):
        slug, dataset, source, preset, select = key
        paper = load_protocol(slug)
        evidence = load_evidence(paper, source, preset, results)
        if dataset not in evidence:
            raise ValueError(
                f"{path} has rows of {slug} on {dataset} ({source}, {preset}), and no run of it "
                f"lies in {results / slug}: run its notebook, or take the rows out"
            )
        found = {dataset: evidence[dataset]}
        which = {"dataset": dataset, "source": source, "preset": preset, "select": select}
        update_summary(path, paper, found, dict.fromkeys(rows["table"]), **which)
    return read_summary(path)


TABLE_MARKS = ("<!-- results: python -m dferlib.evidence.summary -->", "<!-- end of results -->")


def rows_that_say_something(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of WAR of quick runs on synthetic faces that a reader learns from.

    Of each paper and dataset the first table: the reference, the paper's own model, and every row
    that was judged. A row of which nothing but its value is published says nothing on stand-ins.
    """
    rows = summary[(summary["preset"] == "quick") & (summary["source"] == "synthetic")]
    rows = rows[(rows["metric"] == WAR)]
    first = rows.groupby(["paper", "dataset"])["table"].transform("min")
    rows = rows[(rows["table"] == first) & rows["ours"].notna()]
    own = [
        row.row in load_protocol(row.paper).variants[row.paper].rows.values()
        for row in rows.itertuples()
    ]
    return rows[np.array(own, dtype=bool) | ~rows["verdict"].isin([REAL_ONLY, "", np.nan])]


def markdown_table(summary: pd.DataFrame) -> str:
    """The rows of a summary that say something as a Markdown table, with the verdict on each."""
    heads = ("paper", "stand-in", "row", "published (real data)", "quick, synthetic faces", "n")
    lines = [
        f"| {' | '.join([*heads, 'direction, on these faces'])} |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows_that_say_something(summary).itertuples():
        ours = f"{row.ours:.2f} [{row.ci_low:.1f}, {row.ci_high:.1f}]"
        cells = (row.paper, row.dataset, row.row, f"{row.published:.2f}", ours, f"{row.n:.0f}")
        lines.append(f"| {' | '.join([*cells, _verdict_cell(row.verdict, row.clips_needed)])} |")
    return "\n".join(lines)


def _verdict_cell(verdict: str, needed: float) -> str:
    if pd.isna(verdict):
        return ""
    if verdict == CANNOT_TELL and needed == needed:
        return f"{verdict}: {needed:,.0f} clips needed"
    return verdict


def update_readme(readme: Path, summary: Path) -> None:
    """Write the table of the summary between the two marks of the README."""
    before, rest = readme.read_text(encoding="utf-8").split(TABLE_MARKS[0])
    after = rest.split(TABLE_MARKS[1])[1]
    table = f"{TABLE_MARKS[0]}\n{markdown_table(read_summary(summary))}\n{TABLE_MARKS[1]}"
    write_atomic(readme, lambda file: file.write((before + table + after).encode()))


def main(root: Path) -> None:
    """Make summary and README of a checkout anew."""
    path = root / "results" / "summary.csv"
    remake_summary(path, read_summary(path), path.parent)
    update_readme(root / "README.md", path)


if __name__ == "__main__":
    main(project_root())
