"""The single-frame CNN is trained as the recipe that it rivals."""

from pathlib import Path

import pytest
import torch

from dferlib.protocols import load_protocol
from dferlib.training.single_frame import peak_tasks
from dferlib.training.tasks import Task
from dferlib.training.train import create_scheduler


def rates(recipe, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    scheduler, seen = create_scheduler(optimizer, recipe, steps), []
    scheduler.state_dict()  # as a checkpoint needs it
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize(
    ("paper", "changes"),
    [
        ("ceflnet", {}),  # a cosine of its own, after a warm-up counted in epochs
        ("stcam", {}),
        ("stcam", {"schedule": "one_cycle", "warmup": 0.2, "optimizer": "adamw"}),
        ("stcam", {"decayed": "weights", "holdout": False, "normalise": "unit"}),
    ],
)
def test_optimiser_and_schedule_are_the_rivals(store, paper, changes):
    stated = load_protocol(paper)
    variant, dataset = next(iter(stated.variants)), stated.datasets[0]
    rival = stated.resolve("paper", dataset, variant).override(**changes)
    folder = Path("results", paper, f"{dataset}-synthetic-paper")
    (task,) = peak_tasks([Task(rival, variant, 1, 0, store, folder)])
    for name in ("optimizer", "weight_decay", "decayed", "schedule", "epochs", "holdout"):
        assert getattr(task.recipe, name) == getattr(rival, name)
    assert task.recipe.normalise == rival.normalise
    assert rates(task.recipe, rival.epochs) == pytest.approx(rates(rival, rival.epochs))
    assert task.folder == Path("results", "peak_cnn", f"{dataset}-synthetic-paper")
    assert ("factors" in task.recipe.key()) == (paper == "ceflnet")
    assert task.recipe.deviations() == []  # it is of no paper that it could differ from
