"""Which published differences could be significant at all, given nothing but what is printed.

python -m dferlib.evidence.claims          writes results/evidence/claims.csv
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pandas as pd

from dferlib.evidence.audit import find_count
from dferlib.evidence.power import ALPHA, allowed_by, clips_needed
from dferlib.evidence.scoring import metric_name
from dferlib.files import project_root, write_csv
from dferlib.protocols import Paper, Reported, list_protocols, load_protocol

ALWAYS, NEVER, DEPENDS = "whatever the discordance", "never", "depends on the discordance"
COLUMNS = ["paper", "table", "dataset", "own", "other", "cited", "own_war", "other_war"]
COLUMNS += ["difference", "n", "own_right", "other_right", "fits", "p_low", "p_high"]
COLUMNS += ["significant", "clips_low", "clips_high"]


def published_claims(papers: Iterable[Paper] | None = None) -> pd.DataFrame:
    """Return the paper's own model against every other row of each table, in per cent.

    One row per pair: the counts nearest to the printed accuracies of n clips (`fits`: both print as
    counts of n), the range of exact McNemar p over all discordances that they allow, whether the
    difference could be `significant` at 5 % on the same independent clips, and how many clips would
    show it with 80 % power at the least and at the most discordance. `cited` rows carry a reference
    to other people's work and were hardly tested on the same clips.
    """
    papers = [load_protocol(slug) for slug in list_protocols()] if papers is None else papers
    rows = [row for paper in papers for row in _pairs(paper)]
    return pd.DataFrame(rows, columns=COLUMNS)


def compare_printed(first: float, second: float, n: int) -> dict[str, float | int | bool | str]:
    """Return what two accuracies in per cent, printed of the same n clips, allow.

    Keys as the columns of `published_claims` from own_right on, `second` being its own.
    """
    counts = [find_count(value, n) for value in (second, first)]
    own, other = (
        count.correct if count else round(value * n / 100)
        for count, value in zip(counts, (second, first), strict=True)
    )
    allowed = allowed_by(other, own, n)
    verdict = ALWAYS if allowed.p_high <= ALPHA else DEPENDS if allowed.p_low <= ALPHA else NEVER
    gap = abs(own - other) / n
    needed = [
        clips_needed(gap, share) if gap else float("inf")
        for share in (allowed.discordance_low, allowed.discordance_high)
    ]
    row = {"own_right": own, "other_right": other, "fits": all(counts)}
    row |= {"p_low": allowed.p_low, "p_high": allowed.p_high, "significant": verdict}
    return row | {"clips_low": needed[0], "clips_high": needed[1]}


def own_claims(paper: Paper, dataset: str) -> pd.DataFrame:
    """Return `published_claims` of one dataset against rows that are the paper's own, each once."""
    table = published_claims([paper])
    table = table[(table["dataset"] == dataset) & ~table["cited"]]
    return table.drop_duplicates(["other", "other_war", "own_war"])


def _clips(paper: Paper, dataset: str) -> int | None:
    """Of how many clips a paper's accuracies are, by its protocol: the one place of that number.

    ECNN-FSA's own row alone has a count. On CK+ it is 415: Table 5 has Neutral and no Contempt, so
    the 327 labelled sequences of the text, Contempt among them, are not what was tested. On AFEW
    the count is that of Table 10, which contradicts the accuracies; these are of the whole list.
    """
    count = paper.counts.get((dataset, "")) or paper.counts.get((dataset, paper.slug))
    if count is None:
        return None
    return max(count.whole) if count.source else count.n


def _pairs(paper: Paper) -> Iterator[dict]:
    own_rows = paper.variants[paper.slug].rows
    tables: dict[tuple[int, str], list[Reported]] = {}
    for cell in paper.reported():
        if cell.unit == "%" and metric_name(cell.metric) == "WAR" and cell.value is not None:
            tables.setdefault((cell.table, cell.dataset), []).append(cell)
    for (table, dataset), cells in tables.items():
        own = next((cell for cell in cells if cell.row == own_rows.get(table)), None)
        n = _clips(paper, dataset)
        if own is None or n is None:
            continue
        for cell in cells:
            if cell is not own:
                yield {
                    "paper": paper.slug,
                    "table": table,
                    "dataset": dataset,
                    "own": own.row,
                    "other": cell.row,
                    "cited": bool(re.search(r"\[\d", cell.row)),
                    "own_war": own.value,
                    "other_war": cell.value,
                    "difference": round(own.value - cell.value, 2),
                    "n": n,
                    **compare_printed(cell.value, own.value, n),
                }


if __name__ == "__main__":
    write_csv(project_root() / "results" / "evidence" / "claims.csv", published_claims())
