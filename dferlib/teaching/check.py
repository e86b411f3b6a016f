"""Checking answers in a notebook: ``check("evaluation.2", answer)``.

The part of a key before the dot names a file in `exercises/`, a lesson or a paper; the file's name
is the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from dferlib.names import unknown_name
from dferlib.teaching.exercise import Exercise, Verdict, judge

_FOLDER = Path(__file__).parent / "exercises"


def check(key: str, answer: Any = None) -> Verdict:
    """Judge the answer to an exercise; put it last in a cell, which then shows the verdict.

    ValueError, with the keys there are, for an exercise that does not exist.
    """
    lesson = key.partition(".")[0]
    known = exercises_of(lesson)
    if key not in known:
        raise ValueError(unknown_name("exercise", key, known))
    return judge(known[key], answer)


class Verdicts(dict[str, Verdict]):
    """Verdicts by key of the exercise, a line each where a notebook shows them."""

    def __repr__(self) -> str:
        return "\n".join(f"{key}: {verdict!r}" for key, verdict in self.items())

    def _repr_html_(self) -> str:
        parts = (f"<p>{key}</p>{v._repr_html_()}" for key, v in self.items())
        return "".join(parts)


def check_all(answers: Mapping[str, Any]) -> Verdicts:
    """Judge several answers, {key: answer}; raises as `check` does."""
    return Verdicts({key: check(key, answer) for key, answer in answers.items()})


def list_lessons() -> tuple[str, ...]:
    """Name every lesson and paper that has exercises, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("[!_]*.py")))


@cache
def exercises_of(lesson: str) -> dict[str, Exercise]:
    """Return the exercises of a lesson or paper by key; ValueError for an unknown one."""
    if lesson not in list_lessons():
        raise ValueError(unknown_name("lesson", lesson, list_lessons()))
    module = import_module(f"dferlib.teaching.exercises.{lesson}")
    return {exercise.key: exercise for exercise in module.EXERCISES}
