"""Exercises: what is right, nearly right, wrong or empty, each with the hint that fits."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dferlib.protocols import list_protocols
from dferlib.teaching.check import check, check_all, exercises_of, list_lessons
from dferlib.teaching.exercise import WORDS, Exercise, Mistake, Verdict, judge

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EVERY = [exercise for lesson in list_lessons() for exercise in exercises_of(lesson).values()]
every_exercise = pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.key)


@every_exercise
def test_right_answers_each_mistake_and_no_answer_get_their_own_words(exercise):
    assert judge(exercise, exercise.expected).kind == "right"
    hints = [mistake.hint for mistake in exercise.mistakes]
    assert len(set(hints)) == len(hints) >= 2
    for mistake in exercise.mistakes:
        verdict = judge(exercise, mistake.answer)
        assert (verdict.kind, verdict.text) == (mistake.kind, mistake.hint)
    assert judge(exercise, None).kind == judge(exercise, ...).kind == "empty"
    assert judge(exercise, "no idea at all").kind in ("wrong", "nearly")


@pytest.mark.parametrize(
    "exercise", [one for one in EVERY if one.calls], ids=lambda exercise: exercise.key
)
def test_a_function_that_is_not_written_yet_is_no_mistake(exercise):
    assert judge(exercise, lambda *arguments: None).kind == "empty"
    broken = judge(exercise, lambda *arguments: 1 / 0)
    assert broken.kind == "wrong"
    assert "ZeroDivisionError" in broken.text


SHARE = Exercise("x.1", 0.25, (Mistake(0.75, "the rest"),), "think")
PAIR = Exercise("x.2", [1, 2], (Mistake([2, 1], "swapped"),), "think")
MEMBERS = Exercise("x.3", {"a", "b"}, (), "think")


@pytest.mark.parametrize(
    ("exercise", "answer", "kind", "words"),
    [
        (SHARE, 0.2501, "right", ""),
        (SHARE, np.float32(0.25), "right", ""),
        (SHARE, torch.tensor(0.25), "right", ""),
        (SHARE, 0.75, "nearly", "the rest"),
        (SHARE, 25, "nearly", "per cent"),
        (SHARE, -0.25, "nearly", "sign"),
        (SHARE, 0.5, "wrong", "think"),
        (SHARE, True, "nearly", "number"),
        (SHARE, "a quarter", "nearly", "number"),
        (SHARE, lambda: 0.25, "nearly", "brackets"),
        (PAIR, (1, 2), "right", ""),
        (PAIR, np.array([2, 1]), "nearly", "swapped"),
        (PAIR, [1, 2, 3], "nearly", r"(3,)"),
        (MEMBERS, ["B", "a "], "right", ""),
        (MEMBERS, {"a"}, "nearly", "1 of 2 are there: 1 missing"),
        (MEMBERS, {"a", "b", "c"}, "nearly", "1 too many"),
        (MEMBERS, "a", "nearly", "as a set"),
    ],
)
def test_answers_of_every_kind_are_compared(exercise, answer, kind, words):
    verdict = judge(exercise, answer)
    assert verdict.kind == kind
    assert words in verdict.text


def test_a_function_gets_copies_of_its_arguments():
    def spoil(x):
        x[:] = 0
        return x.sum()

    exercise = Exercise("x.4", lambda x: x.sum(), (), "think", calls=((np.ones(3),),))
    assert judge(exercise, spoil).kind == "wrong"
    assert judge(exercise, np.sum).kind == "right"


def test_an_unknown_exercise_names_the_known_ones():
    with pytest.raises(ValueError, match=r"faces\.9.*faces\.1"):
        check("faces.9")
    with pytest.raises(ValueError, match=r"lesson.*'face'.*faces"):
        check("face.1")


@pytest.mark.parametrize("paper", list_protocols())
def test_a_papers_notebook_calls_its_checks(paper):
    book = json.loads((NOTEBOOKS / f"{paper}.ipynb").read_text(encoding="utf-8"))
    text = "".join(book["cells"][-1]["source"])
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    answers = ast.literal_eval(code.partition("check_all(")[2].rstrip().removesuffix(")"))
    assert list(answers) == list(exercises_of(paper))
    verdicts = check_all(answers)
    assert {verdict.kind for verdict in verdicts.values()} == {"empty"}
    assert all(key in verdicts._repr_html_() and key in repr(verdicts) for key in answers)


def test_a_verdict_is_shown_as_words_and_not_by_colour_alone():
    for kind, words in WORDS.items():
        verdict = Verdict(kind, "a < b")
        assert repr(verdict) == f"{words} a < b"
        assert words in verdict._repr_html_()
        assert "a &lt; b" in verdict._repr_html_()
