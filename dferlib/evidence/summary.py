"""The summary over all papers, results/summary.csv, and the table that the README shows of it.

python -m dferlib.evidence.summary        writes the table into the README
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from filelock import FileLock

from dferlib.evidence.tables import PUBLISHED_ONLY, Evidence, published_beside_ours
from dferlib.files import project_root, write_atomic, write_csv
from dferlib.protocols import Paper

SUMMARY_KEY = ["paper", "dataset", "source", "preset"]
SUMMARY_COLUMNS = ["paper", "table", "dataset", "row", "metric", "published", "ours", "ci_low"]
SUMMARY_COLUMNS += ["ci_high", "n", "select", "source", "preset", "status"]


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

    Cells that a synthetic run fills keep the status ``synthetic, not a reproduction``. Returns the
    new rows; clips of one's own have none, as no paper reports on them.
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
    new = new[SUMMARY_COLUMNS].round(4)  # F1 is printed as a fraction
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".summary.lock"), timeout=120):
        old = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=SUMMARY_COLUMNS)
        same = (old[SUMMARY_KEY] == pd.Series(key)).all(axis=1) if len(old) else []
        kept = old[~same] if len(old) else old
        merged = pd.concat([kept, new], ignore_index=True) if len(kept) else new
        write_csv(path, merged.sort_values([*SUMMARY_KEY, "table"], kind="stable"))
    return new


TABLE_MARKS = ("<!-- results: python -m dferlib.evidence.summary -->", "<!-- end of results -->")


def markdown_table(summary: pd.DataFrame) -> str:
    """The ablation rows of a summary as a Markdown table, one line per dataset and row."""
    lines = ["| paper | stand-in | row | published (real data) | quick, synthetic faces | n |"]
    lines += ["|---|---|---|---|---|---|"]
    summary = summary[(summary["preset"] == "quick") & (summary["source"] == "synthetic")]
    summary = summary[summary["metric"] == "WAR (%)"]
    first = summary.groupby(["paper", "dataset"])["table"].transform("min")
    for row in summary[(summary["table"] == first) & summary["ours"].notna()].itertuples():
        ours = f"{row.ours:.1f} [{row.ci_low:.1f}, {row.ci_high:.1f}]"
        cells = (row.paper, row.dataset, row.row, f"{row.published:.2f}", ours, f"{row.n:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def update_readme(readme: Path, summary: Path) -> None:
    """Write the table of the summary between the two marks of the README."""
    before, rest = readme.read_text(encoding="utf-8").split(TABLE_MARKS[0])
    after = rest.split(TABLE_MARKS[1])[1]
    table = f"{TABLE_MARKS[0]}\n{markdown_table(pd.read_csv(summary))}\n{TABLE_MARKS[1]}"
    write_atomic(readme, lambda file: file.write((before + table + after).encode()))


if __name__ == "__main__":
    root = project_root()
    update_readme(root / "README.md", root / "results" / "summary.csv")
