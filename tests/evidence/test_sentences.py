"""Sentences about results: what they name, and when they say that a claim does not hold."""

import numpy as np
import pandas as pd
import pytest

from dferlib.evidence import sentences

CLASSES = ("anger", "fear", "joy")


def made(variant: str, right: int, of: int = 30, *, fold: int = 1, seed: int = 0) -> pd.DataFrame:
    """Predictions of `of` clips of the first two classes, the first `right` of them right."""
    y_true = np.arange(of) % 2
    table = pd.DataFrame({"clip_id": [f"f{fold}c{i}" for i in range(of)], "y_true": y_true})
    table["y_pred"] = np.where(np.arange(of) < right, y_true, 1 - y_true)
    table["subject"] = [f"s{i // 2}" for i in range(of)]
    return table.assign(select="last", variant=variant, fold=fold, seed=seed)


def stack(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def test_rows_on_other_folds_are_left_out_and_named():
    runs = [made("whole", 20, fold=f) for f in (1, 2, 3)] + [made("half", 30)]
    kept, said = sentences.even_folds(stack(*runs), folds=(1, 2), seeds=(0,))
    assert set(kept["variant"]) == {"whole"}
    assert set(kept["fold"]) == {1, 2}
    assert "left out, with fewer than 2 runs on the folds asked for: half (1)" in said
    assert "further folds or seeds are not counted: whole" in said
    kept, said = sentences.even_folds(stack(*runs[:2]), folds=(1, 2), seeds=(0,))
    assert (len(kept), said) == (60, "")


def test_uar_names_the_classes_that_no_clip_tested():
    rows = stack(made("a", 15), made("b", 30))
    assert sentences.untested_classes(rows, CLASSES, "last") == ("joy",)
    assert sentences.tested_uar(rows, CLASSES, "last").to_dict() == pytest.approx(
        {"a": 50, "b": 100}
    )
    table = pd.DataFrame({"row": ["A", "B", "other"], "status": ["run", "run", "published only"]})
    named = sentences.name_untested(table, rows, CLASSES, {"A": "a", "B": "b"})
    assert "no test clip is joy" in named["status"][0]
    assert "over the 2 classes tested it is 50.00" in named["status"][0]
    assert "it is 100.00" in named["status"][1]
    assert named["status"][2] == "published only"
    assert sentences.name_untested(table, rows, CLASSES[:2], {"A": "a"}) is table


def test_rows_that_learned_nothing_are_named_by_loss_and_by_the_commonest_class():
    losses = {"slow": [1.1, 1.05], "same": [1.1, 0.4], "fast": [1.1, 0.4]}
    history = pd.DataFrame(
        [(v, e, x) for v, both in losses.items() for e, x in enumerate(both)],
        columns=["variant", "epoch", "train_loss"],
    )
    rows = stack(made("slow", 20), made("same", 15), made("fast", 25))
    said = sentences.learned_rows(history, rows, CLASSES, "last")
    assert "**slow** (1.05); guessing has 1.10" in said  # ln 3
    assert "commonest class of the test clips (50.0 %): **same** (50.0 %)" in said
    assert "fast" not in said
    fast = history["variant"] == "fast"
    said = sentences.learned_rows(history[fast], made("fast", 25), CLASSES, "last")
    assert said.startswith("Every row")


@pytest.mark.parametrize(
    ("right", "head"),
    [
        (30, "As claimed."),
        (16, "In the direction of the claim, not told apart from other."),
        (15, "Against the claim: not above other."),
        (2, "Against the claim: not above other."),
    ],
)
def test_a_claim_is_held_against_the_clips(right, head):
    rows = stack(made("own", right), made("other", 15))
    said = sentences.compare_rows(rows, CLASSES[:2], "own", ["other", "absent"], "last")
    assert said.startswith(head)
    assert f"WAR of own is {100 * right / 30:.2f}, beside other 50.00 (p = " in said
    assert sentences.compare_rows(rows, CLASSES[:2], "absent", ["other"], "last") == ""
    assert sentences.compare_rows(rows, CLASSES[:2], "own", ["absent"], "last") == ""
