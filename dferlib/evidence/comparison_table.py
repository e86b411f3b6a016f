"""The table of paired tests as a reader sees it: one row a model, the main test first.

It fits a column of 1,000 pixels, because a table that scrolls hides its last columns, and those say
what the clips could have shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dferlib.evidence.layout import Table, lay_out, with_interval
from dferlib.evidence.row_verdict import clips_for
from dferlib.evidence.stats import holm

SIGN_FLIP, OBUCHOWSKI, MCNEMAR = "p sign-flip", "p Obuchowski", "p McNemar (clips)"
FOLDS, UAR_FLIP = "p folds", "p sign-flip, UAR"
P_COLUMNS = (SIGN_FLIP, OBUCHOWSKI, MCNEMAR, FOLDS, UAR_FLIP)


def describe_tests(
    table: pd.DataFrame, published: Mapping[str, float], labels: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return `scoring.paired_tests` as it is shown: the main test first, then what it could see.

    All p are corrected by Holm over the table. `published` is that of
    `verdict.published_differences`; how many clips it takes is at 80 % power, with the discordance
    and the design effect seen here. `labels` maps variants to the names of their rows.
    """
    shown = pd.DataFrame({"row": table["second"].map(lambda name: (labels or {}).get(name, name))})
    shown["n"] = table["n"]
    shown["units"] = [f"{r.units} {r.unit}" for r in table.itertuples()]
    if (table["seeds"] > 1).any():
        shown["seeds"] = table["seeds"]
    for metric, p in (("war", SIGN_FLIP), ("uar", UAR_FLIP)):
        columns = (f"{metric}_difference", f"{metric}_low", f"{metric}_high")
        shown[f"{metric.upper()}, difference"] = [
            with_interval(*row, signed=True) for row in table[list(columns)].to_numpy(float)
        ]
        shown[p] = table[f"p_{metric}_holm"]
        if metric == "war":
            shown[OBUCHOWSKI] = holm(table["p_obuchowski"])
            shown[MCNEMAR] = table["p_mcnemar_holm"]
            shown[FOLDS] = holm(table["p_folds"])
    if shown[FOLDS].isna().all():  # one fold only
        shown = shown.drop(columns=FOLDS)
    shown["could be seen"] = table["detectable"]
    shown["published"] = [published.get(name, np.nan) for name in table["second"]]
    shown["clips for it"] = [
        clips_for(gap / 100, row.discordance / 100, row.design_effect)
        for row, gap in zip(table.itertuples(), shown["published"], strict=True)
    ]
    return shown


def show_tests(shown: pd.DataFrame, reference: str) -> Table:
    """Lay out `describe_tests`; `reference` is the name of the row that all are held against."""
    style = lay_out(
        shown,
        f"Each row minus {reference}, on the same clips: points, 95 % intervals, p after Holm",
        named="row",
        prose=("units",),
    )
    formats = {name: "{:.3f}" for name in P_COLUMNS if name in shown}
    formats |= {"could be seen": "{:.1f}", "published": "{:+.2f}", "clips for it": "{:,.0f}"}
    return style.format(formats, na_rep="")
