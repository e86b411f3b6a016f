"""Loading, training, resuming and choosing an epoch, on a toy store."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dferlib.datasets.batches import ClipLoader, denormalise
from dferlib.datasets.folds import split_fold
from dferlib.device import LAYOUTS
from dferlib.models import create_model
from dferlib.training import train as training
from dferlib.training.checkpoint import read_checkpoint
from dferlib.training.predict import make_predictions, predict
from dferlib.training.state import State
from dferlib.training.train import (
    Tally,
    TrainingError,
    create_optimizer,
    create_scheduler,
    fit,
    seed_everything,
)

ONE_CYCLE = {"schedule": "one_cycle", "optimizer": "adamw", "lr": 0.002, "decayed": "weights"}


def loader_of(store, recipe) -> ClipLoader:
    options = (recipe.sampler, recipe.num_frames, recipe.input_size, recipe.batch_size)
    return ClipLoader(store, *options, torch.device("cpu"))


def train(store, recipe, seed=0, **options) -> tuple[State, torch.nn.Module]:
    seed_everything(seed)
    model = create_model("stcam", num_classes=6, **recipe.model_options())
    split = split_fold(store.manifest, 1, 10, holdout=recipe.holdout)
    result = fit(model, loader_of(store, recipe), split, recipe, seed=seed, **options)
    return result, model


def same_state(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_batches_equal_a_loop_over_clips_and_frames(store, recipe):
    loader = loader_of(store, recipe)
    draw = loader.draw(seed=3, epoch=1)
    clips = np.array([5, 0, 17])
    got = denormalise(loader.gather(clips, draw)).mul(255).round()
    for row, clip in enumerate(clips):
        top, left = draw.corner[clip]
        for time, frame in enumerate(draw.frames[clip]):
            image = store.frames[frame][top : top + 32, left : left + 32]
            image = image[:, ::-1] if draw.mirror[clip] else image
            assert np.array_equal(got[row, :, time].permute(1, 2, 0).numpy(), image)


def test_a_draw_depends_on_seed_and_epoch_alone(store, recipe):
    loader = loader_of(store, recipe)
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


def test_test_time_is_fixed_and_centred(store, recipe):
    draw = loader_of(store, recipe).draw()
    assert not draw.mirror.any()
    assert (draw.corner == 2).all()


def test_crop_flip_and_peak_do_what_they_say(store, recipe):
    loader = loader_of(store, recipe)
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
def test_the_optimizer_is_the_recipes(recipe, optimizer):
    model = torch.nn.Linear(2, 2)
    made = create_optimizer(model, recipe.override(optimizer=optimizer))
    assert type(made).__name__.lower() == optimizer
    assert made.param_groups[0]["lr"] == recipe.lr


def test_a_loss_with_features_and_state_trains_and_resumes(store, recipe, tmp_path):
    setting = recipe.override(loss="centre", epochs=2, milestones=())
    whole, model = train(store, setting)
    path = tmp_path / "run.resume"
    train(store, setting.override(epochs=1), checkpoint=path)
    resumed, twin = train(store, setting, checkpoint=path)
    assert same_state(model, twin)
    assert resumed.history[-1]["train_loss"] == whole.history[-1]["train_loss"]


def test_one_epoch_visits_every_training_clip_once(store, recipe):
    loader = loader_of(store, recipe)
    clips = np.arange(10, 47)
    labels = torch.cat([batch.target for batch in loader.training(clips, seed=0, epoch=0)])
    assert sorted(labels.tolist()) == sorted(loader.labels(clips).tolist())


def test_two_passes_in_an_epoch_make_the_steps_of_two_epochs(store, recipe):
    setting = recipe.override(epochs=2, milestones=())
    epochs, model = train(store, setting)
    passes, twin = train(store, setting.override(epochs=1, passes=2))
    assert same_state(model, twin)
    losses = [row["train_loss"] for row in epochs.history]
    assert passes.history[0]["train_loss"] == pytest.approx(np.mean(losses))
    assert 0 <= passes.history[0]["train_war"] <= 1


def test_input_larger_than_the_store_is_refused(store):
    with pytest.raises(ValueError, match="size=64 or more"):
        ClipLoader(store, "neutral_to_peak", 7, 64, 4, torch.device("cpu"))


def test_training_learns_colours(store, recipe):
    result, _ = train(store, recipe.override(epochs=10, milestones=(9,), batch_size=6))
    assert result.history[-1]["test_war"] > 0.5  # chance is a sixth
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.history[-1]["train_war"] > result.history[0]["train_war"]
    assert [row["lr"] for row in result.history] == [0.01] * 9 + [pytest.approx(0.001)]


def test_same_seed_same_bits_and_other_seed_others(store, recipe):
    first, model = train(store, recipe)
    second, twin = train(store, recipe)
    _, stranger = train(store, recipe, seed=1)
    assert same_state(model, twin)
    for rule, values in first.probabilities.items():
        assert np.array_equal(values, second.probabilities[rule])
    assert not same_state(model, stranger)


@pytest.mark.parametrize(
    ("stop_after", "changes", "layout"),
    [
        (1, {}, "contiguous"),
        (2, {}, "channels_last"),
        (1, {**ONE_CYCLE, "milestones": ()}, "contiguous"),
        (2, {**ONE_CYCLE, "milestones": (), "holdout": False}, "channels_last"),
    ],
)
def test_a_killed_run_ends_with_the_same_bits(store, recipe, tmp_path, stop_after, changes, layout):
    recipe = recipe.override(**changes)
    whole, model = train(store, recipe, layout=layout)

    class KilledError(Exception):
        pass

    def kill(row):
        if row["epoch"] == stop_after:
            raise KilledError

    checkpoint = tmp_path / "run.resume"
    with pytest.raises(KilledError):
        train(store, recipe, checkpoint=checkpoint, on_epoch=kill, layout=layout)
    seen = []
    resumed, twin = train(  # without being told the layout
        store, recipe, checkpoint=checkpoint, on_epoch=lambda row: seen.append(row["epoch"])
    )
    assert seen == list(range(stop_after + 1, 4))
    assert resumed.layout == layout
    assert same_state(model, twin)
    assert resumed.chosen == whole.chosen
    for rule, values in whole.probabilities.items():
        assert np.array_equal(values, resumed.probabilities[rule])


def test_layouts_differ_by_rounding_alone(store, recipe):
    setting = recipe.override(epochs=1, milestones=(), lr=0.001)
    one, other = (train(store, setting, layout=name)[0] for name in LAYOUTS)
    losses = [state.history[0]["train_loss"] for state in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    with pytest.raises(ValueError, match="allowed are contiguous, channels_last"):
        train(store, setting, layout="blocked")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_checkpoint_is_noticed(store, recipe, tmp_path, damage):
    path = tmp_path / "run.resume"
    train(store, recipe.override(epochs=1, milestones=()), checkpoint=path)
    assert read_checkpoint(path)["history"][0]["epoch"] == 1
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-9], "flip": content, "empty": b""}[damage])
    assert read_checkpoint(path) is None


def test_a_diverging_loss_stops_the_run_and_its_epoch_is_not_kept(store, recipe, tmp_path):
    path = tmp_path / "run.resume"
    with pytest.raises(TrainingError, match=r"in epoch [12]; lower the learning rate"):
        train(store, recipe.override(lr=1e30, epochs=2), checkpoint=path)
    kept = read_checkpoint(path)
    assert kept is None or np.isfinite(kept["history"][-1]["train_loss"])


def test_selection_rules_by_hand():
    result = State(None, None, None, None)
    epochs = [(0.5, 0.9, 0.2), (0.7, 0.8, 0.4), (0.7, 0.7, 0.3), (0.6, 0.1, 0.4)]
    for number, (val, val_loss, test) in enumerate(epochs, 1):
        row = {"epoch": number, "val_war": val, "val_loss": val_loss}
        row |= {"test_war": test, "test_loss": 1.0}
        result.finish_epoch(row, np.full((1, 2), float(number)))
    # epochs 2 and 3 tie on validation and 3 has the lower loss; 2 and 4 tie on test, 2 came first
    assert result.chosen == {"last": 4, "best_val": 3, "best_test": 2}
    assert result.probabilities["best_val"][0, 0] == 3


def test_without_a_validation_part_all_of_it_is_trained_on_and_nothing_chosen_by_it(store, recipe):
    kept, whole = (split_fold(store.manifest, 1, 10, holdout=held) for held in (True, False))
    assert sorted(whole.train) == sorted([*kept.train, *kept.val])
    assert len(whole.val) == 0
    result, _ = train(store, recipe.override(holdout=False, epochs=1, milestones=()))
    assert set(result.chosen) == set(result.probabilities) == {"last", "best_test"}
    assert not [name for name in result.history[0] if name.startswith("val_")]
    assert result.probabilities["last"].shape == (len(kept.test), 6)


def test_one_cycle_rises_falls_and_steps_with_every_batch(store, recipe):
    setting = recipe.override(**ONE_CYCLE, epochs=4, passes=2, milestones=(), batch_size=20)
    result, _ = train(store, setting)
    steps = 4 * 2 * 3  # 48 clips in batches of 20
    seen = []
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.AdamW([parameter], lr=setting.lr)
    scheduler = create_scheduler(optimizer, setting, steps)
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert [row["lr"] for row in result.history] == pytest.approx(seen[::6])
    assert seen[0] == pytest.approx(setting.lr / 25)
    assert max(seen) == pytest.approx(setting.lr, rel=0.02)
    assert seen.index(max(seen)) in (6, 7)  # .3 of 24 steps
    assert seen[-1] < setting.lr / 100
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_decay_is_left_off_biases_and_scales(recipe):
    model = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 1), torch.nn.BatchNorm3d(2))
    decayed, free = create_optimizer(model, recipe.override(**ONE_CYCLE)).param_groups
    assert [p.ndim for p in decayed["params"]] == [5]
    assert [p.ndim for p in free["params"]] == [1, 1, 1]
    assert decayed["weight_decay"] == recipe.weight_decay
    assert free["weight_decay"] == 0


def test_a_tally_sums_over_clips_and_looks_now_and_then(monkeypatch):
    monkeypatch.setattr(training, "LOOK_EVERY", 3)
    tally = Tally(torch.device("cpu"), "in epoch 7")
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    tally.add(torch.tensor(2.0), logits, torch.tensor([0, 0]), 0.1)
    tally.add(torch.tensor(5.0), logits[:1], torch.tensor([0]), 0.1)
    assert tally.means() == (3.0, pytest.approx(2 / 3))
    tally = Tally(torch.device("cpu"), "in epoch 7")
    for _ in range(2):  # not looked at yet
        tally.add(torch.tensor(torch.inf), logits, torch.tensor([0, 0]), 0.1)
    with pytest.raises(TrainingError, match=r"in epoch 7; lower the learning rate \(now 0.1\)"):
        tally.add(torch.tensor(1.0), logits, torch.tensor([0, 0]), 0.1)


@pytest.mark.parametrize("kind", ["imagenet", "unit", "vggface"])
def test_normalisations_are_undone(store, recipe, kind):
    loader = replace(loader_of(store, recipe), normalise=kind)
    clip = loader.gather(np.array([4]))
    pixels = store.frames[loader.draw().frames[4]][:, 2:34, 2:34]
    seen = denormalise(clip, kind).mul(255).round()[0].permute(1, 2, 3, 0)
    assert np.array_equal(seen.numpy(), pixels)
    red, blue = pixels[0, 0, 0, 0], pixels[0, 0, 0, 2]
    first = {"imagenet": (red / 255 - 0.485) / 0.229, "unit": red / 255, "vggface": blue - 93.594}
    assert clip[0, 0, 0, 0, 0].item() == pytest.approx(first[kind], abs=1e-3)
    with pytest.raises(ValueError, match="normalise is 'grey', allowed are imagenet, unit"):
        replace(loader, normalise="grey")


def test_predictions_table(store, recipe):
    _, model = train(store, recipe.override(epochs=1, milestones=()))
    clips = np.array([3, 10, 40])
    values = predict(model, loader_of(store, recipe), clips)
    assert np.allclose(values.sum(1), 1, atol=1e-5)
    table = make_predictions(store, clips, 2, {"last": values, "best_val": values})
    assert list(table["clip_id"][:3]) == list(store.manifest["clip_id"].iloc[clips])
    assert list(table["y_true"][:3]) == [3, 4, 4]
    assert (table["y_pred"].to_numpy()[:3] == values.argmax(1)).all()
    assert set(table["select"]) == {"last", "best_val"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_a_gpu_learns_colours(store, recipe):
    options = (recipe.sampler, recipe.num_frames, recipe.input_size, recipe.batch_size)
    loader = ClipLoader(store, *options, torch.device("cuda"))
    model = create_model("stcam", num_classes=6, **recipe.override(width=0.25).model_options())
    setting = recipe.override(epochs=6, milestones=(5,))
    result = fit(model, loader, split_fold(store.manifest, 1, 10), setting, seed=0)
    assert result.history[-1]["test_war"] > 0.5
