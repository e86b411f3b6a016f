"""What holds for any input: metrics, statistics, audit, folds, manifests and overrides.

The samplers' own properties are in tests/datasets/test_samplers_*.py.
"""

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dferlib.datasets.folds import split_fold
from dferlib.datasets.manifest import DatasetError, is_plain, make_manifest, read_manifest
from dferlib.evidence import metrics
from dferlib.evidence.audit import find_count
from dferlib.evidence.clustered import sign_flip
from dferlib.evidence.groups import group_table
from dferlib.evidence.intervals import METHODS, interval, subject_interval
from dferlib.evidence.stats import holm, mcnemar
from dferlib.files import digest, plain, write_csv
from dferlib.protocols import list_protocols, load_protocol

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
words = st.text(min_size=1, max_size=12).filter(is_plain)


@st.composite
def answers(draw, least=1, most=40):
    """Truth and prediction of some clips, and the number of classes; a class may be absent."""
    classes = draw(st.integers(2, 11))
    labels = st.lists(st.integers(0, classes - 1), min_size=least, max_size=most)
    true = np.array(draw(labels))
    pred = draw(st.lists(st.integers(0, classes - 1), min_size=len(true), max_size=len(true)))
    return true, np.array(pred), classes


# ------------------------------------------------------------------ metrics


@few
@given(answers())
def test_metrics_equal_counting_by_hand(data):
    true, pred, classes = data
    pairs = list(zip(true.tolist(), pred.tolist(), strict=True))
    recalls = []
    for k in range(classes):
        own = [t == p for t, p in pairs if t == k]
        recalls.append(sum(own) / len(own) if own else None)
    assert metrics.war(true, pred) == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    known = [value or 0.0 for value in recalls]
    assert metrics.uar(true, pred, classes) == pytest.approx(sum(known) / classes)
    found = metrics.per_class_recall(true, pred, classes)
    assert [None if math.isnan(v) else v for v in found] == pytest.approx(recalls)
    matrix = metrics.confusion(true, pred, classes)
    for cell in itertools.product(range(classes), repeat=2):
        assert matrix[cell] == pairs.count(cell)


@few
@given(answers(least=2), st.randoms(use_true_random=False))
def test_areas_are_the_share_of_pairs_in_order(data, chance):
    true, _, classes = data
    scores = np.array([[chance.randint(0, 3) / 3 for _ in range(classes)] for _ in true])
    curves = metrics.roc(true, scores, [str(k) for k in range(classes)])
    for k in range(classes):
        right, wrong = scores[true == k, k], scores[true != k, k]
        if len(right) and len(wrong):
            order = [(a > b) + (a == b) / 2 for a in right for b in wrong]
            assert curves[str(k)].auc == pytest.approx(np.mean(order))
        else:
            assert str(k) not in curves


# ------------------------------------------------------------------ statistics


@few
@given(answers(least=3), st.sampled_from(METHODS), st.sampled_from(["war", "uar"]))
def test_intervals_are_ordered_within_0_and_1_and_blind_to_the_order_of_people(data, method, name):
    true, pred, classes = data
    hits = np.zeros((len(true), classes))
    sizes = np.zeros((len(true), classes))
    sizes[np.arange(len(true)), true] = 1
    hits[np.arange(len(true)), true] = true == pred
    low, high = interval(hits, sizes, name, method, resamples=60)
    value = metrics.war(true, pred) if name == "war" else metrics.uar(true, pred, classes)
    assert -1e-9 <= low <= high <= 1 + 1e-9
    if method in ("logit-t", "wilson", "korn-graubard"):
        assert low - 1e-6 <= value <= high + 1e-6
        assert np.allclose((low, high), interval(hits[::-1], sizes[::-1], name, method))


@few
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_sign_flips_equal_all_patterns_and_see_no_direction(steps):
    effects = np.array(steps) / 20
    found = sign_flip(effects)
    patterns = [
        abs(sum(s * e for s, e in zip(signs, steps, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(steps))
    ]
    assert found.p == pytest.approx(np.mean([p >= abs(sum(steps)) for p in patterns]))
    assert sign_flip(-effects).p == pytest.approx(found.p)


@few
@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=8))
def test_corrected_levels_never_fall_and_keep_their_order(levels):
    corrected = holm(levels)
    pairs = [(a, b) for a, b in zip(levels, corrected, strict=True) if not math.isnan(a)]
    assert all(a <= b <= 1 for a, b in pairs)
    assert [b for _, b in sorted(pairs)] == sorted(b for _, b in pairs)
    assert np.isnan(corrected).tolist() == [math.isnan(level) for level in levels]


@few
@given(answers(), st.randoms(use_true_random=False))
def test_two_models_compared_either_way_round_have_one_level(data, chance):
    true, first, classes = data
    second = np.array([chance.randrange(classes) for _ in true])
    one, other = mcnemar(true, first, second), mcnemar(true, second, first)
    assert one.p == other.p
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first)
    difference = metrics.war(true, second) - metrics.war(true, first)
    assert (one.only_second - one.only_first) / len(true) == pytest.approx(difference)


@few
@given(answers(least=4), st.randoms(use_true_random=False))
def test_groups_share_out_what_all_got_right(data, chance):
    true, pred, classes = data
    clips = [f"c{i}" for i in range(len(true))]
    people = pd.DataFrame({"subject": list("abc")}).assign(side=["left", "right", "left"])
    rows = pd.DataFrame({"clip_id": clips, "subject": [chance.choice("abc") for _ in true]})
    rows = rows.assign(fold=1, select="last", y_true=true, y_pred=pred)
    table = group_table(rows, people, [str(k) for k in range(classes)])
    assert table["clips"].sum() == len(true)
    assert (table["war"] * table["clips"]).sum() == pytest.approx((true == pred).sum())
    assert (table["low"] <= table["war"] + 1e-9).all()
    assert (table["war"] <= table["high"] + 1e-9).all()
    everybody = subject_interval(rows, [str(k) for k in range(classes)])
    assert everybody.value == pytest.approx(metrics.war(true, pred))
    with pytest.raises(ValueError, match="nothing is known of subject"):
        group_table(rows, people[:0], ["a"] * classes)


@few
@given(st.integers(1, 60), st.integers(0, 3), st.data())
def test_a_printed_count_is_found_again(total, decimals, data):
    correct = data.draw(st.integers(0, total))
    exact = Fraction(100 * correct, total)
    printed = round(exact, decimals)
    found = find_count(float(printed), total, decimals)
    assert found is not None
    options = [k for k in range(total + 1) if round(Fraction(100 * k, total), decimals) == printed]
    assert found.correct in options


# ------------------------------------------------------------------ folds and manifests


@few
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("12345")), min_size=3, max_size=60),
    st.integers(1, 5),
    st.booleans(),
)
def test_no_subject_leaks_and_every_clip_is_placed(rows, fold, official):
    manifest = pd.DataFrame(rows, columns=["subject", "split"])
    manifest["subject"] = "S" + manifest["subject"].astype(str)
    manifest["label"] = "fear"
    try:
        split = split_fold(manifest, fold, 5, use_official=official)
    except DatasetError:
        return
    parts = {
        name: set(manifest["subject"].iloc[getattr(split, name)])
        for name in ("train", "val", "test")
    }
    for one, other in itertools.combinations(parts, 2):
        assert not parts[one] & parts[other]
    placed = np.concatenate([split.train, split.val, split.test])
    assert len(placed) == len(set(placed.tolist()))
    if not official:
        assert sorted(placed) == list(range(len(manifest)))


@few
@given(st.lists(words, min_size=1, max_size=6, unique=True), st.data())
def test_a_manifest_comes_back_from_disk_as_it_was(tmp_path_factory, names, data):
    people = [data.draw(words) for _ in names]
    rows = [
        {"clip_id": name, "subject": who, "label": "fear", "n_frames": data.draw(st.integers(1, 9))}
        for name, who in zip(names, people, strict=True)
    ]
    manifest = make_manifest(rows, "oulu", "real")
    path = tmp_path_factory.mktemp("m") / "manifest.csv"
    write_csv(path, manifest)
    pd.testing.assert_frame_equal(read_manifest(path), manifest)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@few
@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_a_digest_sees_values_and_not_the_order_of_keys(obj):
    turned = dict(reversed(list(obj.items())))
    assert digest(obj) == digest(turned)
    assert plain(plain(obj)) == plain(obj)
    assert digest(obj) != digest({**obj, "one more": 1})


# ------------------------------------------------------------------ overrides


@pytest.fixture(scope="module")
def recipes():
    papers = [load_protocol(slug) for slug in list_protocols()]
    return [p.resolve("smoke", next(iter(p.datasets)), next(iter(p.variants))) for p in papers]


odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just([1])


@few
@given(data=st.data(), value=odd)
def test_an_override_is_refused_by_name_or_changes_one_setting(recipes, data, value):
    recipe = data.draw(st.sampled_from(recipes))
    name = data.draw(st.sampled_from([f.name for f in dataclasses.fields(recipe)]) | words)
    said, changed = "", recipe
    try:
        changed = recipe.override(**{name: value})
    except ValueError as error:
        said = str(error)
    assert not said or name in said or repr(name) in said
    if said:
        return
    before, after = dataclasses.asdict(recipe), dataclasses.asdict(changed)
    assert type(after[name]) is type(before[name]) or before[name] is None or after[name] is None
    assert {k for k in before if before[k] != after[k]} <= {name}
    assert dataclasses.asdict(recipe) == before
