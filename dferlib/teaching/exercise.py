"""An exercise that judges an answer: right, nearly, wrong or empty, with a hint that fits.

Whoever writes an exercise lists the mistakes that people make, each by an answer that comes of it.
So every hint can be tried, and a test does.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dferlib.teaching.answers import (
    CallError,
    call_all,
    is_empty,
    is_function,
    members,
    plain,
    same,
)

Kind = Literal["right", "nearly", "wrong", "empty"]
WORDS = {"right": "Right.", "nearly": "Nearly.", "wrong": "Not yet.", "empty": "No answer yet."}
LOOKS = {  # sign and dark text colour: 7:1 and more on white
    "right": ("✓", "#00522b"),
    "nearly": ("≈", "#6b4000"),
    "wrong": ("✗", "#8c1515"),
    "empty": ("…", "#333333"),
}


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make: an `answer` that comes of it, and the hint that helps.

    Answers that equal `answer` get the hint or, where it is given, those that `when` is true for.
    `kind` is "nearly" where the idea is right, else "wrong".
    """

    answer: Any
    hint: str
    when: Callable[[Any], bool] | None = None
    kind: Kind = "nearly"


@dataclass(frozen=True)
class Exercise:
    """A question with its answer; `expected` is a number, array, word, set or function.

    `mistakes` are tried in order; `hint` is for all other wrong answers. `tolerance` is relative.
    A function is tried on each tuple of `calls`. `well` is said of a right answer.
    """

    key: str
    expected: Any
    mistakes: tuple[Mistake, ...]
    hint: str
    well: str = ""
    tolerance: float = 0.01
    calls: tuple[tuple, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What an answer came to, and what to do about it; a notebook shows it as a line."""

    kind: Kind
    text: str

    def __repr__(self) -> str:
        return f"{WORDS[self.kind]} {self.text}".strip()

    def _repr_html_(self) -> str:
        sign, colour = LOOKS[self.kind]
        style = f"border-left:4px solid {colour};padding:4px 10px;color:{colour};background:#fff"
        words = f"<b>{sign} {WORDS[self.kind]}</b> {html.escape(self.text)}"
        return f'<div role="status" style="{style}">{words}</div>'


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Return the verdict on an answer; nothing that a student hands in raises."""
    if is_empty(answer):
        return Verdict("empty", "Replace None by your answer and run the cell again.")
    if is_function(exercise.expected):
        return _judge_function(exercise, answer)
    if is_function(answer):
        return Verdict("nearly", "That is the function itself; call it, with brackets.")
    return _compare(exercise, answer, exercise.expected, lambda mistake: mistake.answer)


def _judge_function(exercise: Exercise, answer: Any) -> Verdict:
    if not is_function(answer):
        return Verdict("wrong", "A function is asked for; hand in its name, without brackets.")
    try:
        given = call_all(answer, exercise.calls)
    except CallError as error:
        return Verdict("wrong", f"Your function was tried, but {error}")
    if not given:
        return Verdict("empty", "Your function returns nothing so far: fill it in, with a return.")
    wanted = call_all(exercise.expected, exercise.calls)
    return _compare_all(exercise, given, wanted)


def _compare_all(exercise: Exercise, given: list, wanted: list) -> Verdict:
    def agree(others: list) -> bool:
        pairs = zip(given, others, strict=True)
        return all(same(one, two, exercise.tolerance) for one, two in pairs)

    if agree(wanted):
        return Verdict("right", exercise.well)
    for mistake in exercise.mistakes:
        if mistake.when(given) if mistake.when else agree(call_all(mistake.answer, exercise.calls)):
            return Verdict(mistake.kind, mistake.hint)
    for one, two in zip(given, wanted, strict=True):
        if hint := _general_hint(one, two, exercise.tolerance):
            return Verdict("nearly", hint)
    return Verdict("wrong", exercise.hint)


def _compare(
    exercise: Exercise, answer: Any, wanted: Any, example: Callable[[Mistake], Any]
) -> Verdict:
    if same(answer, wanted, exercise.tolerance):
        return Verdict("right", exercise.well)
    for mistake in exercise.mistakes:
        if _fits(mistake, answer, example(mistake), exercise.tolerance):
            return Verdict(mistake.kind, mistake.hint)
    if hint := _general_hint(answer, wanted, exercise.tolerance):
        return Verdict("nearly", hint)
    return Verdict("wrong", exercise.hint)


def _fits(mistake: Mistake, answer: Any, example: Any, tolerance: float) -> bool:
    if mistake.when is None:
        return same(answer, example, tolerance)
    try:
        return bool(mistake.when(answer))
    except Exception:  # a predicate for numbers meets a word
        return False


def _general_hint(answer: Any, wanted: Any, tolerance: float) -> str:
    """Hints that hold for any exercise: members, kinds, shapes, per cent and signs."""
    one, two = plain(answer), plain(wanted)
    if isinstance(two, frozenset):
        return _members_hint(answer, two)
    if not isinstance(two, np.ndarray) or two.dtype.kind not in "iuf":
        return ""
    if not isinstance(one, np.ndarray) or one.dtype.kind not in "iuf":
        return "A number is asked for, or an array of numbers." if two.ndim == 0 else ""
    if one.shape != two.shape:
        return f"The shape is {one.shape}; {two.shape} is asked for."
    for factor, hint in (
        (100, "That looks like per cent; a fraction of 1 is asked for."),
        (0.01, "That looks like a fraction; per cent is asked for."),
        (-1, "The size is right, the sign is not."),
    ):
        if same(one, factor * two, tolerance):
            return hint
    return ""


def _members_hint(answer: Any, wanted: frozenset) -> str:
    given = members(answer)
    if not given:
        return "Several things are asked for; write them as a set, {a, b}."
    missing, more = len(wanted - given), len(given - wanted)
    parts = [f"{missing} missing"] * bool(missing) + [f"{more} too many"] * bool(more)
    return f"{len(wanted & given)} of {len(wanted)} are there: {', '.join(parts)}."
