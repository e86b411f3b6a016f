"""The sections of a notebook: what they show of finished runs, and what they refuse to hide."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dferlib.evidence import verdict
from dferlib.notebook import comparisons, opening, pictures, results, resuming
from dferlib.notebook.parameters import Settings
from dferlib.notebook.study import Study
from dferlib.protocols import load_protocol

PAPER = load_protocol("stcam")
CLASSES = PAPER.classes["oulu"]


def predictions(right: dict[str, int], labels=range(6), dataset="oulu", folds=(1, 2)):
    """Rows of variants on 24 clips a fold, of which the first so many are right."""
    parts = []
    for variant, count in right.items():
        for fold in folds:
            y_true = np.resize(list(labels), 24)
            y_pred = np.where(np.arange(24) < count, y_true, (y_true + 1) % 6)
            table = pd.DataFrame({"y_true": y_true, "y_pred": y_pred, "fold": fold, "seed": 0})
            table["clip_id"] = [f"{fold}-{i}" for i in range(24)]
            table["subject"] = [f"{fold}-{i // 6}" for i in range(24)]
            table[[f"p_{k}" for k in range(6)]] = np.eye(6)[y_pred]
            parts.append(table.assign(select="last", variant=variant, dataset=dataset))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def shown(monkeypatch) -> list:
    """All that is displayed, as text."""
    found = []
    for module in (opening, comparisons, results, pictures):
        monkeypatch.setattr(module, "display", lambda *items: found.extend(items))
    return found


def text_of(shown: list) -> str:
    return "\n".join(
        item.to_html() if hasattr(item, "to_html") else str(getattr(item, "data", item))
        for item in shown
    )


def make_study(tmp_path, rows: pd.DataFrame, **changes) -> Study:
    """A study as it is after training, without a store of frames."""
    recipe = PAPER.resolve("quick", "oulu", "stcam")
    asked = {"variants": PAPER.variants_of("quick", "oulu"), "folds": recipe.folds, "seeds": (0,)}
    fixed = {"slug": "stcam", "dataset": "oulu", "source": "synthetic", "preset": "quick"}
    fixed |= {"data_root": None, "device": "cpu", "results_dir": str(tmp_path)}
    study = object.__new__(Study)
    study.settings = Settings(**fixed | asked | changes)
    study.paper, study.recipe, study.classes, study.rule = PAPER, recipe, CLASSES, "last"
    study.store = SimpleNamespace(source="synthetic")
    study.folder = study.settings.folder("synthetic")
    study.part = verdict.part_of(study.settings, recipe)
    study.variant, study.simple, study.explained, study.notes = "stcam", None, False, {}
    study.predictions, study.evidence = rows, {"oulu": rows}
    return study


BOTH = {"baseline": 12, "stcam": 20}


def test_what_only_trainings_leave_behind_says_so():
    study = object.__new__(Study)
    with pytest.raises(AttributeError, match=r"no evidence before study\.train"):
        _ = study.evidence
    with pytest.raises(AttributeError, match="variant"):
        _ = study.model  # no word of another attribute than the one that is missing


def test_commands_make_a_number_that_may_stand_beside_this_run(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH), init="random")
    study.table(2)
    command = "-p dataset ckplus -p preset quick -p source synthetic -p init random"
    assert command in text_of(shown)
    assert study.command("mmi").endswith("-p source synthetic -p init random")


def test_classes_that_no_clip_tests_are_named_at_the_number(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH, labels=range(5)))
    study.table(3)
    assert "no test clip is surprise" in text_of(shown)
    assert "over the 5 classes tested" in text_of(shown)


def test_what_holds_for_all_tables_is_said_once_and_notes_at_their_table(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH))
    study.notes = {"mmi": "left out: half (1)"}
    study.table(2, 3, 4)
    assert text_of(shown).count("*Ours* below is always `last`") == 1
    assert text_of(shown).count("mmi: left out: half (1).") == 1  # Table 4 is about MMI


def test_a_part_of_a_preset_says_so_wherever_it_writes(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH), folds=(1,))
    study.save([3])
    assert "The summary stays as it is: only a part was run (folds 1 instead of" in text_of(shown)
    assert "folds 1 instead of" in repr(study.banner())
    study.show(plt.figure(), alt="nothing", name="one")
    assert (study.folder / "figures-partial" / "one.png").is_file()


def test_several_seeds_are_the_whole_preset_and_more(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH), seeds=(0, 1, 2))
    study.show(plt.figure(), alt="nothing", name="one")
    assert (study.folder / "figures" / "one.png").is_file()
    study.save([3])
    assert (tmp_path / "summary.csv").is_file()


@pytest.mark.parametrize(("own", "word"), [(20, "As claimed"), (12, "Against the claim")])
def test_a_claim_of_the_paper_stands_beside_what_was_found(own, word, tmp_path, shown):
    rows = predictions({"baseline": 12, "stcam": own}, folds=(1, 2, 3, 4))
    study = make_study(tmp_path, rows)
    study.claim("both help", "stcam", "baseline")
    assert f"**Claim:** both help\n\n**Here** (synthetic): {word}" in text_of(shown)
    study.claim("both help", "nl-gaussian", "baseline")
    assert "-p variants nl-gaussian" in text_of(shown)


def test_the_confusion_of_another_dataset_is_shown_or_how_to_run_it(tmp_path, shown, monkeypatch):
    titles = []

    def keep(figure, *_, **__):
        titles.append(figure.axes[0].get_title())
        plt.close(figure)

    monkeypatch.setattr(opening, "display_figure", keep)
    study = make_study(tmp_path, predictions(BOTH))
    study.evidence["mmi"] = predictions(BOTH, dataset="mmi")
    study.confusion()
    row = "ours: Baseline + 3D-CAM + STAM"
    assert titles == [f"{row} on {where}, synthetic" for where in ("Oulu-CASIA", "MMI")]
    assert "-p dataset ckplus" in text_of(shown)
    assert "-p dataset mmi" not in text_of(shown)
    assert "Commonest confusion" in text_of(shown)


def test_every_fold_is_shown_with_what_its_deviation_is(tmp_path, shown):
    make_study(tmp_path, predictions(BOTH)).folds()
    assert "Baseline + 3D-CAM + STAM" in text_of(shown)
    assert "s.d. over folds" in text_of(shown)
    assert "the population's" in text_of(shown)


@pytest.fixture
def kept(monkeypatch) -> dict:
    """Names of the figures that are shown, with what is said of them; nothing is drawn to disk."""
    found = {}

    def keep(figure, *texts, name, **_):
        found[name] = texts
        plt.close(figure)

    monkeypatch.setattr(opening, "display_figure", keep)
    return found


def test_tests_name_persons_first_and_what_the_clips_could_have_shown(tmp_path, shown, kept):
    study = make_study(tmp_path, predictions({"baseline": 12, "stcam": 20, "3dcam": 12}))
    study.tests("baseline")
    table, said, *ranks = shown
    row = table.data.set_index("row").loc["Baseline + 3D-CAM + STAM"]
    assert row["units"] == "8 subjects"
    assert row["p sign-flip"] == pytest.approx(2 * 2 * 0.5**4)  # 4 persons differ; Holm: 2
    assert row["p McNemar (clips)"] < 0.001
    assert np.isnan(row["p folds"])  # both folds differ alike
    assert list(kept) == ["differences", "ranks_printed"]
    assert "Every row against Baseline," in kept["differences"][1]
    assert "models on 3 datasets" in ranks[0].data
    assert "No ranking of the rows as run: there are 3 models on 1 datasets" in ranks[1].data
    assert row["published"] == pytest.approx(91.25 - 89.16)  # Table 3
    assert row["clips for it"] > 480
    assert "with 8 subjects its p, before Holm, cannot be below 0.12" in said.data
    assert "Of 2 published differences these clips suffice for 0" in said.data


def test_tests_fit_a_column_of_a_thousand_pixels(tmp_path, shown, kept):
    study = make_study(tmp_path, predictions({"baseline": 12, "stcam": 20, "nl-gaussian": 3}))
    study.tests("baseline", study.predictions)
    assert not kept  # figures belong to the run's own rows
    html = shown[0].to_html()
    assert html.count('scope="row"') == 2
    assert html.count('scope="col"') == len(shown[0].data.columns)
    assert "<caption>Each row minus Baseline" in html
    longest = 0
    for column in range(len(shown[0].data.columns)):
        cells = re.findall(rf'_col{column}"[^>]*>(.*?)</t[dh]>', html, re.DOTALL)
        words = [word for cell in cells for word in cell.split(" ")]  # not at a no-break space
        longest += 12 + 6.5 * max(map(len, words))  # padding, and px of a letter of 12 px
    assert 600 < longest < 1000


def test_each_printed_row_gets_a_verdict_once(tmp_path, shown, kept):
    study = make_study(tmp_path, predictions({"baseline": 12, "stcam": 20, "nl-gaussian": 12}))
    study.verdict("baseline")
    judged = shown[1].data
    assert list(judged["table"]) == [3, 3, 8]  # the same values stand in Table 6, and 8 again
    assert list(judged["verdict"]) == ["real data only", "cannot tell", "cannot tell"]
    assert "prints as its own on oulu beside its model: 6." in text_of(shown)
    assert list(kept) == ["claims"]


def test_scores_name_the_classes_that_uar_counts_as_0(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH, labels=range(5)))
    study.scores()
    assert "No test clip is surprise, whose recall counts as 0 in UAR" in text_of(shown)
    assert list(shown[0].data["row"]) == ["Baseline", "Baseline + 3D-CAM + STAM"]


def test_the_audit_counts_what_it_lists(tmp_path, shown):
    study = make_study(tmp_path, predictions(BOTH))
    study.audit()
    said, table = shown[0].data, shown[1].data
    contradictions = (table["verdict"] == "contradiction").sum()
    assert f"{contradictions} find what cannot be as it is printed" in said
    assert f"{len(table) - contradictions} find two printed things that differ" in said
    stam = table[(table["dataset"] == "ckplus") & (table["row"] == "Baseline + STAM")]
    assert list(stam["found"]) == ["+0.00"]  # §4 says better than the baseline; Table 2: equal


def test_schematics_are_captioned_and_described(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        opening, "display_figure", lambda figure, *texts, **files: kept.append((*texts, files))
    )
    make_study(tmp_path, predictions(BOTH)).schematics("stcam_3", "stcam_5")
    alt, caption, _ = kept[0]
    assert caption.startswith("Figure 3: 3D-CAM")
    assert "3D average pooling after F;" in alt
    assert "product after M^C and F;" in alt  # round two bends
    assert [files["name"] for *_, files in kept] == ["figure3", "figure5"]
    plt.close("all")


def test_every_table_has_a_caption_and_headers_that_say_what_they_head(tmp_path, shown, kept):
    study = make_study(tmp_path, predictions(BOTH))
    study.folds()
    study.gaps()
    study.above_chance()
    study.differs()
    study.verdict("baseline")
    tables = [item.to_html() for item in shown if hasattr(item, "to_html")]
    assert len(tables) >= 6
    for html in tables:
        assert len(re.search("<caption>(.*?)</caption>", html)[1].split()) > 1
        assert html.count("<th ") == len(re.findall('<th scope="(?:row|col)"', html))
        assert "<th>" not in html


def test_a_smoke_run_leaves_out_the_sentences_that_read_its_numbers(tmp_path, shown, kept):
    for preset in ("smoke", "quick"):
        shown.clear()
        study = make_study(tmp_path, predictions(BOTH), preset=preset)
        study.table(3, read=True)
        study.claim("both help", "stcam", "baseline")
        study.roc()
        study.folds()
        said = ("Highest WAR", "**Claim:**", "Easiest to tell", "the population's")
        found = {text in text_of(shown) for text in said}
        assert found == {preset == "quick"}
        assert "Baseline + 3D-CAM + STAM" in text_of(shown)  # tables stay


def test_where_a_run_starts_it_is_said_how_it_goes_on(monkeypatch):
    said = []
    monkeypatch.setattr(resuming, "display", said.append)
    resuming.say_resumes([SimpleNamespace(state="finished")])
    assert not said
    resuming.say_resumes([SimpleNamespace(state=name) for name in ("finished", "to do")])
    assert "run the same command again" in said[0].data


def test_no_part_of_a_study_hides_a_name_of_another():
    found = {}
    for part in Study.__mro__[:-1]:
        for name in vars(part):
            if not name.startswith("__"):
                found.setdefault(name, []).append(part.__name__)
    assert not {name: parts for name, parts in found.items() if len(parts) > 1}
