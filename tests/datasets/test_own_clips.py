"""A user's own clips: folds they can fill, what is refused, and their place in a paper's tables."""

import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dferlib.datasets import DATASETS, DatasetError, FrameStore
from dferlib.datasets.manifest import make_manifest
from dferlib.datasets.standins.trees import write_folder
from dferlib.evidence import summary, tables, verdict
from dferlib.figures import matrices, plots
from dferlib.notebook.parameters import ParameterError, check_parameters
from dferlib.protocols import OWN_CLIPS, list_protocols, load_protocol
from dferlib.protocols.paper import Extent
from dferlib.training import single_frame
from dferlib.training.runner import run_tasks
from dferlib.training.tasks import fit_extent, plan_tasks
from dferlib.training.weights import WeightsError

PAPER = load_protocol("stcam")
FRAMES = 4


def store_of(subjects, labels=("anger", "fear"), dataset=OWN_CLIPS, tmp_path=None):
    rows = [
        {"clip_id": f"{s}/{label}", "subject": s, "label": label, "n_frames": FRAMES}
        for s in subjects
        for label in labels
    ]
    manifest = make_manifest(rows, dataset, "real")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (FRAMES * len(rows), 36, 36, 3), dtype=np.uint8)
    classes = tuple(name for name in DATASETS[OWN_CLIPS] if name in labels)
    facts = {"path": tmp_path, "size": 36, "dataset": dataset, "source": "real", "key": "k"}
    return FrameStore(manifest, frames, classes=classes, pixels="p", **facts)


@pytest.mark.parametrize(("subjects", "asked", "count", "run"), [
    (4, (1, 2), 4, (1, 2)),
    (4, tuple(range(1, 11)), 4, (1, 2, 3, 4)),
    (25, tuple(range(1, 11)), 10, tuple(range(1, 11))),
])  # fmt: skip
def test_folds_are_those_that_the_subjects_fill(subjects, asked, count, run, tmp_path):
    store = store_of([f"S{n:02d}" for n in range(subjects)])
    assert fit_extent(PAPER, asked, store) == (Extent(len(store.manifest), count), run)
    tasks = plan_tasks(PAPER, "paper", ["stcam"], asked, (0,), store, tmp_path)
    assert tuple(task.fold for task in tasks) == run
    assert tasks[-1].recipe.num_folds == count
    split = tasks[-1].split
    assert len(split.train) > 0
    people = [set(store.manifest["subject"].iloc[part]) for part in (split.train, split.test)]
    assert not people[0] & people[1]


def test_deviations_say_why_own_clips_have_other_folds():
    extent, _ = fit_extent(PAPER, (1, 2), store_of(["S1", "S2", "S3", "S4"]))
    whole = {d.name: d for d in PAPER.resolve("paper", OWN_CLIPS, "stcam", extent).deviations()}
    for name in ("folds", "num_folds"):
        assert whole[name].reason == "no more folds than these clips have subjects"
    quick = {d.name: d for d in PAPER.resolve("quick", OWN_CLIPS, "stcam", extent).deviations()}
    assert quick["folds"].reason == PAPER.presets["quick"].changes["folds"][1]


def test_datasets_of_the_paper_keep_their_folds():
    store = store_of(["P001", "P002"], dataset="oulu")
    assert fit_extent(PAPER, (1, 2), store) == (Extent(len(store.manifest)), (1, 2))


@pytest.mark.parametrize(("subjects", "labels", "folds", "message"), [
    (2, ("anger", "fear"), (1,), "2 subjects are too few"),
    (6, ("anger",), (1,), "all clips are of 1 class"),
    (4, ("anger", "fear"), (5,), r"folds are \(5,\), but these clips fill 4 folds only"),
])  # fmt: skip
def test_too_little_is_refused_with_the_reason(subjects, labels, folds, message):
    store = store_of([f"S{n}" for n in range(subjects)], labels)
    with pytest.raises(DatasetError, match=message):
        fit_extent(PAPER, folds, store)


def test_a_fold_that_leaves_one_clip_to_train_on_is_refused():
    store = store_of(["S1", "S2", "S3"])
    keep = store.manifest.iloc[[0, 1, 2]]  # one person with two clips, one with one, none else
    rows = pd.concat([keep, store.manifest.iloc[[4]]])
    manifest = make_manifest(rows.to_dict("records"), OWN_CLIPS, "real")
    small = FrameStore(manifest, store.frames, "k", None, 36, OWN_CLIPS, "real", store.classes, "p")
    with pytest.raises(DatasetError, match="1 clips are left to train on in fold 1"):
        fit_extent(PAPER, (1,), small)


def test_parameters_ask_for_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DFER_DATA", raising=False)
    names = {"dataset": OWN_CLIPS, "preset": "smoke", "device": "cpu"}
    for more in ({}, {"source": "synthetic", "data_root": str(tmp_path)}):
        with pytest.raises(ParameterError, match="your own clips and has no synthetic stand-in"):
            check_parameters("stcam", names | more, datasets=PAPER.datasets)
    settings = check_parameters(
        "stcam", names | {"data_root": str(tmp_path)}, datasets=PAPER.datasets
    )
    assert settings.dataset == OWN_CLIPS
    assert settings.variants == tuple(PAPER.variants)


@pytest.mark.parametrize("slug", list_protocols())
def test_every_protocol_runs_on_own_clips(slug):
    paper = load_protocol(slug)
    for preset in paper.presets:
        variant = paper.variants_of(preset, OWN_CLIPS)[0]
        plan = paper.resolve(preset, OWN_CLIPS, variant)
        assert plan.dataset == OWN_CLIPS
        assert len(verdict.deviations(paper, preset, OWN_CLIPS, variant)) >= len(plan.deviations())
    assert paper.printed_on(OWN_CLIPS) == ()
    with pytest.raises(ValueError, match="unknown dataset"):
        paper.resolve("smoke", "casme", variant)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Runs of two rows and of the single-frame CNN on own clips, and the store they are of."""
    folder = tmp_path_factory.mktemp("own") / "stcam" / "folder-real-smoke"
    store = store_of([f"S{n}" for n in range(5)], ("sadness", "anger", "fear"))
    tasks = plan_tasks(PAPER, "smoke", ["baseline", "stcam"], (1,), (0,), store, folder)
    runs = run_tasks(tasks, progress=False)
    peak = single_frame.run_peak_cnn(tasks)
    return store, folder, tasks, runs, peak


def test_tables_show_own_clips_without_a_published_value(finished):
    store, _, _, runs, _ = finished
    evidence = {OWN_CLIPS: tables.tidy(runs)}
    table = tables.published_beside_ours(PAPER, 3, evidence, dataset=OWN_CLIPS)
    assert table["published"].isna().all()
    done = table[table["status"] == "run"]
    assert done["row"].tolist() == ["Baseline", "Baseline + 3D-CAM + STAM"]
    assert (done["n"] == 3).all()
    whole = tables.published_beside_ours(PAPER, 8, evidence)
    assert set(whole["dataset"]) == {*PAPER.datasets, OWN_CLIPS}
    assert whole[whole["dataset"] != OWN_CLIPS]["published"].notna().any()
    table = tables.describe_datasets(PAPER, {OWN_CLIPS: store.manifest}).set_index("dataset")
    assert table.loc[OWN_CLIPS, ["subjects", "sequences", "status"]].tolist() == [5, 15, "at hand"]


def test_nothing_published_is_claimed_of_own_clips(finished, tmp_path):
    runs = finished[3]
    predictions = tables.tidy(runs)
    settings = check_parameters(
        "stcam",
        {"dataset": OWN_CLIPS, "preset": "smoke", "device": "cpu", "data_root": str(tmp_path)},
        datasets=PAPER.datasets,
    )
    judged = verdict.judge(PAPER, predictions, settings, "real", "last")["verdict"]
    assert judged.tolist() == ["not tested: the paper does not report on these clips"]
    assert np.isnan(tables.published_confusion(PAPER, OWN_CLIPS, ("anger", "fear"))).all()
    key = {"dataset": OWN_CLIPS, "source": "real", "preset": "smoke", "select": "last"}
    path = tmp_path / "summary.csv"
    rows = summary.update_summary(path, PAPER, {OWN_CLIPS: predictions}, [3], **key)
    assert rows.empty
    assert not path.exists()


def test_the_single_frame_cnn_has_the_same_folds_and_clips(finished):
    store, folder, tasks, runs, peak = finished
    (run,) = peak  # one for both rows
    assert run.record["variant"] == single_frame.NAME
    assert set(run.predictions["clip_id"]) == set(runs[0].predictions["clip_id"])
    settings = run.record["protocol"]
    assert settings["num_frames"] == 1
    for name in ("epochs", "lr", "batch_size", "optimizer", "input_size", "num_folds"):
        assert settings[name] == runs[0].record["protocol"][name]
    assert (folder.parents[1] / "peak_cnn" / folder.name / "metrics.csv").is_file()
    again = single_frame.run_peak_cnn(tasks)
    assert again[0].record["run_id"] == run.record["run_id"]
    table = single_frame.score_runs(peak, store.classes, "last")
    correct = run.predictions[run.predictions["select"] == "last"].eval("y_true == y_pred")
    assert table.loc["WAR", "value"] == pytest.approx(100 * correct.mean())
    assert table["n"].tolist() == [3, 3]


def test_the_single_frame_cnn_starts_from_what_it_is_told(finished):
    lost = [task.with_settings("lost", init="/nowhere.pt") for task in finished[2]]
    (run,) = single_frame.run_peak_cnn(lost, "random")
    assert run.record["variant"] == "peak-cnn, init random"
    assert run.record["init"] == {"init": "random", "loaded": 0}


@pytest.mark.parametrize("lost", [False, True])
def test_both_starts_of_the_single_frame_cnn_are_scored(finished, monkeypatch, lost):
    _, _, tasks, _, peak = finished
    tasks = [task.with_settings("as quick", init="synthetic") for task in tasks]

    def run_peak_cnn(_, init):
        if lost and init == "":
            raise WeightsError("there are none")
        return peak

    monkeypatch.setattr(single_frame, "run_peak_cnn", run_peak_cnn)
    scores, left_out = single_frame._score_starts(tasks, "last")
    assert list(scores) == ["random weights", *(() if lost else ("synthetic weights",))]
    assert left_out == (["synthetic weights: not run, there are none"] if lost else [])


def test_command_line_scores_the_single_frame_cnn(tmp_path, capsys):
    root = write_folder(tmp_path / "clips", seed=1)
    arguments = [str(root), "--preset", "smoke", "--results-dir", str(tmp_path / "out")]
    assert single_frame.main(["folder", *arguments, "--folds", "all"]) == 0
    shown = capsys.readouterr().out
    assert "A CNN on the peak frame alone, real data, preset smoke" in shown
    # smoke keeps ten of the 24 subjects, a fold each
    assert re.search(r"random weights WAR +\d+\.\d +\d+\.\d +\d+\.\d +10\n", shown)


def test_the_single_frame_cnn_sees_the_peak_alone(finished):
    store, _, tasks, _, _ = finished
    (task,) = single_frame.peak_tasks(tasks)
    loader = task.loader()
    offsets = store.manifest["offset"].to_numpy()
    np.testing.assert_array_equal(loader.draw().frames[:, 0], offsets + FRAMES - 1)


@pytest.mark.parametrize("dataset", ["mmi", "bu4dfe"])
def test_of_clips_that_come_back_the_single_frame_cnn_sees_no_neutral_end(finished, dataset):
    store, _, tasks, _, _ = finished
    recipe, clips = tasks[0].recipe.override(dataset=dataset), replace(store, dataset=dataset)
    there = [replace(task, recipe=recipe, store=clips) for task in tasks]
    assert {task.recipe.peak for task in there} == {"last"}
    (task,) = single_frame.peak_tasks(there)
    offsets = store.manifest["offset"].to_numpy()
    np.testing.assert_array_equal(task.loader().draw().frames[:, 0], offsets + (FRAMES - 1) // 2)


def test_command_line_names_what_is_wrong(capsys, monkeypatch):
    monkeypatch.delenv("DFER_DATA", raising=False)
    assert single_frame.main(["folder", "/nowhere", "--preset", "smoke"]) == 2
    assert "which is no folder" in capsys.readouterr().err
    assert single_frame.main(["casme", "/nowhere"]) == 2
    assert "unknown dataset" in capsys.readouterr().err


def test_figures_leave_out_what_nobody_published(finished):
    _, _, _, runs, _ = finished
    matrix, nothing = np.eye(3), np.full((3, 3), np.nan)
    for published, panels in ((nothing, 1), (matrix, 3)):
        figure = matrices.plot_confusion_pair(matrix, published, ("a", "b", "c"), title="t")
        assert len(figure.axes) == 2 * panels  # each with its bar
    evidence = {OWN_CLIPS: tables.tidy(runs)}
    table = tables.published_beside_ours(PAPER, 3, evidence, dataset=OWN_CLIPS)
    labels = [text.get_text() for text in plots.plot_intervals(table).get_legend().get_texts()]
    assert labels == ["ours, last epoch, 95 % interval"]
    plt.close("all")
