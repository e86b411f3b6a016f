"""What holds for every paper: names, presets, overrides, keys of stored runs, published cells."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from dferlib.datasets.manifest import DATASETS
from dferlib.evidence.runs import run_id
from dferlib.models import list_options
from dferlib.protocols import Extent, list_protocols, load_protocol
from dferlib.protocols.recipe import UNSAID

RESULTS = Path(__file__).parents[2] / "results"
PAPER = load_protocol("stcam")
STATED = PAPER.stated
PAPERS = [load_protocol(slug) for slug in list_protocols()]
every_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.slug)


# ---------------------------------------------------------------------------------- every paper


def test_a_paper_is_a_file():
    assert list_protocols() == ("ceflnet", "ecnn_fsa", "hacn", "stcam", "stt")
    assert [load_protocol(slug).slug for slug in list_protocols()] == list(list_protocols())


@every_paper
def test_every_combination_resolves(paper):
    for preset in paper.presets:
        for dataset in paper.datasets:
            for variant in paper.variants:
                recipe = paper.resolve(preset, dataset, variant)
                asked = (recipe.preset, recipe.dataset, recipe.variant)
                assert asked == (preset, dataset, variant)
                assert json.loads(json.dumps(recipe.key()))
                for deviation in recipe.deviations():
                    assert deviation.reason
                    assert deviation.paper != deviation.value


@every_paper
def test_the_paper_preset_is_the_paper_but_for_weights_that_are_not_public(paper):
    for variant in paper.variants:
        deviations = paper.resolve("paper", paper.datasets[0], variant).deviations()
        assert {deviation.name for deviation in deviations} <= {"init", "normalise", "transfer"}


@every_paper
def test_model_options_are_options_of_the_model(paper):
    assert set(paper.stated.model_options()) <= set(list_options(paper.model))


@every_paper
def test_class_orders_are_those_of_the_stores(paper):
    if paper.slug != "ecnn_fsa":  # whose CK+ has neutral in the place of contempt
        assert {name: DATASETS[name] for name in paper.datasets} == dict(paper.classes)


@every_paper
def test_a_key_tells_rows_apart(paper):
    for dataset in paper.datasets:
        keys = [str(paper.resolve("quick", dataset, row).key()) for row in paper.variants]
        assert len(set(keys)) == len(keys)


@every_paper
def test_rows_and_confusion_matrices_have_their_cells(paper):
    for variant in paper.variants.values():
        for table, label in variant.rows.items():
            assert label in {cell.row for cell in paper.reported(table)}, (variant.slug, table)
    for dataset in paper.datasets:
        classes, matrix = paper.reported_confusion(dataset)
        assert classes == paper.classes[dataset]
        assert matrix.shape == (len(classes), len(classes))


@pytest.mark.parametrize(("slug", "tables", "absent"), [
    ("stcam", 11, "afew"), ("stt", 4, "mmi"), ("ceflnet", 9, "oulu"), ("hacn", 4, "mmi"),
    ("ecnn_fsa", 10, "mmi"),
])  # fmt: skip
def test_reported_refuses_what_the_paper_does_not_have(slug, tables, absent):
    paper = load_protocol(slug)
    assert {c.table for c in paper.reported()} == set(range(1, tables + 1))
    with pytest.raises(ValueError, match=f"Tables 1 to {tables}"):
        paper.reported(tables + 1)
    for ask in (lambda name: paper.reported(dataset=name), paper.reported_confusion):
        with pytest.raises(ValueError, match=f"Valid: {', '.join(sorted(paper.datasets))}"):
            ask(absent)


@pytest.mark.parametrize(("slug", "dataset", "variant", "nearest"), [
    ("stt", "afew", "p3d-ti", "former-dfer-ds"), ("ceflnet", "mmi", "fan", "ceflnet"),
    ("hacn", "afew", "map", "control-1"), ("ecnn_fsa", "ckplus", "score-fusion", "ecnn_fsa"),
])  # fmt: skip
def test_no_criterion_where_the_paper_prints_nothing(slug, dataset, variant, nearest):
    with pytest.raises(ValueError, match=rf"accuracy on {dataset} of variant.*Valid:.*{nearest}"):
        load_protocol(slug).criterion(dataset, variant)


# ----------------------------------------------------------------------------------- override


def test_override_changes_a_copy():
    changed = STATED.override(epochs=3, lr=1)
    assert (changed.epochs, changed.lr, STATED.epochs) == (3, 1.0, 100)
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.epochs = 4


@pytest.mark.parametrize(
    ("slug", "changes", "message"),
    [
        ("stcam", {"epoch": 3}, "did you mean 'epochs'"),
        ("stcam", {"epochs": 3.5}, "epochs=3.5.*the value was 100"),
        ("stcam", {"epochs": "3"}, "epochs='3'"),
        ("stcam", {"epochs": True}, "epochs=True"),
        ("stcam", {"folds": [1, 2]}, "folds"),
        ("stcam", {"folds": (0, 1)}, "numbered 1 to 10"),
        ("stcam", {"attention": "cbam"}, "nl-embedded"),
        ("stcam", {"select": "best"}, "best_val"),
        ("stcam", {"precision": "fp16"}, "bf16"),
        ("stcam", {"input_size": 256}, "larger than store_size 240"),
        ("stcam", {"fraction": 0.0}, "fraction is 0.0"),
        ("stcam", {"milestones": (90, 40)}, "not increasing"),
        ("stcam", {"nesterov": 1}, "nesterov=1"),
        ("stcam", {"schedule": "cosine"}, "one_cycle"),
        ("stcam", {"schedule": "one_cycle", "warmup": 1.0}, "warmup is 1.0"),
        ("stcam", {"select": "best_val"}, "no clips are held out"),
        ("stcam", {"normalise": "bgr"}, "vggface"),
        ("ceflnet", {"schedule": "one_cycle"}, "warmup is 10"),
        ("ceflnet", {"loss": "hinge"}, "binary"),
        ("ceflnet", {"network": "vit"}, "c3d_lstm"),
        ("ceflnet", {"period": 1.5}, "period=1.5"),
        ("ecnn_fsa", {"fusion": "lstm"}, "scores"),
        ("ecnn_fsa", {"s": "0.1"}, "s='0.1'"),
        ("hacn", {"mode": "printed"}, "per_frame"),
        ("hacn", {"evaluation": "test"}, "five-fold"),
        ("stt", {"readout": "first"}, "class-first"),
        ("stt", {"beta": "0.2"}, "beta='0.2'"),
    ],
)
def test_override_rejects(slug, changes, message):
    with pytest.raises(ValueError, match=message):
        load_protocol(slug).stated.override(**changes)


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="did you mean 'stcam'"):
        load_protocol("stcm")
    with pytest.raises(ValueError, match="did you mean 'quick'"):
        PAPER.resolve("quik", "oulu", "stcam")
    with pytest.raises(ValueError, match="Valid: ckplus, folder, mmi, oulu"):
        PAPER.resolve("quick", "afew", "stcam")
    with pytest.raises(ValueError, match="did you mean 'baseline'"):
        PAPER.resolve("quick", "oulu", "base_line")


# ------------------------------------------------------------------------- deviations and extents


def test_deviations_name_both_values_and_the_reason():
    quick = PAPER.resolve("quick", "oulu", "nl-gaussian")
    found = {deviation.name: deviation for deviation in quick.deviations()}
    assert found["input_size"][1:3] == (224, 64)
    assert "attention" not in found  # the row of the table, not a deviation
    mine = {d.name: d for d in quick.override(epochs=9).deviations()}
    assert mine["epochs"] == ("epochs", 100, 9, "set by the caller")


@pytest.mark.parametrize(("preset", "clips", "passes"), [
    ("quick", 0, 1), ("quick", 480, 1), ("quick", 327, 1), ("quick", 208, 2), ("quick", 74, 6),
    ("smoke", 74, 1), ("paper", 74, 1),
])  # fmt: skip
def test_few_clips_are_passed_over_more_often(preset, clips, passes):
    recipe = PAPER.resolve(preset, "oulu", "stcam", Extent(clips))
    assert recipe.passes == passes
    plain = PAPER.resolve(preset, "oulu", "stcam")
    assert (recipe.key() == plain.key()) == (passes == 1)
    listed = {d.name: d for d in recipe.deviations()}
    assert ("passes" in listed) == (passes > 1)
    assert "clips" not in listed
    if passes > 1:
        assert listed["passes"].reason.startswith(f"{clips} clips; the epochs of quick were set")


def test_own_clips_may_have_fewer_folds_than_the_paper():
    recipe = PAPER.resolve("paper", "folder", "stcam", Extent(clips=60, folds=4))
    assert (recipe.num_folds, recipe.folds) == (4, (1, 2, 3, 4))
    reasons = {d.name: d.reason for d in recipe.deviations()}
    assert "fewer" not in reasons
    assert (
        reasons["folds"] == reasons["num_folds"] == "no more folds than these clips have subjects"
    )
    assert PAPER.resolve("quick", "folder", "stcam", Extent(60, 4)).folds == (1, 2)


def test_smoke_keeps_enough_subjects_for_its_folds():
    for dataset, subjects in {"ckplus": 118, "oulu": 80, "mmi": 30}.items():
        smoke = PAPER.resolve("smoke", dataset, "stcam")
        assert smoke.fraction * subjects >= smoke.num_folds


# --------------------------------------------------------------------------------- keys of runs


def test_the_key_ignores_what_does_not_change_a_training():
    quick = PAPER.resolve("quick", "oulu", "stcam")
    assert quick.key() == quick.override(folds=(3,), select="best_val").key()
    assert quick.key() != quick.override(epochs=9).key()
    settled = quick.override(**UNSAID)
    for changes in ({"schedule": "one_cycle"}, {"holdout": False}, {"decayed": "weights"}):
        assert not settled.key().keys() & UNSAID.keys()
        assert settled.override(**changes).key() == {**settled.key(), **changes}


STORED = sorted(RESULTS.glob("**/*-synthetic-quick"))  # also of before, when quick was shorter
PRETRAINED = "synthetic:28cb876cc54a"  # `pretrain.init_key` when they were made
stored_runs = pytest.mark.parametrize("folder", STORED, ids=[path.name for path in STORED])


def records_of(folder: Path) -> list[dict]:
    records = [json.loads(path.read_text()) for path in folder.glob("runs/*.json")]
    assert records
    return records


@stored_runs
def test_stored_runs_keep_their_ids(folder):
    """An id is a hash of the recipe's key and of what else defines the numbers of a run."""
    for record in records_of(folder):
        recipe = load_protocol(record["paper"]).restore(record["protocol"])
        start = PRETRAINED if recipe.init == "synthetic" else recipe.init
        start = record.get("init_key", start)  # older records do not say it
        key = {"protocol": recipe.key(), "manifest": record["manifest_hash"], "init": start}
        key |= {"training": "1", "fingerprint": record["fingerprint"]}
        made = run_id(record["variant"], record["fold"], record["seed"], key)
        assert made == record["run_id"]


@stored_runs
def test_stored_runs_passed_over_their_clips_as_quick_says(folder):
    for record in records_of(folder):
        clips = sum(record["sizes"].values())
        quick = load_protocol(record["paper"]).presets["quick"]
        assert record["protocol"].get("passes", 1) == quick.passes(clips)
