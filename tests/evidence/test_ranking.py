"""Ranks of models over data sets: against Demsar's table and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from dferlib.evidence.ranking import cliques, critical_difference, rank_models
from dferlib.evidence.stats import holm


@pytest.mark.parametrize(("models", "q"), [(2, 1.960), (4, 2.569), (10, 3.164)])
def test_critical_difference_has_demsars_values(models, q):
    expected = q * np.sqrt(models * (models + 1) / (6 * 14))
    assert critical_difference(models, 14) == pytest.approx(expected, rel=1e-3)


def test_ranks_and_pairs():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(rng.normal(70, 2, (12, 3)), columns=["a", "b", "c"])
    scores["best"] = scores["a"] + 20
    scores["twin"] = scores["a"]
    ranking = rank_models(scores)
    assert ranking.ranks["model"].iloc[0] == "best"
    assert ranking.ranks["rank"].iloc[0] == 1
    assert ranking.ranks["rank"].sum() == pytest.approx(15)
    assert ranking.friedman_p == pytest.approx(friedmanchisquare(*scores.to_numpy().T).pvalue)
    pairs = ranking.pairs.set_index(["first", "second"])
    assert pairs.loc[("a", "twin"), "p_wilcoxon"] == 1
    assert pairs.loc[("a", "best"), "p_wilcoxon_holm"] < 0.05
    assert list(pairs["p_wilcoxon_holm"]) == list(holm(pairs["p_wilcoxon"]))
    best = pairs.xs("best", level="second")
    assert best["nemenyi"].equals(best["rank_difference"] > ranking.critical_difference)
    for low, high in cliques(ranking):
        assert 0 < high - low <= ranking.critical_difference


def test_what_cannot_be_ranked():
    scores = pd.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 3, 4], "c": [3.0, np.nan, 1]})
    with pytest.raises(ValueError, match="no score of 'c' on 1"):
        rank_models(scores)
    with pytest.raises(ValueError, match="2 models on 3 blocks"):
        rank_models(scores[["a", "b"]])
