"""What is done here, what each difference from the paper is worth where it was measured, verdicts.

All from the results folder: nothing is trained, and what is not stored is named as not measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from dferlib.evidence import overview
from dferlib.evidence.audit.report import concerning, flagged
from dferlib.evidence.comparison import compare_models
from dferlib.evidence.dossier.markdown import table
from dferlib.evidence.layout import with_interval
from dferlib.evidence.scoring import selection_gaps
from dferlib.evidence.tables import classes_of, load_evidence
from dferlib.protocols import Paper

PRESETS = ("paper", "gpu", "quick")  # smoke only shows that everything runs
LAST, ORACLE = "last", "best_test (oracle)"


def differences_table(paper: Paper) -> str:
    """What differs from the paper: always, and by preset, with the reason."""
    rows = [("always", *item) for item in paper.always_differs]
    for preset in PRESETS:
        found: dict[tuple, list[str]] = {}
        for dataset in paper.datasets:
            for name, *rest in paper.resolve(preset, dataset, paper.slug).deviations():
                found.setdefault((name, *map(str, rest)), []).append(dataset)
        for (name, stated, here, why), where in found.items():
            only = "" if len(where) == len(paper.datasets) else f" ({', '.join(where)})"
            rows.append((f"{preset}{only}", name, stated, here, why))
    return table(("preset", "what", "in the paper", "here", "why"), rows)


def worth_table(paper: Paper, results: Path) -> str:
    """What readings and settings that the paper does not print are worth, by stored runs.

    Each against the row it was changed from, on the same clips, in points of WAR with the 95 %
    interval over persons; and what choosing the epoch on the test clips would add.
    """
    rows = []
    for preset in PRESETS:
        for dataset, predictions in load_evidence(paper, "synthetic", preset, results).items():
            where = f"{dataset}, {preset}, synthetic"
            classes = classes_of(paper, dataset, predictions)
            rows += [(where, *row) for row in _readings(paper, dataset, predictions, classes)]
            rows += [(where, *row) for row in _peeking(paper, predictions, classes)]
    heads = ("runs", "difference", "against", "points of WAR [95 %]", "p", "clips")
    said = table(heads, rows, "No run of today's presets is stored yet.")
    quick = paper.resolve("quick", paper.datasets[0], paper.slug)
    changed = sorted(f"`{found.name}`" for found in quick.deviations())
    rest = (
        f"The {len(changed)} settings that `quick` changes together ({', '.join(changed)}) "
        "were not measured one by one: what a number of `quick` loses by them is not known."
    )
    return f"{said}\n\n{rest}"


def _readings(
    paper: Paper, dataset: str, predictions: pd.DataFrame, classes: tuple[str, ...]
) -> Iterator[tuple]:
    """Rows that no table of the paper has, against the row that they were changed from."""
    printed = {*paper.printed_on(dataset), paper.slug}
    names = list(dict.fromkeys(predictions["variant"]))
    for name in sorted(set(names) - printed):
        base = name.split(", ")[0] if ", " in name else paper.slug
        if base not in names:
            continue
        pair = predictions[predictions["variant"].isin([name, base])]
        found = compare_models(pair, classes, base, LAST).iloc[0]
        ends = (round(100 * found[f"war_{x}"], 1) + 0.0 for x in ("difference", "low", "high"))
        label = paper.variants[name].label if name in paper.variants else name
        points = with_interval(*ends, 1, signed=True)
        yield label, base, points, f"{found['p_war']:.3f}", int(found["n"])


def _peeking(paper: Paper, predictions: pd.DataFrame, classes: tuple[str, ...]) -> Iterator[tuple]:
    """What the best epoch on the test clips has over the last one, for the paper's own model."""
    own = predictions[predictions["variant"] == paper.slug]
    if own.empty:
        return
    gaps = selection_gaps(own, classes)
    if ORACLE in gaps:
        gain = f"{gaps['oracle gain'].iloc[0]:+.1f}"
        yield "epoch chosen on the test clips", "last epoch", gain, "", own["clip_id"].nunique()


def contradictions_table(paper: Paper, results: Path) -> str:
    """The printed numbers that cannot be, or that differ from another print of themselves."""
    found = overview.read_results(results, "evidence/audit.csv")
    found = flagged(concerning(found.fillna({"table": "", "row": ""}), paper.slug))
    rows = found[["table", "dataset", "row", "check", "printed", "found", "verdict", "text"]]
    heads = ("table", "dataset", "row", "check", "printed", "found", "verdict", "in words")
    return table(heads, rows.itertuples(index=False), "The audit flags nothing.")


def verdicts_table(paper: Paper, results: Path) -> str:
    """Every row that was run and judged, beside what is published."""
    stored = overview.read_results(results, "summary.csv")
    ran = stored[(stored["paper"] == paper.slug) & stored["ours"].notna()]
    rows = [
        (
            f"{row.dataset}, {row.preset}, {row.source}",
            f"Table {row.table}",
            f"{row.row}, {row.metric}",
            f"{row.published:.4g}",
            with_interval(row.ours, row.ci_low, row.ci_high),
            int(row.n),
            row.verdict if isinstance(row.verdict, str) else "",
            "" if pd.isna(row.clips_needed) else int(row.clips_needed),
        )
        for row in ran.itertuples()
    ]
    heads = ("runs", "table", "row", "published (real data)", "ours [95 %]", "n", "verdict")
    empty = "No row was run yet with today's presets."
    return table((*heads, "clips needed"), rows, empty)


def power_table(paper: Paper, results: Path) -> str:
    """Which of the paper's own differences could be significant at all, by what is printed."""
    every = overview.read_results(results, "evidence/claims.csv")
    own = overview.main_claims(every)
    rows = [
        (
            row.dataset,
            f"{row.own} - {row.other}",
            f"{row.difference:+.2f}",
            int(row.n),
            f"{row.p_low:.2g} to {row.p_high:.2g}",
            row.significant,
            _clips(row.clips_low, row.clips_high),
        )
        for row in own[own["paper"] == paper.slug].itertuples()
    ]
    heads = ("dataset", "pair", "points", "clips", "p, whatever the clips", "significant at .05")
    empty = "The paper prints no row of its own beside its model."
    return table((*heads, "clips needed for 80 % power"), rows, empty)


def _clips(low: float, high: float) -> str:
    ends = ["none" if pd.isna(n) or n == float("inf") else f"{n:,.0f}" for n in (low, high)]
    return f"{ends[0]} to {ends[1]}" if ends[0] != ends[1] else ends[0]
