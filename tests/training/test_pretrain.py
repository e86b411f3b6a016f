"""Synthetic pre-training: shared by rows or a row's own, and read only for the same network."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dferlib.evidence.damage import DamagedFileError
from dferlib.files import digest
from dferlib.models import create_model
from dferlib.protocols import load_protocol
from dferlib.training import pretrain, tasks
from dferlib.training.fingerprint import age_of_models
from dferlib.training.pretrain import Pretraining, pretrained_backbone, synthetic_weights
from dferlib.training.tasks import plan_tasks
from dferlib.training.weights import load_weights, save_weights, weights_record

ROW = {"attention": "3dcam+stam", "width": 0.0625, "reduction": 4}
TOY = Pretraining(still_epochs=1, clip_epochs=1, fraction=1e-9)
SIZES = {"store_size": 40, "input_size": 32, "num_frames": 7}


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Networks that were pre-trained, without training them: (name, options) in order."""
    found = []

    def keep(name, options, *_):
        found.append((name, options["attention"]))
        return create_model(name, num_classes=8, **options), {"seconds": 0.0}

    monkeypatch.setenv("DFER_CACHE", str(tmp_path))
    monkeypatch.setattr(pretrain, "open_store", lambda *_, **__: None)
    monkeypatch.setattr(pretrain, "ClipLoader", lambda *_: None)
    monkeypatch.setattr(pretrain, "_pretrain", keep)
    return found


def weights_of(own=False):
    options = create_model("stcam", num_classes=6, **ROW).spec["options"]
    return synthetic_weights("stcam", options, **SIZES, settings=TOY, own=own)


def test_rows_share_one_pretraining_unless_each_is_asked_to_have_its_own(trained):
    path = weights_of()
    assert weights_of(own=True) != path
    assert trained == [("stcam", "none"), ("stcam", "3dcam+stam")]
    what = {k: v for k, v in weights_record(path).items() if k in ("name", "options", "settings")}
    assert path.stem == f"stcam-{digest({**what, **SIZES})}"  # the key of before the fingerprint
    shared, whole = (create_model("stcam", num_classes=6, **ROW) for _ in range(2))
    asked = {**SIZES, "settings": TOY}
    loaded = pretrained_backbone(shared, "synthetic", **asked)["loaded"]
    assert pretrained_backbone(whole, "synthetic", own=True, **asked)["loaded"] > loaded
    body = [name for name in whole.state_dict() if not name.startswith("head")]
    assert pretrained_backbone(whole, "synthetic", own=True, **asked)["loaded"] == len(body)


def test_weights_of_a_network_that_behaves_otherwise_are_made_anew_and_say_why(
    trained, monkeypatch
):
    path = weights_of()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert weights_of() == path
    assert len(trained) == 1
    model = type(create_model("stcam", num_classes=6, **ROW))
    features = model.forward_features
    monkeypatch.setattr(model, "forward_features", lambda self, clip: 3 * features(self, clip))
    monkeypatch.setattr(pretrain, "age_of_models", lambda: age_of_models() + 1)
    with pytest.warns(UserWarning, match="made anew: the network behaves in another way"):
        assert weights_of() == path  # under the same name
    assert len(trained) == 2
    assert "behaves in another way" in weights_record(path)["replaced"]
    save_weights(create_model("stcam", num_classes=8, **ROW), path, {"name": "stcam"})
    assert weights_of() == path  # the first weights have no fingerprint: nothing contradicts them
    assert len(trained) == 2
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(DamagedFileError, match="key 'sha256'"):
        weights_of()


def test_a_row_is_pretrained_with_its_attention_at_toy_size(store, tmp_path, monkeypatch):
    (task,) = plan_tasks(load_protocol("stcam"), "smoke", ["stcam"], [1], [0], store, tmp_path)
    task = task.with_settings("own", pretrain="own", init="synthetic", width=0.0625, reduction=4)
    assert task.recipe.key()["pretrain"] == "own"
    frames = np.where(np.arange(72) < 36, 1, 9)  # half are stills
    clips = store.manifest.assign(n_frames=frames, apex=frames - 1)
    faces = replace(store, manifest=clips, truth={"aus": np.ones((len(store.frames), 3, 2))})
    monkeypatch.setattr(pretrain, "open_store", lambda *_, **__: faces)
    monkeypatch.setattr(tasks, "pretrained_backbone", partial(pretrained_backbone, settings=TOY))
    monkeypatch.setenv("DFER_CACHE", str(tmp_path))
    fresh = task.build().state_dict()
    record = task.run().record["init"]
    assert record["options"]["attention"] == "3dcam+stam"
    (path,) = (tmp_path / "weights").glob("stcam-*.safetensors")
    learned = load_weights(path)
    gates = [name for name in learned if "attention" in name]
    assert gates
    assert any((learned[name] != fresh[name]).any() for name in gates)
