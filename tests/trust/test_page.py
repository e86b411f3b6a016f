"""The page of trust is made of what is stored, its tests exist, its licences are those of the lock.

Nothing here fails because something was not run yet: the page says so itself.
"""

import re
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.trust import growth, licences, page
from dferlib.datasets.standins.people import AGES, SEXES, TONES, describe_people, typology_angle

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "results" / "trust"


@pytest.fixture(scope="module")
def faults() -> pd.DataFrame:
    return pd.read_csv(STORED / page.FAULTS, keep_default_na=False)


def test_every_fault_names_tests_that_exist_or_says_why_not(faults):
    assert list(faults["fault"]) == [f"F{number}" for number in range(1, 36)]
    assert set(faults["state"]) <= {"passed", "part", "not passed", "does not apply"}
    for row in faults.itertuples():
        names = [name for name in row.tests.split("; ") if name]
        assert names or row.note, row.fault
        assert row.state == "passed" or row.note, row.fault
        assert names or row.state != "passed", row.fault
        for name in names:
            file, _, function = name.partition("::")
            source = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {function}\(", source, re.M), name


def test_the_page_is_made_of_what_is_stored():
    assert (STORED / page.PAGE).read_text(encoding="utf-8") == page.page_text(STORED)


def test_what_was_not_run_is_said(tmp_path, faults):
    faults.to_csv(tmp_path / page.FAULTS, index=False)
    text = page.page_text(tmp_path)
    assert text.count(page.NOT_RUN) == 5
    (tmp_path / "kills.json").write_text('{"parts": {"stcam": {"kills": 3, "same": 3}}}')
    assert "| stcam | 3 | 3 |" in page.page_text(tmp_path)


# ------------------------------------------------------------------ licences


def test_every_locked_package_has_a_licence_that_is_allowed():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    table = pd.read_csv(STORED / licences.TABLE, keep_default_na=False)
    assert list(table["package"]) == licences.locked_names(lock)
    assert len(table) > 100
    for row in table.itertuples():
        assert licences.kind_of(row.licence) == row.kind, row.package
        assert row.kind != licences.KINDS[-1], row.package


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("MIT", 0),
        ("MIT AND (Apache-2.0 OR GPL-3.0-only)", 0),
        ("Apache-2.0 AND MPL-2.0", 1),
        ("LicenseRef-NVIDIA-Proprietary", 2),
        ("GPL-3.0-only", 3),
        ("CC-BY-NC-4.0", 3),
        ("", 3),
    ],
)
def test_what_a_licence_asks_is_that_of_its_strictest_part(expression, kind):
    assert licences.kind_of(expression) == licences.KINDS[kind]


def test_an_unknown_package_has_no_licence():
    table = licences.licence_table("no-such-package==1.0\nnumpy==2.4\n")
    assert list(table["kind"]) == ["forbidden", "permissive"]


# ------------------------------------------------------------------ growth


def test_growth_is_an_exponent_and_a_slow_quadratic_step_is_seen():
    flat = growth.growth_of("a", (1.0, 10.0), (10.0, 100.0))
    assert (flat["power"], flat["too_steep"]) == ({"seconds": 1.0, "megabytes": 1.0}, False)
    assert growth.growth_of("b", (0.1, 1.0), (10.0, 10.0))["too_steep"]
    assert not growth.growth_of("c", (0.001, 1.0), (0.1, 10.0))["too_steep"]  # too short to tell
    assert growth.growth_of("d", (0.1, 1.0), (1.0, 100.0))["too_steep"]


def test_every_step_runs_with_two_classes_and_with_one_clip_of_a_class(tmp_path):
    steps = growth.evidence_steps(120, 2, tmp_path) | growth.dataset_steps(120, tmp_path)
    for step in steps.values():
        step()
    table = growth.make_predictions(60, 11)
    assert (table["y_true"] == 10).sum() == 1


# ------------------------------------------------------------------ people


def test_people_of_a_stand_in_are_spread_over_all_groups():
    people = describe_people("ckplus")
    assert people["subject"].is_unique
    assert len(people) == 118
    for trait, groups in (("skin", TONES), ("age", AGES), ("sex", SEXES)):
        counts = people[trait].value_counts()
        assert set(counts.index) == set(groups)
        assert counts.min() > 20


def test_fair_skin_has_a_larger_angle_than_dark_skin():
    fair, dark = typology_angle([[0.93, 0.75, 0.66], [0.30, 0.19, 0.135]])
    assert fair > 55
    assert dark < -30
