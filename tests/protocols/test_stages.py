"""The stage before a paper's own training: what the papers say, and what can be asked for."""

import pytest

from dferlib.protocols import OWN_CLIPS, Extent, list_protocols, load_protocol
from dferlib.protocols.stages import Choice, read_choice

STCAM, ECNN, STT = (load_protocol(slug) for slug in ("stcam", "ecnn_fsa", "stt"))


def test_the_papers_with_a_stage_name_its_data_and_where_they_do():
    stated = {
        (slug, dataset): load_protocol(slug).stage_of(dataset)
        for slug in list_protocols()
        for dataset in load_protocol(slug).datasets
    }
    found = {key: (stage.data, stage.section) for key, stage in stated.items() if stage}
    kinetics, faces = ("Kinetics", "§4.2"), ("parts of SFEW and FER2013, from VGG-Face's weights",)
    assert found == {
        **{("stcam", name): kinetics for name in STCAM.datasets},
        **{("ecnn_fsa", name): (*faces, "§2.1") for name in ECNN.datasets},
        ("stt", "afew"): ("DFEW, first fold", "§4.2, §4.4"),
    }
    assert stated["stt", "afew"].fold == 1


@pytest.mark.parametrize("preset", list(STT.presets))
def test_every_row_of_stts_table_4_gets_the_transfer_that_is_a_row_on_dfew(preset):
    for variant, row in STT.variants.items():
        if 4 not in row.rows:
            continue
        recipe = STT.resolve(preset, "afew", variant)
        assert recipe.transfer == "dfew"
        assert "transfer" not in {d.name for d in recipe.deviations()}
        extent = Extent(465)
        own = STT.resolve(preset, "dfew", variant, extent)
        assert STT.resolve_stage(recipe, extent) == own
    assert STT.resolve(preset, "dfew", "stt").transfer == ""
    assert STT.resolve(preset, OWN_CLIPS, "stt").transfer == ""


def test_what_stands_for_kinetics_is_trained_as_the_paper_trained_on_it():
    recipe = STCAM.resolve("paper", "oulu", "stcam").override(transfer="dfew")
    stage = STCAM.resolve_stage(recipe, Extent(11_697, 10))
    expected = {"epochs": 8, "batch_size": 32, "weight_decay": 0.0005, "lr": 0.001}  # §4.2
    expected |= {"momentum": 0.9, "nesterov": True, "optimizer": "sgd", "milestones": ()}
    expected |= {"dataset": "dfew", "variant": "stcam", "transfer": "", "init": "synthetic"}
    assert {name: getattr(stage, name) for name in expected} == expected
    assert STCAM.resolve_stage(recipe.override(transfer="mmi")).peak == "middle"
    quick = STCAM.resolve("quick", "oulu", "stcam").override(transfer="mmi")
    assert STCAM.resolve_stage(quick).optimizer == "adamw"  # the preset's own recipe converges
    smoke = STCAM.resolve("smoke", "oulu", "stcam").override(transfer="mmi")
    assert STCAM.resolve_stage(smoke).epochs == 1
    with pytest.raises(ValueError, match="'oulu', which is trained and tested on afterwards"):
        STCAM.resolve_stage(recipe.override(transfer="oulu"))


def test_a_stage_is_a_deviation_with_a_reason_and_a_sentence():
    recipe = STCAM.resolve("quick", "oulu", "stcam")
    (left_out,) = (d for d in recipe.deviations() if d.name == "transfer")
    assert left_out[1:3] == ("kinetics", "")
    assert "any dataset or checkpoint" in left_out.reason
    assert (
        STCAM.describe_stage(recipe) == "stage before: Kinetics (§4.2) in the paper, nothing here"
    )
    chosen = recipe.override(transfer="mmi")
    (other,) = (d for d in chosen.deviations() if d.name == "transfer")
    assert other[1:] == ("kinetics", "mmi", "set by the caller")
    assert "the same row on mmi, fold 1, seed 0 here" in STCAM.describe_stage(chosen)
    hacn = load_protocol("hacn")
    own = hacn.resolve("quick", "oulu", "hacn")
    assert hacn.describe_stage(own) == ""
    assert "nothing in the paper" in hacn.describe_stage(own.override(transfer="checkpoint"))


def test_no_stage_and_shared_pretraining_leave_the_key_as_it_was():
    recipe = STCAM.resolve("quick", "oulu", "stcam")
    assert not {"transfer", "pretrain"} & recipe.key().keys()
    assert recipe.override(transfer="mmi").key() == {**recipe.key(), "transfer": "mmi"}
    assert recipe.override(pretrain="own").key() == {**recipe.key(), "pretrain": "own"}
    old = {"init": "synthetic"}  # a record of before these were settings
    assert STCAM.restore(old).transfer == ""


def test_what_is_asked_for_is_read_and_what_is_not_there_named(tmp_path):
    weights = tmp_path / "w.pth"
    weights.touch()
    assert read_choice("paper") is None
    assert read_choice("none") == Choice()
    assert read_choice("dfew") == Choice("dfew")
    assert read_choice("dfew=synthetic") == Choice("dfew", "synthetic")
    assert read_choice(f"folder={tmp_path}") == Choice("folder", "real", tmp_path.resolve())
    assert read_choice(str(weights)).transfer == "checkpoint"
    assert Choice("dfew", "real", tmp_path).transfer == "dfew"  # no folder in an id
    for text in ("x.safetensors", "dfew=nowhere"):
        with pytest.raises(ValueError, match="transfer is"):
            read_choice(text)
