"""All papers at once, from the results folder alone: what stands, what it says, what was printed.

Nothing here trains, renders or loads a network. Every function takes the results folder or a table
that another one returned; what is missing there is named with the command that makes it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dferlib.evidence import runs
from dferlib.evidence.checked_table import refuse_damaged
from dferlib.evidence.claims import ALWAYS, DEPENDS, NEVER
from dferlib.evidence.layout import Table, as_printed, lay_out, with_interval
from dferlib.evidence.row_verdict import CONTRADICTED
from dferlib.protocols import list_protocols

FILES = {
    "summary.csv": "the notebook of any paper",
    "evidence/claims.csv": "python -m dferlib.evidence.claims",
    "evidence/audit.csv": "python -m dferlib.evidence.audit --out results/evidence/audit.csv",
    "evidence/coverage.csv": "python benchmarks/evidence/coverage.py",
}
RUN = ["paper", "dataset", "source", "preset"]


class MissingResultsError(FileNotFoundError):
    """A file of the results folder that is not there; the message says what makes it."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it: the way out, no traceback
        return [f"{type(self).__name__}: {self}"]


def read_results(folder: str | Path, name: str) -> pd.DataFrame:
    """Read one of `FILES` of a results folder; MissingResultsError names what makes it.

    DamagedFileError for one that does not fit the checksum beside it.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise MissingResultsError(f"no {path}; {FILES[name]} makes it")
    refuse_damaged(path, f"Take it back from git, or make it anew: {FILES[name]}")
    return pd.read_csv(path, dtype={"table": str}, keep_default_na=True)


def results_root(folder: str | Path = "") -> Path:
    """Return the results folder that was asked for, by default that of the checkout.

    MissingResultsError where it is not there.
    """
    root = runs.results_root("synthetic", results_dir=folder)
    if not root.is_dir():
        raise MissingResultsError(f"no results folder {root}; give one as results_dir")
    return root


def stored_runs(folder: Path) -> pd.DataFrame:
    """Return what is stored, a line per paper, dataset, source and preset: rows, runs, clips.

    Papers of which nothing is stored have a line that says so.
    """
    found = []
    for path in sorted(folder.glob("*/*-*-*/metrics.csv")):
        table = pd.read_csv(path)
        if path.parts[-3] not in list_protocols() or table.empty:
            continue
        last = table[table["select"] == "last"]
        for key, part in last.groupby(RUN, sort=False):
            clips = part[part["variant"] == part["variant"].iloc[0]].groupby("seed")["n"].sum()
            row = dict(zip(RUN, key, strict=True))
            row |= {"rows": part["variant"].nunique(), "folds": part["fold"].nunique()}
            row |= {"seeds": part["seed"].nunique(), "runs": len(part), "clips": int(clips.max())}
            found.append(row)
    there = {row["paper"] for row in found}
    found += [{"paper": s, "dataset": "none stored"} for s in list_protocols() if s not in there]
    table = pd.DataFrame(found).sort_values(["paper", "dataset"], ignore_index=True)
    counts = ["rows", "folds", "seeds", "runs", "clips"]
    for name in (*RUN, *counts):
        table[name] = table.get(name, pd.Series(pd.NA, index=table.index))
    return table[[*RUN, *counts]].astype(dict.fromkeys(counts, "Int64"))


def show_stored(stored: pd.DataFrame) -> Table:
    """Lay out `stored_runs`."""
    return lay_out(stored, "What is stored", named="paper", prose=RUN[1:]).format(na_rep="")


def show_summary(summary: pd.DataFrame) -> Table:
    """Lay out results/summary.csv: published beside own, and the verdict on each row of WAR."""
    ran = summary[summary["ours"].notna()].reset_index(drop=True)
    shown = ran[["paper", "dataset", "source", "preset", "table", "row", "metric"]].copy()
    shown["published (real data)"] = ""
    for _, rows in ran.groupby(["paper", "table", "metric"]):
        printed = as_printed(rows["published"], 4 if "fraction" in rows["metric"].iloc[0] else 2)
        shown.loc[rows.index, "published (real data)"] = printed
    shown["ours [95 %]"] = [
        with_interval(r.ours, r.ci_low, r.ci_high, 4 if "fraction" in r.metric else 2)
        for r in ran.itertuples()
    ]
    shown["n"] = ran["n"].astype("Int64")
    shown["verdict"] = ran["verdict"].fillna("")
    shown["clips needed"] = ran["clips_needed"]
    shown["status"] = ran["status"] + ran["note"].map("; {}".format, na_action="ignore").fillna("")
    caption = "Published on real data, ours on the source named, in per cent where it says so"
    prose = ("paper", "dataset", "source", "preset", "metric", "verdict", "status")
    style = lay_out(shown, caption, named="row", prose=prose)
    return style.format({"clips needed": "{:,.0f}"}, na_rep="")


def main_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """Return the published pairs of rows that a paper calls its own, each once.

    See `claims.published_claims`; a row that several tables print alike is there once.
    """
    own = claims[~claims["cited"]]
    return own.drop_duplicates(["paper", "dataset", "other", "other_war", "own_war"])


def power_by_paper(claims: pd.DataFrame) -> pd.DataFrame:
    """Count, by paper and dataset, which published differences could be significant at all.

    Columns: paper, dataset, n, pairs, the three answers of `claims`, and the number of clips that
    the smallest published difference above 0 takes at 80 % power, at the least and the most
    discordance.
    """
    rows = []
    for (paper, dataset), part in claims.groupby(["paper", "dataset"], sort=True):
        counts = part["significant"].value_counts()
        row = {"paper": paper, "dataset": dataset, "n": int(part["n"].iloc[0]), "pairs": len(part)}
        row |= {name: int(counts.get(name, 0)) for name in (ALWAYS, DEPENDS, NEVER)}
        above = part[part["difference"] > 0]
        if len(above):
            least = above.loc[above["difference"].idxmin()]
            row |= {"smallest difference": least["difference"]}
            row |= {"clips, least": least["clips_low"], "clips, most": least["clips_high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def show_power(table: pd.DataFrame, what: str) -> Table:
    """Lay out `power_by_paper`; `what` names the rows that it counts."""
    caption = f"Which published differences could be significant at all: {what}"
    style = lay_out(table, caption, named="dataset", prose=("paper",))
    whole = dict.fromkeys(("clips, least", "clips, most"), "{:,.0f}")
    return style.format({"smallest difference": "{:+.2f}", **whole}, na_rep="")


def read_power(claims: pd.DataFrame) -> str:
    """Say how many of published pairs no outcome makes significant, and how many any does."""
    counts = claims["significant"].value_counts()
    never, always = (int(counts.get(name, 0)) for name in (NEVER, ALWAYS))
    return (
        f"Of {len(claims)} published differences {always} are significant at .05 whichever clips "
        f"were wrong, {never} cannot be, and of {len(claims) - never - always} the printed "
        "accuracies do not tell. No paper prints what would: on how many clips two rows differ."
    )


def contradictions(summary: pd.DataFrame) -> list[str]:
    """Return a sentence for every row whose published direction the stored runs contradict.

    One sentence that says so where there is none.
    """
    ran = summary[summary["ours"].notna() & (summary["metric"] == "WAR (%)")]
    said = []
    for row in ran[ran["verdict"] == CONTRADICTED].itertuples():
        same = ran[ran[RUN].eq(pd.Series({name: getattr(row, name) for name in RUN})).all(axis=1)]
        same = same[(same["table"] == row.table) & (same["verdict"] == "reference")]
        beside = same.iloc[0]
        printed, found = row.published - beside["published"], row.ours - beside["ours"]
        faces = "real data" if row.source == "real" else "procedural faces"
        said.append(
            f"**{row.row}** ({row.paper}, {row.dataset}) is published {printed:+.2f} points from "
            f"{beside['row']}; here, on {faces}, it is {found:+.2f}, p below .05."
        )
    judged = ran["verdict"].notna().sum()
    return said or [f"None of {judged} judged rows contradicts what is published."]


def read_verdicts(summary: pd.DataFrame) -> str:
    """Say how the judged rows are divided over the verdicts."""
    judged = summary[summary["ours"].notna() & summary["verdict"].notna()]
    counts = judged["verdict"].value_counts()
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(judged)} rows were run and are printed: {listed or 'none'}."
