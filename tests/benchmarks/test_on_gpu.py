"""What holds on a GPU: every network, checkpoints, determinism, batches, no step that waits.

Without a GPU a few of them are tried on the processor, with `DFER_DRY=1` all (see conftest.py).
"""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toy import make_store

from dferlib.datasets import residence
from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.folds import split_fold
from dferlib.models import create_model, list_models, list_options
from dferlib.protocols import load_protocol
from dferlib.training.train import fit, seed_everything, start, train_epoch

pytestmark = pytest.mark.gpu

SMALL = {"width": 0.125, "num_clips": 2, "input_size": 64, "num_frames": 16}
FRAMES = 16


@pytest.fixture(scope="module")
def store():
    return make_store(subjects=6)


@pytest.fixture
def recipe():
    resolved = load_protocol("stcam").resolve("smoke", "oulu", "stcam")
    return resolved.override(
        input_size=32, store_size=36, num_frames=4, width=0.125, epochs=2, batch_size=6
    )


def loader_on(device, store, recipe):
    options = (recipe.sampler, recipe.num_frames, recipe.input_size, recipe.batch_size)
    return ClipLoader(store, *options, device)


def build(recipe):
    seed_everything(0)
    return create_model("stcam", num_classes=6, **recipe.model_options())


def train(device, store, recipe, **options):
    model = build(recipe)
    split = split_fold(store.manifest, 1, 3)
    state = fit(model, loader_on(device, store, recipe), split, recipe, seed=0, **options)
    return state, {name: value.cpu().clone() for name, value in model.state_dict().items()}


def gradients(model, clip):
    model.zero_grad(set_to_none=True)
    logits = model(clip)
    F.cross_entropy(logits, torch.arange(len(clip), device=clip.device) % 6).backward()
    found = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    return logits.detach().cpu(), torch.stack(found).cpu()


@pytest.mark.parametrize("name", list_models())
def test_a_network_computes_what_it_does_on_the_processor(name, gpu):
    seed_everything(0)
    options = {key: SMALL[key] for key in list_options(name) if key in SMALL}
    model = create_model(name, 6, **options).eval()  # no dropout, which draws other numbers there
    clip = torch.randn(2, 3, FRAMES, 64, 64)
    model.requires_grad_(True)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=True):
        for module in model.modules():  # whose backward pass cuDNN has in training mode only
            if isinstance(module, torch.nn.RNNBase):
                module.train()
        here = gradients(model, clip)
        there = gradients(model.to(gpu), clip.to(gpu))
    torch.testing.assert_close(there[0], here[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(there[1], here[1], rtol=2e-2, atol=1e-3)


def test_a_training_is_the_same_again_and_goes_on_from_its_checkpoint(gpu, store, recipe, tmp_path):
    whole, weights = train(gpu, store, recipe)
    again, same = train(gpu, store, recipe)
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert [r["train_loss"] for r in whole.history] == [r["train_loss"] for r in again.history]

    def stop(row):
        raise KeyboardInterrupt

    path = tmp_path / "run.resume"
    with pytest.raises(KeyboardInterrupt):
        train(gpu, store, recipe, checkpoint=path, on_epoch=stop)
    resumed, ended = train(gpu, store, recipe, checkpoint=path)
    assert len(resumed.history) == recipe.epochs
    assert all(torch.equal(weights[name], ended[name]) for name in weights)


@pytest.mark.parametrize("resident", [True, False])
def test_batches_are_those_of_the_processor(gpu, store, recipe, resident, monkeypatch):
    free = 2**40 if resident and gpu.type == "cuda" else 0
    monkeypatch.setattr(residence, "free_memory", lambda device: free)
    residence._kept.clear()
    clips = np.arange(20)
    here = loader_on(torch.device("cpu"), store, recipe)
    there = replace(here, device=gpu)
    for one, other in zip(here.training(clips, 1, 2), there.training(clips, 1, 2), strict=True):
        assert torch.equal(other.target.cpu(), one.target)
        torch.testing.assert_close(other.clip.cpu(), one.clip, rtol=1e-6, atol=1e-6)


@contextmanager
def waiting_refused(device):
    """Inside, anything that makes the host wait for the device raises RuntimeError."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_no_step_waits_for_the_device(gpu, store, recipe, precision, monkeypatch):
    recipe = recipe.override(precision=precision)
    loader = loader_on(gpu, store, recipe)
    clips = np.arange(24)
    state = start(build(recipe), loader, len(clips), recipe)
    train_epoch(state, loader, clips, recipe, 0)  # copies the store, sets kernels up
    # the mean of the epoch is the one look that is allowed
    monkeypatch.setattr("dferlib.training.train.Tally.means", lambda tally: (0.0, 0.0))
    with waiting_refused(gpu):
        train_epoch(state, loader, clips, recipe, 1)


def test_channels_last_and_bf16_stay_near_float32(gpu, store, recipe):
    history = {}
    for precision, layout in (("float32", "contiguous"), ("bf16", "channels_last")):
        setting = recipe.override(precision=precision)
        state, _ = train(gpu, store, setting, layout=layout)
        history[layout] = state.history[-1]["train_loss"]
    assert history["channels_last"] == pytest.approx(history["contiguous"], rel=0.1)
