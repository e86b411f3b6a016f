"""Initial weights: ``pretrained_backbone(model, init)``, with init a name or a path.

The papers start from Kinetics, ImageNet or face-recognition weights that cannot be shipped here.
``synthetic`` stands in for them: the model's own architecture, without its attention modules, is
trained once on procedural faces of people who occur in no stand-in, to name the expression and to
regress the Action Units of the peak frame. Its convolution weights are cached by architecture,
input size and face version and copied into every variant; classifiers always start afresh. Beside
them lies how the network behaved (`dferlib.training.fingerprint`): weights of one that behaves in
another way today are not read but made anew, under the same name.
"""

from __future__ import annotations

import importlib
import time
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import nn
from tqdm.auto import tqdm

from dferlib.datasets import open_store
from dferlib.datasets.batches import ClipLoader
from dferlib.datasets.standins.plans import plan_standin
from dferlib.datasets.store import FrameStore
from dferlib.device import (
    autocast,
    choose_precision,
    freed_memory_kept,
    lay_out_clip,
    lay_out_model,
)
from dferlib.files import cache_folder, digest
from dferlib.models import create_model, list_options
from dferlib.training.fingerprint import age_of_models, known_network_fingerprint
from dferlib.training.pace import Work, choose_layout
from dferlib.training.train import Tally
from dferlib.training.weights import (
    INITS,
    RUN,
    copy_backbone,
    file_digest,
    load_weights,
    rename_weights,
    run_weights,
    save_weights,
    torchvision_weights,
    user_weights,
    weights_record,
)


@dataclass(frozen=True)
class Pretraining:
    """How the stand-in for pre-training is trained; part of the cache key.

    Stills come first: a clip model sees them as clips of one frame, which costs a fraction of a
    clip and lets it learn faces before it has to find the moment that matters. Short clips follow.
    """

    still_epochs: int = 12
    clip_epochs: int = 4
    batch_size: int = 32
    lr: float = 3e-3  # peak of a one-cycle schedule with AdamW, for stills
    clip_lr: float = 1e-3  # the same for clips
    weight_decay: float = 1e-2
    au_weight: float = 1.0  # of the squared error of the AU intensities, beside cross entropy
    holdout: float = 0.1  # share of the subjects kept out to report an accuracy
    fraction: float = 1.0  # of the pre-training set
    precision: str = "auto"
    seed: int = 0


def pretrained_backbone(
    model: nn.Module,
    init: str,
    *,
    store_size: int = 72,
    input_size: int = 64,
    num_frames: int = 7,
    device: str | torch.device = "cpu",
    settings: Pretraining | None = None,
    own: bool = False,
    progress: bool = True,
) -> dict:
    """Fill the model's backbone from ``init`` and return where the weights come from.

    ``init`` is ``random`` (left as built), ``torchvision`` (weights that torchvision offers for
    this backbone), ``synthetic`` (see the module), ``run:<paper>/<run id>`` (what an earlier run
    ended with, from the cache), or the path of a .safetensors file or of a state dict saved by
    torch, which is read with weights-only; it may hold the bare backbone. The record holds
    ``init``, ``loaded`` (parameter tensors copied) and, for ``synthetic``, the accuracy on held-out
    subjects and the seconds the training took. The classifier is never copied. With `own` the
    synthetic pre-training is that of the whole network, attention included, and not of what all
    rows share.
    """
    if init == "random":
        return {"init": init, "loaded": 0}
    if init == "torchvision":
        state, record = torchvision_weights(model), {}
    elif init == "synthetic":
        path = synthetic_weights(
            model.spec["name"],
            model.spec["options"],
            store_size=store_size,
            input_size=input_size,
            num_frames=num_frames,
            device=device,
            settings=settings or Pretraining(),
            own=own,
            progress=progress,
        )
        state, record = load_weights(path), weights_record(path)
        state = state if own else rename_weights(model, state)
    elif init.startswith(RUN):
        state, record = load_weights(run_weights(init)), {}
    else:
        state, record = user_weights(model, Path(init).expanduser()), {}
        init = init_key(init)  # the content counts, not where it lies
    loaded = copy_backbone(model, state)
    return {**record, "init": init, "loaded": loaded}


def init_key(init: str, settings: Pretraining | None = None) -> str:
    """What decides the initial weights besides the model itself; part of every run's id."""
    if init == "synthetic":
        settings = settings or Pretraining()
        faces = _faces(settings.fraction)
        return f"synthetic:{digest({'settings': vars(settings), 'faces': faces})}"
    if init in INITS or init.startswith(RUN):
        return init  # the id of a run tells its weights
    path = Path(init).expanduser()
    return f"path:{file_digest(path)[:12]}" if path.is_file() else f"path:{init}"


@cache
def _faces(fraction: float) -> dict:
    """What identifies the faces of pre-training; planned once a process, which takes seconds."""
    return plan_standin("pretraining", fraction).fingerprint()


def pretrained_as(name: str, options: dict) -> tuple[str, dict]:
    """Return the model, by name and options, whose pre-training gives this one its weights.

    It is the model itself with its `PRETRAIN_OPTIONS`, or where it names another one in
    `PRETRAIN_AS`, that one with the options that both have.
    """
    module = importlib.import_module(f"dferlib.models.{name}")
    other = getattr(module, "PRETRAIN_AS", None)
    if other is not None:
        theirs = list_options(other)
        return pretrained_as(other, theirs | {k: v for k, v in options.items() if k in theirs})
    return name, {**options, **getattr(module, "PRETRAIN_OPTIONS", {})}


def synthetic_weights(
    name: str,
    options: dict,
    *,
    store_size: int,
    input_size: int,
    num_frames: int,
    device: str | torch.device = "cpu",
    settings: Pretraining,
    own: bool = False,
    progress: bool = True,
) -> Path:
    """Path of the cached synthetic weights of this architecture, trained now if need be.

    Those of a network that has changed since are replaced, with a warning that says so.
    """
    if not own:
        name, options = pretrained_as(name, options)
    settings = replace(settings, precision=choose_precision(settings.precision, device))
    what = {"name": name, "options": options, "store_size": store_size, "input_size": input_size}
    what |= {"num_frames": num_frames, "settings": init_key("synthetic", settings)}
    path = cache_folder() / "weights" / f"{name}-{digest(what)}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        classes = len(plan_standin("pretraining", settings.fraction).classes)
        network = (name, tuple(options.items()), classes, num_frames)
        behaviour = known_network_fingerprint(*network, age_of_models())
        changed = _changed(path, behaviour)
        if changed:
            warnings.warn(f"{path} is made anew: {changed}", stacklevel=2)
        if changed or not path.with_suffix(".json").is_file():
            store = open_store(
                "pretraining",
                source="synthetic",
                size=store_size,
                fraction=settings.fraction,
                progress=progress,
                verify=True,
            )
            loader = ClipLoader(
                store,
                "neutral_to_peak",
                num_frames,
                input_size,
                settings.batch_size,
                torch.device(device),
            )
            model, record = _pretrain(name, options, loader, settings, progress)
            record |= {"fingerprint": behaviour} | ({"replaced": changed} if changed else {})
            save_weights(model, path, {**what, **record})
    return path


def _changed(path: Path, behaviour: str) -> str:
    """Why weights that lie there are not those of the network of today; "" where they are.

    The first weights have no fingerprint beside them: they are taken, as nothing contradicts them.
    """
    if not path.with_suffix(".json").is_file():
        return ""
    kept = weights_record(path).get("fingerprint", behaviour)
    if kept == behaviour:
        return ""
    return f"the network behaves in another way than when it was pre-trained ({kept}, {behaviour})"


def _pretrain(name, options, loader: ClipLoader, settings: Pretraining, progress: bool):
    """Train on stills, then on clips; returns the model and its record."""
    started = time.perf_counter()
    torch.manual_seed(settings.seed)
    model = create_model(name, num_classes=len(loader.store.classes), **options)
    model = model.to(loader.device)
    au_head = nn.Linear(model.num_features, loader.store.truth["aus"].shape[1]).to(loader.device)
    record = {}
    for phase, clip_loader, epochs, lr in _phases(model, loader, settings):
        train, held = _split(loader.store, phase, settings)
        plan = (clip_loader, train, epochs, lr)
        _train_phase(model, au_head, *plan, settings, f"{name}: {phase}", progress)
        accuracy = _accuracy(model, clip_loader, held, settings)
        record[phase] = {"train": len(train), "holdout": len(held)}
        record[phase]["holdout_accuracy"] = round(accuracy, 4)
    record["seconds"] = round(time.perf_counter() - started, 1)
    return model, record


def _phases(model: nn.Module, loader: ClipLoader, settings: Pretraining):
    """Stills as the shortest clips the model takes, then clips unless it reads single frames."""
    frames = 1 if _takes_single_frames(model, loader) else loader.num_frames
    stills = replace(loader, num_frames=frames)
    phases = [("stills", stills, settings.still_epochs, settings.lr)]
    if loader.num_frames > 1:
        phases.append(("clips", loader, settings.clip_epochs, settings.clip_lr))
    return phases


@torch.no_grad()
def _takes_single_frames(model: nn.Module, loader: ClipLoader) -> bool:
    clip = replace(loader, num_frames=1).gather(np.arange(2))
    modes = model.training
    try:
        model.eval().forward_features(clip)
    except (RuntimeError, ValueError):  # a network of fixed length, or one that halves time
        return False
    finally:
        model.train(modes)
    return True


@freed_memory_kept()
def _train_phase(
    model, au_head, loader, train, epochs, lr, settings: Pretraining, title: str, progress: bool
) -> None:
    """Name the expression and regress the AUs of the peak frame of these clips.

    Raises TrainingError when the loss stops being finite.
    """
    layout = _layout(model, loader, epochs * len(train), settings)
    lay_out_model(model, layout)
    aus = torch.as_tensor(peak_aus(loader.store), device=loader.device)
    parameters = [*model.parameters(), *au_head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=settings.weight_decay)
    steps = epochs * -(-len(train) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    bar = tqdm(total=steps, desc=f"pre-training {title}", disable=not progress, mininterval=2)
    model.train()
    for epoch in range(epochs):
        tally = Tally(loader.device, f"in epoch {epoch + 1} of pre-training {title}")
        order = np.random.default_rng([settings.seed, epoch]).permutation(train)
        draw = loader.draw(settings.seed, epoch)
        for start in range(0, len(order), settings.batch_size):
            clips = order[start : start + settings.batch_size]
            target = torch.as_tensor(loader.labels(clips), device=loader.device)
            with autocast(loader.device, settings.precision):
                features = model.forward_features(lay_out_clip(loader.gather(clips, draw), layout))
                logits = model.head(features)
                loss = F.cross_entropy(logits, target)
                loss = loss + settings.au_weight * F.mse_loss(au_head(features), aus[clips])
            tally.add(loss, logits, target, lr)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
        tally.means()  # raises where the epoch diverged
    bar.close()


def _layout(model: nn.Module, loader: ClipLoader, clips: int, settings: Pretraining) -> str:
    """How clips lie in memory; in evaluation they are laid out as the model is."""
    name, options = model.spec["name"], model.spec["options"]
    work = Work(
        name,
        options,
        len(loader.store.classes),
        loader.num_frames,
        loader.input_size,
        loader.batch_size,
        settings.precision,
        str(loader.device),
    )
    return choose_layout(work, clips)


def _split(store: FrameStore, phase: str, settings: Pretraining) -> tuple[np.ndarray, np.ndarray]:
    """Manifest rows to train on and held-out ones; the last subjects are held out."""
    clips = store.manifest
    fits = (clips["n_frames"] == 1) if phase == "stills" else (clips["n_frames"] > 1)
    subjects = sorted(clips.loc[fits, "subject"].unique())
    held = set(subjects[-max(1, round(settings.holdout * len(subjects))) :])
    away = clips["subject"].isin(held)
    return np.flatnonzero(fits & ~away), np.flatnonzero(fits & away)


def peak_aus(store: FrameStore) -> np.ndarray:
    """AU intensities (N, A) of each clip's apex frame, the mean of both sides of the face."""
    rows = (store.manifest["offset"] + store.manifest["apex"].clip(lower=0)).to_numpy()
    return np.asarray(store.truth["aus"][rows], dtype=np.float32).mean(axis=2)


@torch.no_grad()
def _accuracy(model, loader: ClipLoader, clips: np.ndarray, settings: Pretraining) -> float:
    model.eval()
    hits = 0
    for clip, target, _ in loader.testing(clips):
        with autocast(loader.device, settings.precision):
            hits += int((model(clip).argmax(1) == target).sum())
    return hits / max(1, len(clips))
