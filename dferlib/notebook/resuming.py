"""How a run goes on that was stopped: said where it starts, before anyone needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.display import Markdown, display

if TYPE_CHECKING:
    from dferlib.training.tasks import Task

HOW = (
    "If this stops - the kernel dies, the machine is switched off, you interrupt it - run the "
    "same command again, or *Restart Kernel and Run All Cells*: finished trainings are read, and "
    "the one that was interrupted goes on from its last epoch. A progress bar that has not moved "
    "for minutes, under a kernel that is not busy, belongs to a run that stopped."
)


def say_resumes(tasks: Sequence[Task]) -> None:
    """Say how to go on, where trainings are still to be done."""
    if any(task.state != "finished" for task in tasks):
        display(Markdown(HOW))
