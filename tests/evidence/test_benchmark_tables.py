"""Tables of the benchmark: from predictions whose answers are known."""

import numpy as np
import pandas as pd
import pytest

from dferlib.evidence import benchmark as tables
from dferlib.protocols.benchmark import CLASSES


def predictions(right: dict[str, int], dataset: str = "oulu", seed: int = 0) -> pd.DataFrame:
    """Rows of variants on 60 clips of ten subjects, of which the first so many are right."""
    count, parts = len(CLASSES[dataset]), []
    for variant, hits in right.items():
        y_true = np.resize(np.arange(count), 60)
        y_pred = np.where(np.arange(60) < hits, y_true, (y_true + 1) % count)
        table = pd.DataFrame({"y_true": y_true, "y_pred": y_pred, "fold": 1, "seed": seed})
        table["clip_id"] = [f"c{i}" for i in range(60)]
        table["subject"] = [f"s{i % 10}" for i in range(60)]
        table[[f"p_{k}" for k in range(count)]] = np.eye(count)[y_pred]
        run = f"{variant}-{dataset}"
        parts.append(table.assign(select="last", variant=variant, dataset=dataset, run_id=run))
    return pd.concat(parts, ignore_index=True)


def test_a_row_at_chance_is_marked_and_not_ranked():
    rows = {"peak-cnn": 40, "stcam": 54, "hacn": 46, "stt": 9}
    evidence = {name: predictions(rows, name) for name in ("oulu", "mmi", "bu4dfe")}
    table = tables.accuracy_table(evidence)
    own = table.set_index(["dataset", "row"]).loc["oulu"]
    assert own.loc["stcam", "war"] == pytest.approx(90)
    assert own.loc["stcam", "low"] < 90 < own.loc["stcam", "high"]
    assert own["chance"].tolist() == pytest.approx([100 / 6] * 4)
    assert own["at_chance"].to_dict() == dict.fromkeys(own.index, False) | {"stt": True}
    ranking, said = tables.ranking_of(table)
    assert ranking.ranks["model"].tolist() == ["STCAM", "HACN", "CNN on one frame"]
    assert "not ranked: STT" in said
    few, said = tables.ranking_of(table[table["dataset"] != "mmi"])
    assert few is None
    assert "No ranking: 3 rows are above chance on 2 complete datasets" in said


def test_transfer_counts_shared_classes_and_what_is_lost():
    home = predictions({"stcam": 48}, "dfew")
    shared = CLASSES["oulu"]  # dfew has neutral, too
    kept = home[home["y_true"].map(lambda k: CLASSES["dfew"][k] in shared)]
    order = kept["y_true"].map(lambda k: shared.index(CLASSES["dfew"][k]))
    away = kept.assign(y_true=order, y_pred=order.where(order > 0, 1))  # class 0 is never found
    record = {"variant": tables.transfer_label("stcam", "oulu"), "trained_on": "oulu"}
    record |= {"dataset": "dfew", "classes": list(shared)}
    (row,) = tables.transfer_table({"dfew": home}, [(record, away)]).itertuples()
    assert (row.row, row.trained_on, row.tested_on, row.classes) == ("stcam", "oulu", "dfew", 6)
    assert row.n == len(kept)
    assert row.war == pytest.approx(100 * (order > 0).mean())
    among = kept["y_pred"] == kept["y_true"]  # where home says neutral, the first shared one counts
    assert row.own >= 100 * among.mean()
    assert row.gap == pytest.approx(row.own - row.war)


def test_corruptions_have_the_clean_clip_as_grade_0():
    clean, dark = predictions({"hacn": 60}), predictions({"hacn": 30})
    clean["clip_id"] = [tables.spoilt_id(c, tables.CLEAN, 0) for c in clean["clip_id"]]
    dark["clip_id"] = [tables.spoilt_id(c, "light", 5) for c in dark["clip_id"]]
    tests = [({"variant": "hacn, corrupted"}, pd.concat([clean, dark]))]
    table = tables.corruption_table(tests)
    assert table["corruption"].tolist() == ["light", "light"]
    assert dict(zip(table["grade"], table["war"], strict=True)) == {0: 100, 5: 50}
    assert table["n"].tolist() == [60, 60]


def test_curves_take_the_seeds_that_all_shares_have():
    whole = pd.concat([predictions({"stcam": 60}), predictions({"stcam": 0}, seed=1)])
    part = predictions({"stcam, 10 % of subjects": 30}).assign(share=0.1, row="stcam")
    table = tables.curve_table({"oulu": whole}, {"oulu": part})
    assert table["share"].tolist() == [10, 100]
    assert table["war"].tolist() == [50, 100]
