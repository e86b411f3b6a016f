"""What scores of maps are worth: means over persons, leads over rivals, and a verdict in words.

A map has to be better than *every* rival on the same clips. Intervals are t intervals over persons
of the paired differences (`clustered.difference_interval`), because clips of a person go together.
A map that needs all of several leads wins by chance less often than one in twenty, so no further
correction is made within a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dferlib.analysis.map_scores import (
    CENTRE,
    FRAME_RIVALS,
    MEAN,
    NUMBER,
    OTHER,
    OWN,
    PLACE_RIVALS,
    TRUTH,
    UNIFORM,
)
from dferlib.evidence.clustered import difference_interval

QUESTIONS = {  # score -> what it asks
    "where": "where the face moves",
    "when": "when it moves",
    "faithful": "what the answer depends on",
}
RIVALS = {
    "where": PLACE_RIVALS,
    "when": FRAME_RIVALS,
    "faithful": (*dict.fromkeys(PLACE_RIVALS + FRAME_RIVALS), UNIFORM),
}
NAMES = {
    CENTRE: "a blob in the centre",
    NUMBER: "the frame number",
    MEAN: "the mean map of other clips",
    OTHER: "another clip's map",
    UNIFORM: "a random order",
}
BEATS, LOSES, TIES = "better than every rival", "worse than", "not told apart from"
KEPT = 0.5  # rank correlation with the map of a redrawn network from which on a map has not changed


def over_subjects(values: Sequence[float], subjects: Sequence[str]) -> tuple[float, float, float]:
    """Return the mean of a value per clip and the ends of its 95 % interval over persons.

    NaN ends for one person.
    """
    values = np.asarray(values, dtype=float)
    codes = pd.factorize(np.asarray(subjects))[0]
    sums = np.bincount(codes, weights=values - values.mean()) / len(values)
    low, high = difference_interval(sums)
    return float(values.mean()), float(values.mean() + low), float(values.mean() + high)


def summarise_maps(scored: pd.DataFrame) -> pd.DataFrame:
    """Average scores per map, question and kind, and the map's leads over each other kind.

    `scored` has a row per map, clip and kind: columns map, clip, subject, kind and those of
    `QUESTIONS`. Clips count that have a score of every kind. Columns map, question, kind, n,
    persons, value, low, high, lead, lead_low, lead_high (model minus kind; NaN for the model).
    """
    rows = []
    for (name, question), wide, subjects in _questions(scored):
        persons = subjects.nunique()
        for kind in wide:
            row = {"map": name, "question": question, "kind": kind, "n": len(wide)}
            value = over_subjects(wide[kind], subjects)
            lead = over_subjects(wide[OWN] - wide[kind], subjects)
            lead = (np.nan,) * 3 if kind == OWN else lead
            ends = dict(zip(("value", "low", "high"), value, strict=True))
            ends |= dict(zip(("lead", "lead_low", "lead_high"), lead, strict=True))
            rows.append(row | {"persons": persons} | ends)
    columns = ["map", "question", "kind", "n", "persons", "value", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "lead", "lead_low", "lead_high"])


def _questions(scored: pd.DataFrame):
    """Yield each map and question with its scores, clips by kinds, and the clips' subjects."""
    subjects = scored.drop_duplicates("clip").set_index("clip")["subject"]
    for name, part in scored.groupby("map", sort=False):
        for question in [question for question in QUESTIONS if question in part]:
            wide = part.pivot(index="clip", columns="kind", values=question)
            wide = wide[[k for k in dict.fromkeys(part["kind"]) if wide[k].notna().any()]].dropna()
            if OWN in wide and len(wide) > 1:
                yield (name, question), wide, subjects[wide.index]


def by_class(scored: pd.DataFrame, question: str = "where") -> pd.DataFrame:
    """Return the mean lead over the strongest rival per map and class, where the class moves.

    Columns map, label, rival (the strongest on the clips of that class), n, value, lead, lead_low
    and lead_high.
    """
    rows = []
    for (name, label), part in scored.groupby(["map", "label"], sort=False):
        summary = summarise_maps(
            part.drop(columns=[q for q in QUESTIONS if q != question and q in part])
        )
        if not summary.empty:
            nearest = strongest(summary, name, question)
            own = summary[summary["kind"] == OWN].iloc[0]
            row = {"map": name, "label": label, "rival": nearest["kind"], "n": own["n"]}
            rows.append(
                row | {"value": own["value"]} | nearest[["lead", "lead_low", "lead_high"]].to_dict()
            )
    columns = ["map", "label", "rival", "n", "value", "lead", "lead_low", "lead_high"]
    return pd.DataFrame(rows, columns=columns)


def strongest(summary: pd.DataFrame, name: str, question: str) -> pd.Series:
    """Return the row of the rival over which a map's lead is smallest; KeyError without one."""
    part = summary[(summary["map"] == name) & (summary["question"] == question)]
    part = part[part["kind"].isin(RIVALS[question])]
    if part.empty:
        raise KeyError(f"{name!r} has no rival for {question!r}")
    return part.loc[part["lead"].idxmin()]


def judge_maps(summary: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Judge each map and question: better than every rival, worse than one, or neither.

    `changed` has the columns map, clip, subject and correlation, with the maps of a redrawn
    network. Columns map, question, n, persons, value, low, high, truth (what the truth itself would
    score), rival, lead, lead_low, lead_high, verdict, redrawn (mean correlation).
    """
    kept = changed.dropna(subset="correlation").groupby("map")["correlation"].mean()
    rows = []
    for (name, question), part in summary.groupby(["map", "question"], sort=False):
        rivals = part[part["kind"].isin(RIVALS[question])]
        kinds = part.set_index("kind")
        near = strongest(summary, name, question)
        worse = rivals[rivals["lead_high"] < 0]
        if (rivals["lead_low"] > 0).all():
            verdict = BEATS
        elif len(worse):
            near = worse.loc[worse["lead"].idxmin()]
            verdict = f"{LOSES} {NAMES[near['kind']]}"
        else:
            verdict = f"{TIES} {NAMES[near['kind']]}"
        own = kinds.loc[OWN, ["n", "persons", "value", "low", "high"]].to_dict()
        row = {"map": name, "question": question, **own}
        row |= {"truth": kinds["value"].get(TRUTH, np.nan), "rival": near["kind"]}
        row |= near[["lead", "lead_low", "lead_high"]].to_dict()
        rows.append(row | {"verdict": verdict, "redrawn": kept.get(name, np.nan)})
    columns = ["map", "question", "n", "persons", "value", "low", "high", "truth", "rival", "lead"]
    columns += ["lead_low", "lead_high", "verdict", "redrawn"]
    return pd.DataFrame(rows, columns=columns).astype({"n": int, "persons": int})


def read_maps(judged: pd.DataFrame) -> str:
    """Say in sentences which maps are better than what knows nothing of the clip, and which not."""
    said = []
    for question, what in QUESTIONS.items():
        part = judged[judged["question"] == question]
        if part.empty:
            continue
        wins = part[part["verdict"] == BEATS]
        best = part.loc[part["lead"].idxmax()]
        lead = f"{best['lead']:+.2f} [{best['lead_low']:+.2f}, {best['lead_high']:+.2f}]"
        over = f"{lead} over {NAMES[best['rival']]}, n = {best['n']}"
        if wins.empty:
            text = f"of {len(part)} maps **none** is better than every rival; nearest is "
            text += f"*{best['map']}* with {over}"
        else:
            listed = ", ".join(f"*{name}*" for name in wins["map"])
            text = f"of {len(part)} maps **{len(wins)}** better than every rival: {listed}; the "
            text += f"largest lead is {over}"
        worse = int(part["verdict"].str.startswith(LOSES).sum())
        said.append(f"{what[:1].upper()}{what[1:]}: {text}; {worse} are worse than a rival.")
    redrawn = judged.drop_duplicates("map").dropna(subset="redrawn")
    if len(redrawn):
        same = redrawn.loc[redrawn["redrawn"] >= KEPT, "map"]
        text = f"All weights redrawn, {len(redrawn) - len(same)} of {len(redrawn)} maps change"
        kept = ", ".join(f"*{name}*" for name in same)
        said.append(
            f"{text}; {kept} still look the same, so that they show the clip and not what "
            "was learned."
            if kept
            else f"{text}."
        )
    return "\n\n".join(said)
