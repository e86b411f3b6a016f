"""Loading, training, resuming, and the runs of a sweep, on a toy store."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import make_store

from dferlib.datasets.batches import ClipLoader, denormalise
from dferlib.datasets.folds import split_fold
from dferlib.files import cache_folder
from dferlib.models import create_model
from dferlib.protocols import load_protocol
from dferlib.training import runner
from dferlib.training.losses import create_loss
from dferlib.training.predict import make_predictions, predict
from dferlib.training.pretrain import Pretraining, pretrained_backbone
from dferlib.training.train import (
    Fit,
    TrainingError,
    _select,
    create_optimizer,
    fit,
    read_checkpoint,
    seed_everything,
)
from dferlib.training.weights import WeightsError, copy_backbone, load_weights, save_weights


@pytest.fixture(scope="module")
def store():
    return make_store()


@pytest.fixture
def protocol():
    smoke = load_protocol("stcam").resolve("smoke", "oulu", "stcam")
    return smoke.override(epochs=3, lr=0.01, milestones=(2,), width=0.1)


def loader_of(store, protocol) -> ClipLoader:
    options = (protocol.sampler, protocol.num_frames, protocol.input_size, protocol.batch_size)
    return ClipLoader(store, *options, torch.device("cpu"))


def train(store, protocol, seed=0, **options) -> tuple[Fit, torch.nn.Module]:
    seed_everything(seed)
    model = create_model("stcam", num_classes=6, **protocol.model_options())
    split = split_fold(store.manifest, 1, 10)
    result = fit(model, loader_of(store, protocol), split, protocol, seed=seed, **options)
    return result, model


def same_state(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_batches_equal_a_loop_over_clips_and_frames(store, protocol):
    loader = loader_of(store, protocol)
    draw = loader.draw(seed=3, epoch=1)
    clips = np.array([5, 0, 17])
    got = denormalise(loader.gather(clips, draw)).mul(255).round()
    for row, clip in enumerate(clips):
        top, left = draw.corner[clip]
        for time, frame in enumerate(draw.frames[clip]):
            image = store.frames[frame][top : top + 32, left : left + 32]
            image = image[:, ::-1] if draw.mirror[clip] else image
            assert np.array_equal(got[row, :, time].permute(1, 2, 0).numpy(), image)


def test_a_draw_depends_on_seed_and_epoch_alone(store, protocol):
    loader = loader_of(store, protocol)
    again = loader.draw(1, 4)
    assert np.array_equal(loader.draw(1, 4).frames, again.frames)
    assert not np.array_equal(loader.draw(1, 5).corner, again.corner)
    assert not np.array_equal(loader.draw(2, 4).mirror, again.mirror)
    assert {tuple(corner) for corner in loader.draw(0, 0).corner} == {
        (0, 0),
        (0, 4),
        (4, 0),
        (4, 4),
        (2, 2),
    }


def test_test_time_is_fixed_and_centred(store, protocol):
    draw = loader_of(store, protocol).draw()
    assert not draw.mirror.any()
    assert (draw.corner == 2).all()


def test_crop_flip_and_peak_do_what_they_say(store, protocol):
    loader = loader_of(store, protocol)
    assert not replace(loader, flip=False).draw(0, 0).mirror.any()
    assert (replace(loader, crop="none").draw(0, 0).corner == 2).all()
    anywhere = replace(loader, crop="random").draw(0, 0).corner
    assert len({tuple(corner) for corner in anywhere}) > 15
    assert (loader.draw().frames[:, -1] - store.manifest["offset"] == 8).all()
    middle = replace(loader, peak="middle").draw().frames
    assert (middle[:, -1] - store.manifest["offset"] == 4).all()
    with pytest.raises(ValueError, match="allowed are five, random, none"):
        replace(loader, crop="ten")


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_optimizer_is_the_protocols(protocol, optimizer):
    model = torch.nn.Linear(2, 2)
    made = create_optimizer(model, protocol.override(optimizer=optimizer))
    assert type(made).__name__.lower() == optimizer
    assert made.param_groups[0]["lr"] == protocol.lr


def test_a_loss_with_features_and_state_trains_and_resumes(store, protocol, tmp_path):
    setting = protocol.override(loss="centre", epochs=2, milestones=())
    whole, model = train(store, setting)
    path = tmp_path / "run.resume"
    train(store, setting.override(epochs=1), checkpoint=path)
    resumed, twin = train(store, setting, checkpoint=path)
    assert same_state(model, twin)
    assert resumed.history[-1]["train_loss"] == whole.history[-1]["train_loss"]


def test_one_epoch_visits_every_training_clip_once(store, protocol):
    loader = loader_of(store, protocol)
    clips = np.arange(10, 47)
    labels = torch.cat([batch.target for batch in loader.training(clips, seed=0, epoch=0)])
    assert sorted(labels.tolist()) == sorted(loader.labels(clips).tolist())


def test_two_passes_in_an_epoch_make_the_steps_of_two_epochs(store, protocol):
    setting = protocol.override(epochs=2, milestones=())
    epochs, model = train(store, setting)
    passes, twin = train(store, setting.override(epochs=1, passes=2))
    assert same_state(model, twin)
    losses = [row["train_loss"] for row in epochs.history]
    assert passes.history[0]["train_loss"] == pytest.approx(np.mean(losses))
    assert 0 <= passes.history[0]["train_war"] <= 1


def test_input_larger_than_the_store_is_refused(store):
    with pytest.raises(ValueError, match="size=64 or more"):
        ClipLoader(store, "neutral_to_peak", 7, 64, 4, torch.device("cpu"))


def test_training_learns_colours(store, protocol):
    result, _ = train(store, protocol.override(epochs=10, milestones=(9,), batch_size=6))
    assert result.history[-1]["test_war"] > 0.5  # chance is a sixth
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.history[-1]["train_war"] > result.history[0]["train_war"]
    assert [row["lr"] for row in result.history] == [0.01] * 9 + [pytest.approx(0.001)]


def test_same_seed_same_bits_and_other_seed_others(store, protocol):
    first, model = train(store, protocol)
    second, twin = train(store, protocol)
    _, stranger = train(store, protocol, seed=1)
    assert same_state(model, twin)
    for rule, values in first.probabilities.items():
        assert np.array_equal(values, second.probabilities[rule])
    assert not same_state(model, stranger)


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_killed_run_ends_with_the_same_bits(store, protocol, tmp_path, stop_after):
    whole, model = train(store, protocol)

    class KilledError(Exception):
        pass

    def kill(row):
        if row["epoch"] == stop_after:
            raise KilledError

    checkpoint = tmp_path / "run.resume"
    with pytest.raises(KilledError):
        train(store, protocol, checkpoint=checkpoint, on_epoch=kill)
    seen = []
    resumed, twin = train(
        store, protocol, checkpoint=checkpoint, on_epoch=lambda row: seen.append(row["epoch"])
    )
    assert seen == list(range(stop_after + 1, 4))
    assert same_state(model, twin)
    assert resumed.chosen == whole.chosen
    for rule, values in whole.probabilities.items():
        assert np.array_equal(values, resumed.probabilities[rule])


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_checkpoint_is_noticed(store, protocol, tmp_path, damage):
    path = tmp_path / "run.resume"
    train(store, protocol.override(epochs=1, milestones=()), checkpoint=path)
    assert read_checkpoint(path)["history"][0]["epoch"] == 1
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-9], "flip": content, "empty": b""}[damage])
    assert read_checkpoint(path) is None


def test_a_diverging_loss_stops_the_run(store, protocol):
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(store, protocol.override(lr=1e30, epochs=2))


def test_selection_rules_by_hand():
    result = Fit()
    epochs = [(0.5, 0.9, 0.2), (0.7, 0.8, 0.4), (0.7, 0.7, 0.3), (0.6, 0.1, 0.4)]
    for number, (val, val_loss, test) in enumerate(epochs, 1):
        row = {"epoch": number, "val_war": val, "val_loss": val_loss}
        result.history.append(row | {"test_war": test, "test_loss": 1.0})
        _select(result, np.full((1, 2), float(number)))
    # epochs 2 and 3 tie on validation and 3 has the lower loss; 2 and 4 tie on test, 2 came first
    assert result.chosen == {"last": 4, "best_val": 3, "best_test": 2}
    assert result.probabilities["best_val"][0, 0] == 3


def test_predictions_table(store, protocol):
    _, model = train(store, protocol.override(epochs=1, milestones=()))
    clips = np.array([3, 10, 40])
    values = predict(model, loader_of(store, protocol), clips)
    assert np.allclose(values.sum(1), 1, atol=1e-5)
    table = make_predictions(store, clips, 2, {"last": values, "best_val": values})
    assert list(table["clip_id"][:3]) == list(store.manifest["clip_id"].iloc[clips])
    assert list(table["y_true"][:3]) == [3, 4, 4]
    assert (table["y_pred"].to_numpy()[:3] == values.argmax(1)).all()
    assert set(table["select"]) == {"last", "best_val"}


def test_a_sweep_reads_finished_runs_and_trains_others(store, protocol, tmp_path):
    paper = load_protocol("stcam")
    tasks = runner.plan_tasks(paper, "smoke", "oulu", ["baseline", "stcam"], [1], [0])
    tasks = [runner.Task(t.protocol.override(width=0.1), t.variant, 1, 0) for t in tasks]
    first = runner.run_tasks(tasks, store, tmp_path, preset="smoke", progress=False)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    again = runner.run_tasks(tasks, store, tmp_path, preset="smoke", progress=False)
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    assert [run.record["run_id"] for run in first] == [run.record["run_id"] for run in again]
    assert first[0].record["sizes"] == {"train": 48, "val": 12, "test": 12}
    other = [runner.Task(t.protocol.override(lr=0.002), t.variant, 1, 0) for t in tasks[:1]]
    runner.run_tasks(other, store, tmp_path, preset="smoke", progress=False)
    assert len(list(tmp_path.glob("runs/*.json"))) == 3


def test_the_trained_model_gives_the_stored_predictions(store, tmp_path):
    paper = load_protocol("stcam")
    (task,) = runner.plan_tasks(paper, "smoke", "oulu", ["stcam"], [1], [0])
    (run,) = runner.run_tasks([task], store, tmp_path, preset="smoke", progress=False)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    for _ in range(2):  # from the cached weights, then trained again because they are gone
        model = runner.trained_model(task, store, tmp_path, preset="smoke")
        clips = runner.split_of(task, store).test
        values = predict(model, runner.make_loader(task, store, "cpu"), clips)
        last = run.predictions[run.predictions["select"] == "last"]
        assert np.allclose(values, last.filter(regex="^p_").to_numpy(), atol=1e-5)
        runner.weights_path("stcam", run.record["run_id"]).with_suffix(".json").unlink()
    assert made == {path: path.stat().st_mtime_ns for path in made}  # the stored run stays


def test_the_fingerprint_follows_behaviour():
    paper = load_protocol("stcam")
    tasks = runner.plan_tasks(paper, "smoke", "oulu", ["baseline", "stcam", "stam+3dcam"], [1], [0])
    marks = [runner.behaviour_fingerprint(task, 6) for task in tasks]
    assert len(set(marks)) == 3
    assert marks[1] == runner.behaviour_fingerprint(tasks[1], 6)


def test_the_fingerprint_sees_attention_behind_a_zero_scale(monkeypatch):
    paper = load_protocol("stcam")
    (task,) = runner.plan_tasks(paper, "smoke", "oulu", ["nl-embedded"], [1], [0])
    before = runner.behaviour_fingerprint(task, 6)
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, dim: torch.softmax(0.05 * x, dim))
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, **_: v.mean(-2, keepdim=True).expand(*q.shape[:-1], v.shape[-1]),
    )
    assert runner.behaviour_fingerprint(task, 6) != before


def test_the_run_id_follows_the_initial_weights(store, monkeypatch):
    paper = load_protocol("stcam")
    (task,) = runner.plan_tasks(paper, "quick", "oulu", ["stcam"], [1], [0])
    before = runner.task_id(task, store, "same")
    monkeypatch.setattr(runner, "init_key", lambda init: "other")
    assert runner.task_id(task, store, "same") != before


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
    with pytest.raises(WeightsError, match="damaged"):
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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_a_gpu_learns_colours(store, protocol):
    options = (protocol.sampler, protocol.num_frames, protocol.input_size, protocol.batch_size)
    loader = ClipLoader(store, *options, torch.device("cuda"))
    model = create_model("stcam", num_classes=6, **protocol.override(width=0.25).model_options())
    setting = protocol.override(epochs=6, milestones=(5,))
    result = fit(model, loader, split_fold(store.manifest, 1, 10), setting, seed=0)
    assert result.history[-1]["test_war"] > 0.5
