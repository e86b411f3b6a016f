"""Predictions that must not be scored are refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dferlib.evidence import scoring
from dferlib.evidence.checks import PredictionsError, check_one_set, check_predictions

CLASSES = ("a", "b", "c")


def rows(variant: str = "own") -> pd.DataFrame:
    y = np.arange(12) % 3
    table = pd.DataFrame({"clip_id": [f"c{k}" for k in range(12)], "y_true": y, "y_pred": y})
    table = table.assign(subject=[f"s{k // 3}" for k in range(12)], fold=1, seed=0)
    table[["p_0", "p_1", "p_2"]] = 0.7 * np.eye(3)[y] + 0.1
    return table.assign(variant=variant, select="last")


def test_sound_predictions_pass():
    check_predictions(pd.concat([rows(), rows("other")]), 3)
    check_predictions(pd.concat([rows(), rows().assign(seed=1)]), 3)


BROKEN = {
    "lack the columns y_pred": rows().drop(columns="y_pred"),
    "are empty": rows().iloc[:0],
    "names no clip": rows().assign(clip_id=None),
    "y_true of clip 'c0' is nan": rows().assign(y_true=np.nan),
    "y_pred of clip 'c0' is 3; class indices are 0 to 2": rows().assign(y_pred=3),
    "clip 'c0' of 'own' is predicted twice": pd.concat([rows(), rows().iloc[:1]]),
    "another class order, or of another manifest": pd.concat(
        [rows(), rows("other").assign(y_true=lambda t: 2 - t["y_true"])]
    ),
    "have 2 probabilities, 3 classes": rows().drop(columns="p_2"),
    "has a NaN among p_k": rows().assign(p_1=np.nan),
    "the classes stand in another order": rows().rename(columns={"p_0": "p_2", "p_2": "p_0"}),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_broken_is_named(message):
    with pytest.raises(PredictionsError, match=message):
        check_predictions(BROKEN[message], 3)


def test_scores_and_tests_refuse_what_is_broken():
    twice = pd.concat([rows(), rows().iloc[:1]])
    with pytest.raises(PredictionsError, match="twice"):
        scoring.score_metrics(twice, CLASSES, ["WAR"])
    missing = pd.concat([rows(), rows("other").iloc[1:]])
    with pytest.raises(ValueError, match="tested for one model only, 'c0'"):
        scoring.paired_tests(missing, CLASSES, "own")
    uneven = pd.concat([rows(), rows("other").assign(fold=2)])
    with pytest.raises(ValueError, match="run both on the same folds and the same manifest"):
        scoring.paired_tests(uneven, CLASSES, "own")


def test_runs_of_two_manifests_or_class_orders_are_no_set():
    first = {"run_id": "one", "classes": ["a", "b"], "manifest_hash": "11"}
    check_one_set([first, first | {"run_id": "two"}], "runs")
    for changed, message in (
        ({"manifest_hash": "22"}, "runs: one and two differ in their manifest"),
        ({"classes": ["b", "a"]}, "differ in their class order"),
    ):
        with pytest.raises(PredictionsError, match=message):
            check_one_set([first, first | {"run_id": "two"} | changed], "runs")


def test_intervals_of_tables_are_those_that_were_measured():
    table = pd.concat([rows(), rows().assign(seed=1)])
    table.loc[table["clip_id"].isin(["c0", "c4"]), "y_pred"] = 2
    table = table[[name for name in table if not name.startswith("p_")]]
    scored = scoring.score_metrics(table, CLASSES, ["WAR", "recall a", "F1"]).loc["own"]
    assert scored.loc["WAR", "value"] == pytest.approx(10 / 12)
    assert scored.loc["WAR", "n"] == 12
    assert scored.loc["recall a", "value"] == pytest.approx(3 / 4)
    assert scored.loc["recall a", "n"] == 4
    found = scoring.intervals.subject_interval(table, CLASSES)
    assert (scored.loc["WAR", "low"], scored.loc["WAR", "high"]) == (found.low, found.high)
    none = table[table["y_true"] != 0]
    assert np.isnan(scoring.score_metrics(none, CLASSES, ["recall a"])["low"].iloc[0])
    one = scoring.score_metrics(table[table["clip_id"] == "c1"], CLASSES, ["WAR"]).loc["own"]
    assert one.loc["WAR", "low"] == pytest.approx(0.025)  # of one throw
