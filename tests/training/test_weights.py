"""Initial weights: what fits where, what is refused, and that nothing is executed."""

import pytest
import torch

from dferlib.evidence.damage import DamagedFileError
from dferlib.files import cache_folder
from dferlib.models import create_model
from dferlib.training.losses import create_loss
from dferlib.training.pretrain import Pretraining, pretrained_backbone
from dferlib.training.train import TrainingError
from dferlib.training.weights import WeightsError, copy_backbone, load_weights, save_weights


def test_weights_travel_between_variants_but_not_the_classifier(tmp_path):
    base = create_model("stcam", num_classes=8, attention="none", width=0.1)
    target = create_model("stcam", num_classes=6, attention="3dcam+stam", width=0.1)
    path = tmp_path / "base.safetensors"
    save_weights(base, path, {"why": "test"})
    head = target.head[-1].weight.clone()
    record = pretrained_backbone(target, str(path))
    assert record["loaded"] > 0
    assert torch.equal(target.stem[0][0].weight, base.stem[0][0].weight)
    assert torch.equal(target.head[-1].weight, head)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedFileError, match="damaged"):
        load_weights(path)


def test_pretraining_that_diverges_leaves_no_weights():
    model = create_model("peak_cnn", num_classes=6, width=0.1)
    settings = Pretraining(still_epochs=2, clip_epochs=0, lr=1e30, fraction=1e-9)
    options = {"store_size": 40, "input_size": 32, "num_frames": 2, "progress": False}
    with pytest.raises(TrainingError, match="pre-training peak_cnn: stills"):
        pretrained_backbone(model, "synthetic", settings=settings, **options)
    assert not list((cache_folder() / "weights").glob("peak_cnn*.json"))


def test_weights_of_another_model_are_refused():
    target = create_model("stcam", num_classes=6, width=0.1)
    stranger = create_model("peak_cnn", num_classes=6)
    with pytest.raises(WeightsError, match="tensors fit stcam"):
        copy_backbone(target, stranger.state_dict())


def test_unknown_init_and_loss_name_the_choices():
    model = create_model("stcam", num_classes=6, width=0.1)
    with pytest.raises(WeightsError, match=r"random, torchvision, synthetic"):
        pretrained_backbone(model, "kinetics")
    with pytest.raises(WeightsError, match="torchvision has no weights for stcam"):
        pretrained_backbone(model, "torchvision")
    with pytest.raises(ValueError, match="cross_entropy"):
        create_loss("hinge")


def test_a_pickle_is_not_executed(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    model = create_model("stcam", num_classes=6, width=0.1)
    with pytest.raises(Exception, match=r"(?i)weights"):
        pretrained_backbone(model, str(path))
    assert not (tmp_path / "exploded").exists()
