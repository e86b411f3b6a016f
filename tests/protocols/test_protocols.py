"""Protocols reject what they do not know, and the published numbers are the published ones."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dferlib.protocols import list_protocols, load_protocol
from dferlib.protocols.reported.stcam import SEQUENCES
from dferlib.protocols.stcam import VARIANTS, reported, reported_confusion

RESULTS = Path(__file__).parents[2] / "results"
TABLES = Path(__file__).parents[3] / "shared" / "papers" / "tables"
NAMES = {"CK+": "ckplus", "Oulu-CASIA": "oulu", "MMI": "mmi"}
PAPER = load_protocol("stcam")


# ------------------------------------------------------------------------------ every protocol


@pytest.mark.parametrize("slug", list_protocols())
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_every_combination_resolves(slug, preset):
    paper = load_protocol(slug)
    for dataset in paper.datasets:
        for variant in paper.variants:
            protocol = paper.resolve(preset, dataset, variant)
            assert (protocol.preset, protocol.dataset, protocol.variant) == (
                preset,
                dataset,
                variant,
            )
            assert json.loads(json.dumps(protocol.key()))
            for deviation in protocol.deviations():
                assert deviation.reason
                assert deviation.paper != deviation.value


@pytest.mark.parametrize("slug", list_protocols())
def test_the_paper_preset_is_the_paper_but_for_weights_that_are_not_public(slug):
    paper = load_protocol(slug)
    for variant in paper.variants:
        deviations = paper.resolve("paper", paper.datasets[0], variant).deviations()
        assert {deviation.name for deviation in deviations} <= {"init"}


@pytest.mark.parametrize("slug", list_protocols())
def test_model_options_are_options_of_the_model(slug):
    from dferlib.models import list_options

    paper = load_protocol(slug)
    assert set(paper.model_options()) <= set(list_options(paper.model))


def test_protocols_do_not_import_torch():
    code = "import sys; from dferlib.protocols import load_protocol as p; p('stcam'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ----------------------------------------------------------------------------------- override


def test_override_changes_a_copy():
    changed = PAPER.override(epochs=3, lr=1)
    assert (changed.epochs, changed.lr, PAPER.epochs) == (3, 1.0, 100)
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.epochs = 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 3.5}, "epochs=3.5.*the value was 100"),
        ({"epochs": "3"}, "epochs='3'"),
        ({"epochs": True}, "epochs=True"),
        ({"folds": [1, 2]}, "folds"),
        ({"folds": (0, 1)}, "numbered 1 to 10"),
        ({"attention": "cbam"}, "nl-embedded"),
        ({"select": "best"}, "best_val"),
        ({"precision": "fp16"}, "bf16"),
        ({"input_size": 256}, "larger than store_size 240"),
        ({"fraction": 0.0}, "fraction is 0.0"),
        ({"milestones": (90, 40)}, "not increasing"),
        ({"nesterov": 1}, "nesterov=1"),
    ],
)
def test_override_rejects(changes, message):
    with pytest.raises(ValueError, match=message):
        PAPER.override(**changes)


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="did you mean 'stcam'"):
        load_protocol("stcm")
    with pytest.raises(ValueError, match="did you mean 'quick'"):
        PAPER.resolve("quik", "oulu", "stcam")
    with pytest.raises(ValueError, match="Valid: ckplus, folder, mmi, oulu"):
        PAPER.resolve("quick", "afew", "stcam")
    with pytest.raises(ValueError, match="did you mean 'baseline'"):
        PAPER.resolve("quick", "oulu", "base_line")


def test_deviations_name_both_values_and_the_reason():
    quick = PAPER.resolve("quick", "oulu", "nl-gaussian")
    found = {deviation.name: deviation for deviation in quick.deviations()}
    assert found["input_size"][1:3] == (224, 64)
    assert "attention" not in found  # the row of the table, not a deviation
    mine = {d.name: d for d in quick.override(epochs=9).deviations()}
    assert mine["epochs"] == ("epochs", 100, 9, "set by the caller")


def test_the_key_ignores_what_does_not_change_a_training():
    quick = PAPER.resolve("quick", "oulu", "stcam")
    assert quick.key() == quick.override(folds=(3,), select="best_val").key()
    assert quick.key() != quick.override(epochs=9).key()


@pytest.mark.parametrize(("preset", "clips", "passes"), [
    ("quick", 0, 1), ("quick", 480, 1), ("quick", 327, 1), ("quick", 208, 2), ("quick", 74, 6),
    ("smoke", 74, 1), ("paper", 74, 1),
])  # fmt: skip
def test_few_clips_are_passed_over_more_often(preset, clips, passes):
    plan = PAPER.override(clips=clips).resolve(preset, "oulu", "stcam")
    assert plan.passes == passes
    plain = PAPER.resolve(preset, "oulu", "stcam")
    assert (plan.key() == plain.key()) == (passes == 1)
    listed = {d.name: d for d in plan.deviations()}
    assert ("passes" in listed) == (passes > 1)
    assert "clips" not in listed
    if passes > 1:
        assert listed["passes"].reason.startswith(f"{clips} clips; the epochs of quick were set")


STORED = [path for slug in list_protocols() for path in sorted(RESULTS.glob(f"{slug}/*-quick"))]


@pytest.mark.parametrize("folder", STORED, ids=[path.name for path in STORED])
def test_stored_runs_passed_over_their_clips_as_quick_says(folder):
    records = [json.loads(path.read_text()) for path in folder.glob("runs/*.json")]
    assert records
    for record in records:
        clips = sum(record["sizes"].values())
        quick = load_protocol(record["paper"]).presets["quick"]
        assert record["protocol"].get("passes", 1) == quick.passes(clips)


def test_smoke_keeps_enough_subjects_for_ten_folds():
    for dataset, subjects in {"ckplus": 118, "oulu": 80, "mmi": 30}.items():
        assert PAPER.resolve("smoke", dataset, "stcam").fraction * subjects >= 12


# ------------------------------------------------------------------------------ STCAM's numbers


def test_settings_are_those_of_section_4():
    values = dataclasses.asdict(PAPER)
    expected = {"num_frames": 7, "store_size": 240, "input_size": 224, "epochs": 100}
    expected |= {"batch_size": 16, "lr": 0.001, "momentum": 0.9, "nesterov": True}
    expected |= {"milestones": (40, 90), "gamma": 0.1, "weight_decay": 0.01, "num_folds": 10}
    expected |= {"reduction": 16, "optimizer": "sgd", "attention": "3dcam+stam", "crop": "five"}
    assert {name: values[name] for name in expected} == expected
    assert PAPER.folds == tuple(range(1, 11))
    assert "loss" in PAPER.assumed
    assert "epochs" not in PAPER.assumed


def read_tables() -> list[dict]:
    rows = []
    for path in sorted(TABLES.glob("stcam_table*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return rows


@pytest.mark.skipif(not TABLES.is_dir(), reason="the fact sheets are not part of the project")
def test_every_published_value_is_that_of_the_fact_sheet():
    names = {"An": "anger", "Co": "contempt", "Di": "disgust", "Fe": "fear"}
    names |= {"Ha": "happiness", "Sa": "sadness", "Su": "surprise"}
    expected = {}
    for row in read_tables():
        place = int(row["table"]), NAMES[row["dataset"]]
        if "true" in row:
            key = (*place, names[row["true"]], f"predicted {names[row['pred']]}")
        else:
            key = (*place, row["method"], row["metric"])
        text = row["value"]
        expected[key] = None if text == "" else text if row["unit"] == "-" else float(text)
    ours = {(c.table, c.dataset, c.row, c.metric): c.value for c in reported()}
    assert ours == expected
    assert len(ours) == len(reported())


def test_own_accuracies_are_whole_clips():
    own = {label for variant in VARIANTS.values() for label in variant.rows.values()}
    cells = [c for c in reported() if c.metric == "accuracy" and c.row in own]
    assert len(cells) == 15 + 6 + 12
    for cell in cells:
        n = SEQUENCES[cell.dataset]
        assert abs(100 * round(cell.value * n / 100) / n - cell.value) < 0.01, cell


def test_confusion_rows_sum_to_one_and_match_the_accuracy():
    sizes = {"ckplus": (45, 18, 59, 25, 69, 28, 83), "oulu": (80,) * 6}
    for dataset in NAMES.values():
        classes, matrix = reported_confusion(dataset)
        assert classes == PAPER.classes[dataset]
        whole = ~np.isnan(matrix).any(1)
        np.testing.assert_allclose(matrix[whole].sum(1), 1, atol=0.0021)
        if dataset in sizes:
            correct = np.rint(np.diag(matrix) * sizes[dataset]).sum()
            assert correct / SEQUENCES[dataset] == pytest.approx(
                {"ckplus": 0.99083, "oulu": 0.9125}[dataset], abs=1e-4
            )
    assert np.isnan(reported_confusion("mmi")[1]).sum() == 5
    lost = [c for c in reported(table=11) if c.value is None]
    assert len(lost) == 5
    assert all(c.note for c in lost)


def test_every_variant_finds_its_row_in_every_table_it_names():
    for variant in VARIANTS.values():
        for table, row in variant.rows.items():
            assert any(cell.row == row for cell in reported(table=table)), (variant.slug, table)


def test_the_criterion_is_the_binomial_interval_of_the_published_count():
    criterion = PAPER.resolve("paper", "ckplus", "stcam").criterion()
    assert (criterion.correct, criterion.n) == (324, 327)
    # Clopper-Pearson by its definition: 2.5 % beyond each end
    from scipy.stats import binom

    assert binom.sf(323, 327, criterion.low) == pytest.approx(0.025, abs=1e-6)
    assert binom.cdf(324, 327, criterion.high) == pytest.approx(0.025, abs=1e-6)
    assert criterion.holds(0.99)
    assert not criterion.holds(0.95)


def test_reported_refuses_what_the_paper_does_not_have():
    with pytest.raises(ValueError, match="Tables 1 to 11"):
        reported(table=12)
    with pytest.raises(ValueError, match="Valid: ckplus, mmi, oulu"):
        reported(dataset="afew")
