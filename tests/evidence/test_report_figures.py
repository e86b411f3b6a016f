"""Tables and figures: what stands where, and what is said of cells that were not run."""

import dataclasses
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dferlib.evidence import layout, scoring, summary, tables, verdict
from dferlib.evidence.runs import Run, results_folder, save_run
from dferlib.figures import curves, diagrams, matrices, plots
from dferlib.notebook.parameters import Settings
from dferlib.protocols import Reported, load_protocol
from dferlib.protocols.paper import Extent
from dferlib.protocols.stt import reported_layers

PAPER = load_protocol("stcam")
CLASSES = PAPER.classes["oulu"]


def make_run(variant: str, accuracy: float, fold: int = 1, seed: int = 0) -> Run:
    """A finished run of 48 clips with about this accuracy."""
    rng = np.random.default_rng([len(variant), fold, seed])
    y_true = np.tile(np.arange(6), 8)
    wrong = rng.random(48) >= accuracy
    y_pred = np.where(wrong, (y_true + 1) % 6, y_true)
    tables = []
    for rule in ("last", "best_val", "best_test"):
        table = pd.DataFrame({"clip_id": [f"c{fold}-{i}" for i in range(48)], "fold": fold})
        table["subject"], table["select"] = [f"P{fold}{i // 6}" for i in range(48)], rule
        table["y_true"], table["y_pred"] = y_true, y_pred
        probabilities = 0.5 * np.eye(6)[y_pred] + 0.5 / 6
        tables.append(pd.concat([table, pd.DataFrame(probabilities).add_prefix("p_")], axis=1))
    record = {"run_id": f"{variant}-{fold}-{seed}", "paper": "stcam", "dataset": "oulu"}
    record |= {"source": "synthetic", "preset": "quick", "variant": variant, "fold": fold}
    return Run({**record, "seed": seed}, pd.concat(tables, ignore_index=True))


@pytest.fixture(scope="module")
def predictions():
    runs = [make_run(v, a, f) for v, a in (("baseline", 0.5), ("stcam", 0.8)) for f in (1, 2)]
    return tables.tidy(runs)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_scores_are_pooled_over_folds(predictions):
    scores = scoring.score_variants(predictions, CLASSES)
    part = predictions[(predictions["variant"] == "stcam") & (predictions["select"] == "last")]
    assert scores.loc["stcam", "n"] == len(part) == 96
    assert scores.loc["stcam", "war"] == pytest.approx(100 * (part.y_true == part.y_pred).mean())
    assert scores.loc["stcam", "war_low"] < scores.loc["stcam", "war"]
    assert scores.loc["stcam", "war"] < scores.loc["stcam", "war_high"]


def test_published_table_says_what_was_not_run(predictions):
    table = tables.published_beside_ours(PAPER, 3, {"oulu": predictions}).set_index("row")
    assert table.loc["Baseline + 3D-CAM + STAM", "published"] == 91.25
    assert table.loc["Baseline + 3D-CAM + STAM", "status"] == "run"
    assert table.loc["Baseline + 3D-CAM + STAM", "n"] == 96
    missing = table.loc["Baseline + STAM"]
    assert missing["status"].startswith("not run: papermill notebooks/stcam.ipynb")
    assert np.isnan(missing["ours"])


def test_other_methods_are_published_only(predictions):
    table = tables.published_beside_ours(PAPER, 6, {"oulu": predictions}).set_index("row")
    assert table.loc["DTAGN [16]", "status"] == "published only"
    assert table.loc["Baseline + STCAM", "status"] == "run"


def test_every_table_has_all_its_rows_without_any_run():
    for number, rows in ((2, 5), (3, 5), (4, 5), (5, 11), (6, 9), (7, 7), (8, 12)):
        table = tables.published_beside_ours(PAPER, number, {})
        assert len(table) == rows
        assert table["ours"].isna().all()
        assert table["published"].notna().all()


def test_shown_f1_has_the_digits_that_are_printed():
    paper = load_protocol("ecnn_fsa")
    html = layout.show(tables.published_beside_ours(paper, 2, {}), "synthetic").to_html()
    assert "0.2895" in html


def test_shown_table_never_calls_a_synthetic_number_anything_else(predictions):
    table = tables.published_beside_ours(PAPER, 3, {"oulu": predictions})
    html = layout.show(table, "synthetic").to_html()
    assert "ours (synthetic)" in html
    assert "published (real data)" in html
    assert "nan" not in html.lower()


def test_datasets_at_hand_and_not():
    clips = pd.DataFrame({"subject": ["a", "b", "a"], "n_frames": [3, 4, 5], "source": "real"})
    table = tables.describe_datasets(PAPER, {"oulu": clips}).set_index("dataset")
    assert table.loc["oulu", "subjects"] == 2
    assert table.loc["oulu", "frames"] == 12
    assert table.loc["oulu", "sequences (published)"] == 480
    assert "not run" in table.loc["mmi", "status"]


def test_oracle_gain_and_paired_tests(predictions):
    gaps = scoring.selection_gaps(predictions, CLASSES)
    assert (gaps["oracle gain"] == 0).all()  # the three rules hold the same predictions here
    tests = scoring.paired_tests(predictions, CLASSES, "baseline")
    assert list(tests["second"]) == ["stcam"]
    assert tests.loc[0, "p_mcnemar_holm"] < 0.05
    assert tests.loc[0, "war_difference"] > 0


def test_summary_replaces_its_own_rows_and_keeps_others(predictions, tmp_path):
    path = tmp_path / "summary.csv"
    options = {"source": "synthetic", "preset": "quick", "select": "last"}
    for _ in range(2):
        summary.update_summary(
            path, PAPER, {"oulu": predictions}, [3, 6], dataset="oulu", **options
        )
    summary.update_summary(path, PAPER, {}, [4], dataset="mmi", **options)
    table = pd.read_csv(path)
    assert len(table) == 5 + 2 + 5
    done = table[(table["dataset"] == "oulu") & table["ours"].notna()]
    assert set(done["status"]) == {"synthetic, not a reproduction"}
    assert table[table["dataset"] == "mmi"]["status"].str.startswith("not run").all()


def keep(folder, variant, fold=1, manifest="m", **changes):
    """Keep a run with today's settings of quick, or with others."""
    recipe = PAPER.resolve("quick", "oulu", variant.partition(", ")[0], Extent(480))
    run = make_run(variant, 0.8, fold)
    settings = dataclasses.asdict(recipe.override(precision="float32", **changes))
    classes = {"classes": list(CLASSES), "protocol": settings, "history": []}
    names = {"run_id": f"run-{len(list(folder.rglob('*.json')))}"}
    hashes = {"manifest_hash": manifest, "fingerprint": "f"}
    save_run(folder, {**run.record, **classes, **names, **hashes}, run.predictions)
    return names["run_id"]


def test_runs_with_other_settings_than_todays_preset_are_in_no_table(tmp_path):
    folder = results_folder("stcam", "oulu", "synthetic", "quick", tmp_path)
    keep(folder, "baseline", epochs=6)
    assert "oulu" not in tables.load_evidence(PAPER, "synthetic", "quick", tmp_path)
    now = keep(folder, "baseline")
    keep(folder, "stcam", lr=0.004)
    own = keep(folder, "stcam, init random", init="random")
    keep(folder, "stcam, standard classes", manifest="of other clips")
    evidence = tables.load_evidence(PAPER, "synthetic", "quick", tmp_path)
    assert set(evidence["oulu"]["run_id"]) == {now, own}
    keep(folder, "baseline", init="random")
    assert tables.load_evidence(PAPER, "synthetic", "quick", tmp_path).keys() == evidence.keys()
    random = tables.load_evidence(PAPER, "synthetic", "quick", tmp_path, "random")
    assert not set(random["oulu"]["run_id"]) & {now}
    marks = tables.digest_runs(evidence)
    assert marks == tables.digest_runs({"oulu": evidence["oulu"].query("run_id == @now")})
    assert marks != tables.digest_runs(random)


def test_confusion_and_its_difference(predictions):
    ours = scoring.confusion_of(predictions, CLASSES, "stcam")
    assert np.allclose(ours.sum(1), 1)
    published = PAPER.reported_confusion("oulu")[1]
    ax = matrices.plot_confusion_difference(ours, published, CLASSES)
    assert ax.texts[0].get_text() == f"{ours[0, 0] - published[0, 0]:+.2f}"
    blank = matrices.plot_confusion(np.full((6, 6), np.nan), CLASSES)
    assert all(text.get_text() == "" for text in blank.texts)


def test_roc_table_has_a_curve_per_class_and_two_means(predictions):
    table = scoring.roc_of(predictions, CLASSES, "stcam")
    assert set(table["curve"]) == {*CLASSES, "macro", "micro"}
    titles = [ax.get_title().split()[0] for ax in curves.plot_roc(table).axes if ax.get_title()]
    assert titles == ["macro", *CLASSES]  # the means share a panel


def test_intervals_show_published_rows_that_were_not_run(predictions):
    table = tables.published_beside_ours(PAPER, 3, {"oulu": predictions})
    ax = plots.plot_intervals(table, chance=100 / 6)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table["row"])
    assert len(ax.collections[0].get_offsets()) == 5


def test_watermark_marks_synthetic_figures_only():
    marked, plain = plt.figure(), plt.figure()
    plots.watermark(marked, "synthetic")
    plots.watermark(plain, "real")
    assert any("synthetic" in text.get_text() for text in marked.texts)
    assert not plain.texts


def test_maps_share_one_colour_scale():
    frames = np.random.default_rng(0).random((7, 8, 8, 3))
    maps = np.linspace(0, 1, 7)[:, None, None] * np.ones((7, 8, 8))
    figure = plots.plot_maps_over_frames(frames, maps, [str(i) for i in range(7)])
    limits = {image.get_clim() for ax in figure.axes[7:14] for image in ax.images}
    assert limits == {(0.0, 1.0)}


def test_maps_are_laid_over_the_frames_that_have_one():
    frames, maps = np.zeros((2, 3, 4, 4, 3)), np.full((2, 3, 4, 4), np.nan)
    maps[:, 2] = 0.5
    maps[1, 2] = np.linspace(0, 0.75, 4)
    figure = plots.plot_samples(frames, ["a", "b"], ["1", "2", "map"], maps=maps)
    counts = [len(ax.images) for ax in figure.axes[:6]]
    assert counts == [1, 1, 1, 1, 1, 2]  # an even map has no pattern to show
    said = [ax.get_xlabel() for ax in figure.axes[:6]]
    assert said == ["", "", "even, 0.50", "", "", "0.00 to 0.75"]
    assert len(figure.axes) == 7  # and the colour bar
    plain = plots.plot_samples(frames, ["a", "b"], ["1", "2", "3"])
    assert len(plain.axes) == 6


def settings_of(**changes) -> Settings:
    values = {"slug": "stcam", "dataset": "oulu", "source": "real", "preset": "paper"}
    values |= {"data_root": None, "variants": tuple(PAPER.variants), "folds": PAPER.stated.folds}
    return Settings(**values | {"seeds": (0,), "device": "cpu", "results_dir": ""} | changes)


def test_seeds_of_a_clip_are_not_more_clips():
    one = tables.tidy([make_run(v, 0.7, seed=0) for v in ("baseline", "stcam")])
    three = pd.concat([one.assign(seed=seed) for seed in range(3)], ignore_index=True)
    assert (scoring.score_variants(three, CLASSES)["n"] == 48).all()
    assert (scoring.score_variants(three, CLASSES)["seeds"] == 3).all()
    pair = [scoring.paired_tests(table, CLASSES, "baseline") for table in (one, three)]
    assert pair[0].loc[0, "p_mcnemar"] == pair[1].loc[0, "p_mcnemar"]
    assert pair[0].loc[0, "n"] == pair[1].loc[0, "n"] == 48


def test_nothing_but_the_full_protocol_on_real_data_is_judged():
    runs = [make_run("stcam", 0.91, fold) for fold in range(1, 11)]
    clips = tables.tidy(runs)

    def judged(source="real", rows=clips, **changes):
        return verdict.judge(PAPER, rows, settings_of(**changes), source, "last")["verdict"][0]

    assert judged() in ("reproduced", "not reproduced")
    assert "synthetic" in judged("synthetic")
    assert "preset is quick" in judged(preset="quick")
    assert "not all folds" in judged(folds=(1, 2))
    assert "several seeds" in judged(seeds=(0, 1))
    assert "clips, not 480" in judged(rows=clips[clips["fold"] == 1])


def test_only_a_whole_preset_may_replace_results():
    recipe = PAPER.resolve("paper", "oulu", "stcam")
    assert verdict.part_of(settings_of(), recipe) == ()
    assert verdict.part_of(settings_of(seeds=(0, 1, 2)), recipe) == ()  # more evidence, not less
    (said,) = verdict.part_of(settings_of(variants=("stcam",)), recipe)
    assert said.startswith("rows left out: baseline, ")
    assert "folds 1 instead of 1, 2" in verdict.part_of(settings_of(folds=(1,)), recipe)[0]
    assert verdict.part_of(settings_of(seeds=(3,)), recipe) == ("seed 0 is not among the seeds",)
    assert verdict.part_of(settings_of(init="random"), recipe) == ("init is random",)


def test_the_sentence_below_a_table_follows_the_numbers(predictions):
    table = tables.published_beside_ours(PAPER, 3, {"oulu": predictions})
    assert "**Baseline + 3D-CAM + STAM**" in tables.read_table(table)
    assert "n = 96" in tables.read_table(table)
    assert "Nothing" in tables.read_table(tables.published_beside_ours(PAPER, 3, {}))


def test_what_differs_whatever_the_preset_is_listed():
    table = verdict.deviations(PAPER, "paper", "mmi", "stcam").set_index("setting")
    assert {"pre-training", "face boxes on Oulu-CASIA and MMI", "init"} <= set(table.index)
    assert "peak" not in table.index  # the paper's own setting for MMI


def test_stored_quick_results_beat_chance():
    """Of each paper's own model, wherever it was run."""
    summed = pd.read_csv(Path(tables.__file__).parents[2] / "results" / "summary.csv")
    summed = summed[(summed["preset"] == "quick") & (summed["metric"] == "WAR (%)")]
    assert len(summed)
    for slug, rows in summed[summed["ours"].notna()].groupby("paper"):
        paper = load_protocol(slug)
        own = rows[rows["row"].isin(set(paper.variants[slug].rows.values()))]
        assert set(own["dataset"]) == set(rows["dataset"])
        assert (
            own["ci_low"] > own["dataset"].map(lambda d, p=paper: 100 / len(p.classes[d]))
        ).all()


def test_the_readme_shows_the_stored_results():
    root = Path(tables.__file__).parents[2]
    text = (root / "README.md").read_text(encoding="utf-8")
    start, end = summary.TABLE_MARKS
    shown = text.split(start)[1].split(end)[0].strip()
    assert shown == summary.markdown_table(pd.read_csv(root / "results" / "summary.csv"))
    assert shown.count("\n") > 2  # two lines of head, and a row at least


STT = load_protocol("stt")


@pytest.fixture(scope="module")
def dfew_predictions():
    """Two rows of STT's Table 3 with known hits: 10 clips a class, k of class k right."""
    y_true = np.repeat(np.arange(7), 10)
    y_pred = np.where(np.tile(np.arange(10), 7) < y_true, y_true, (y_true + 1) % 7)
    tables = []
    for rule in ("last", "best_test"):
        table = pd.DataFrame({"clip_id": [f"c{i}" for i in range(70)], "subject": None, "fold": 1})
        table["y_true"], table["y_pred"], table["select"], table["seed"] = y_true, y_pred, rule, 0
        tables += [table.assign(variant=name) for name in ("stt", "r3d-ti")]
    return pd.concat(tables, ignore_index=True)


def test_a_table_of_several_metrics_shows_each_with_its_own_interval(dfew_predictions):
    table = tables.published_beside_ours(STT, 3, {"dfew": dfew_predictions}).set_index(
        ["row", "metric"]
    )
    assert len(table) == 14 * 9
    for k, name in enumerate(STT.classes["dfew"]):
        cell = table.loc[("3D Resnet18 [15] (TI)", f"recall {name}")]
        assert cell["ours"] == pytest.approx(10 * k)
        assert cell["n"] == 10
        assert (cell["ci_low"] < 10 * k < cell["ci_high"]) or k == 0
    own = table.loc["STT (Ours) (DS)"]
    assert own.loc["UAR", "ours"] == own.loc["WAR", "ours"] == pytest.approx(30)
    assert own.loc["UAR", "n"] == 70
    assert own.loc["recall disgust", "published"] == 3.49
    missing = table.loc[("3D Resnet18 [15] (DS)", "WAR"), "status"]
    assert missing.endswith("-p dataset dfew -p variants r3d-ds")


def test_one_metric_can_be_asked_for(dfew_predictions):
    table = tables.published_beside_ours(STT, 3, {"dfew": dfew_predictions}, metric="UAR")
    assert set(table["metric"]) == {"UAR"}
    assert len(table) == 14
    with pytest.raises(ValueError, match=r"Table 1 has: UAR, WAR"):
        tables.published_beside_ours(STT, 1, {}, metric="recall fear")


def test_the_wide_table_has_a_row_per_row_and_the_metrics_across(dfew_predictions):
    table = tables.published_beside_ours(STT, 3, {"dfew": dfew_predictions})
    wide = tables.widen(table)
    assert wide.shape == (14, 2 * 9 + 2)
    assert wide.loc[("dfew", "STT (Ours) (DS)"), ("recall fear", "ours")] == pytest.approx(60)
    assert wide.loc[("dfew", "C3D [50] (TI)"), ("WAR", "published")] == 53.54
    assert wide[("", "n")].max() == 70
    assert list(wide.index.get_level_values("row")) == list(dict.fromkeys(table["row"]))
    assert tables.widen(table, intervals=True).shape == (14, 4 * 9 + 2)
    html = layout.show_wide(table, "synthetic").to_html()
    assert "ours (synthetic)" in html
    assert "nan" not in html.lower()
    assert tables.widen(tables.published_beside_ours(STT, 4, {})).shape == (9, 6)


def test_metrics_of_the_summary_are_named(dfew_predictions, tmp_path):
    options = {"source": "synthetic", "preset": "quick", "select": "last"}
    evidence = {"dfew": dfew_predictions}
    new = summary.update_summary(
        tmp_path / "s.csv", STT, evidence, [1, 3], dataset="dfew", **options
    )
    assert set(new["metric"]) == {
        "UAR (%)",
        "WAR (%)",
        *(f"recall {name} (%)" for name in STT.classes["dfew"]),
    }
    assert len(new) == 4 * 2 + 14 * 9
    assert summary.markdown_table(new).count("| stt | dfew |") == 1


def test_only_the_rows_of_the_preset_make_a_whole(monkeypatch):
    some = ("stcam", "baseline")
    quick = dataclasses.replace(PAPER.presets["quick"], variants={"oulu": (some, "time")})
    paper = dataclasses.replace(PAPER, presets={**PAPER.presets, "quick": quick})
    monkeypatch.setattr("dferlib.protocols.stcam.PAPER", paper)
    plan = paper.resolve("quick", "oulu", "stcam")
    folds = {"preset": "quick", "folds": plan.folds}
    assert not verdict.part_of(settings_of(variants=some, **folds), plan)
    assert "rows added: 3dcam" in verdict.part_of(settings_of(**folds), plan)[0]
    listed = verdict.deviations(paper, "quick", "oulu", "stcam").set_index("setting")
    assert listed.loc["rows not run", "why"] == "time"
    assert "stam" in listed.loc["rows not run", "here"]
    assert "rows not run" not in set(verdict.deviations(paper, "quick", "mmi", "stcam")["setting"])


def test_any_row_can_be_judged():
    rows = tables.tidy([make_run("baseline", 0.89)])
    judged = verdict.judge(PAPER, rows, settings_of(folds=(1,)), "real", "last", variant="baseline")
    assert "428 of 480" in judged["criterion"][0]  # 89.16 %


def test_frame_attention_shows_weights_and_their_means():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(4), size=4)
    figure = plots.plot_frame_attention(rng.random((4, 8, 8, 3)), weights, list("abcd"))
    bars, matrix = figure.axes[4], figure.axes[5]
    heights = [bar.get_height() for bar in bars.patches]
    assert heights == pytest.approx(list(weights.mean(0)))
    assert [float(text.get_text()) for text in matrix.texts] == [*weights.round(2).flatten()]
    plt.close(figure)


def test_times_stand_beside_each_other():
    rows = [("a", "training", 4.0), ("a", "testing", 1.0), ("b", "training", 2.0)]
    times = pd.DataFrame([*rows, ("b", "testing", 3.0)], columns=["model", "phase", "ms"])
    ax = plots.plot_times(times.assign(low=times["ms"] - 0.5, high=times["ms"] + 0.5))
    assert [bar.get_width() for bar in ax.patches] == [4.0, 1.0, 2.0, 3.0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["training", "testing"]
    plt.close(ax.figure)


def test_cells_of_a_figure_stand_beside_ours(dfew_predictions):
    cells = [
        (Reported(0, "dfew", f"N = {n}", metric, value, "%"), "stt" if n == 4 else f"stt, {n}")
        for n, values in reported_layers().items()
        for metric, value in values.items()
    ]
    table = tables.cells_beside_ours(STT, cells, {"dfew": dfew_predictions})
    own = table[table["ours"].notna()]
    assert list(own["row"]) == ["N = 4", "N = 4"]
    assert list(own["published"]) == [54.58, 66.65]
    assert own["ours"].tolist() == pytest.approx([30, 30])
    assert table.loc[0, "status"].endswith("-p dataset dfew")  # depth is no row of a table


def test_a_schematic_names_its_shapes():
    shapes = {"input": "a", "heads": "b", "weights": "c", "output": "d"}
    figure = diagrams.plot_attention(shapes, title="t")
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"a", "b", "c", "d", "$+$", "SoftMax"} <= texts


def test_a_fork_names_every_block_once_and_joins_its_paths():
    paths = [[("a", "8 x 4"), ("b", "8")], [("c", "4")]]
    figure = diagrams.plot_fork(("stem", "3 x 9"), paths, [("join", "12"), ("out", "2")])
    (ax,) = figure.axes
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert sorted(texts) == sorted(
        ["stem\n3 x 9", "a\n8 x 4", "b\n8", "c\n4", "join\n12", "out\n2"]
    )
    arrows = [patch for patch in ax.patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(arrows) == 3 + 2 + 1  # into the paths' blocks, out of each path, within the tail
    plt.close(figure)


def test_fractions_are_shown_with_as_many_decimals_as_papers_print():
    paper = load_protocol("ecnn_fsa")
    html = layout.show_wide(tables.published_beside_ours(paper, 2, {}), "synthetic").to_html()
    assert "0.2895" in html
    assert "33.69" in html
