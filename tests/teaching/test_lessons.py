"""The lessons run from top to bottom, their solutions are right, and both editions are whole."""

import ast
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from dferlib.notebook import display
from dferlib.notebook.execution import execute
from dferlib.teaching import check as checking
from dferlib.teaching.__main__ import main
from dferlib.teaching.editions import SOLUTION, TEACHER, has_tag
from dferlib.teaching.faces import draw_face, film_clips
from dferlib.teaching.widgets import sliders

FOLDER = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted((FOLDER / "course").glob("*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def run_cells(book: nbformat.NotebookNode, before=lambda cell: None) -> None:
    """Run the code cells in this process: no kernel starts."""
    namespace = {"__name__": "__main__"}
    for cell in book.cells:
        if cell.cell_type == "code":
            before(cell)
            exec(compile(ast.parse(cell.source), f"<cell {cell.id}>", "exec"), namespace)
    plt.close("all")


def test_there_are_eight_lessons_of_45_to_60_minutes():
    assert [path.stem[0] for path in LESSONS] == list("12345678")
    for path in LESSONS:
        text = "\n".join(cell.source for cell in read(path).cells)
        minutes = sum(int(n) for n in re.findall(r"^\| \d .* \| (\d+) \|$", text, re.M))
        assert 45 <= minutes <= 60, path.stem
        for words in ("After this lesson you can", "iscuss", "## Summary", "## Further reading"):
            assert words in text, (path.stem, words)


@every_lesson
def test_a_lesson_runs_and_its_solutions_are_right(path, monkeypatch, capsys):
    found, shown, now = [], [], []
    judged = checking.check

    def note(key, answer=None):
        found.append((key, now[-1], judged(key, answer).kind))

    def keep(data, **_):
        shown.append(str(data))

    monkeypatch.setattr(checking, "check", note)
    monkeypatch.setattr(display, "display", keep)
    tag = lambda cell: now.append((cell.metadata.get("tags") or [""])[0])  # noqa: E731
    run_cells(read(path), tag)
    keys = list(checking.exercises_of(path.stem.partition("_")[2]))
    solved = [key for key, where, kind in found if (where, kind) == (SOLUTION, "right")]
    asked = [key for key, where, kind in found if (where, kind) == ("exercise", "empty")]
    assert solved == asked == sorted(keys)
    assert len(found) == 2 * len(keys)
    assert any("<img" in one and "alt=" in one for one in shown)
    assert "False" not in capsys.readouterr().out  # what is compared with the package agrees


@pytest.mark.notebook
def test_the_first_notebook_runs_in_a_kernel(tmp_path):
    out = execute(FOLDER / "00_start_here.ipynb", tmp_path / "out.ipynb", progress=False)
    text = out.read_text(encoding="utf-8")
    assert "new people" in text
    assert "image/jpeg" in text


def test_both_editions_come_from_one_source(tmp_path, capsys):
    assert main(["build", "--source", str(FOLDER / "course"), "--out", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 * len(LESSONS)
    for path in LESSONS:
        source = read(path)
        students, teachers = (
            read(tmp_path / name / path.name) for name in ("students", "teachers")
        )
        assert not [cell for cell in students.cells if has_tag(cell, TEACHER)]
        assert len(teachers.cells) == len(source.cells)
        solutions = [cell for cell in students.cells if has_tag(cell, SOLUTION)]
        assert solutions
        for cell in solutions:
            assert cell.cell_type == "markdown"
            assert cell.source.startswith("<details><summary>Solution</summary>")
        open_ones = [cell for cell in teachers.cells if has_tag(cell, SOLUTION)]
        assert all("source_hidden" not in str(cell.metadata) for cell in open_ones)
        nbformat.validate(students)
    options = ["--solutions", "none", "--out", str(tmp_path / "bare")]
    assert main(["build", "--source", str(FOLDER / "course"), *options]) == 0
    bare = read(tmp_path / "bare" / "students" / LESSONS[0].name)
    assert not [cell for cell in bare.cells if has_tag(cell, SOLUTION)]
    assert main(["build", "--source", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "there is no notebook" in capsys.readouterr().err


def test_faces_of_lessons_are_the_same_every_time_and_move():
    assert np.array_equal(draw_face({12: 1.0}, size=48), draw_face({12: 1.0}, size=48))
    assert not np.array_equal(draw_face({12: 1.0}, size=48), draw_face(size=48))
    clips = film_clips(2, frames=(0, 24), size=24, difficulty="clean", classes=("fear", "anger"))
    assert clips.frames.shape == (4, 2, 24, 24, 3)
    assert clips.labels.tolist() == [0, 1, 0, 1]
    assert clips.subjects.tolist() == [0, 0, 1, 1]
    assert clips.tensor().shape == (4, 3, 2, 24, 24)
    assert (clips.masks[:, 1].sum((1, 2)) > clips.masks[:, 0].sum((1, 2))).all()


def test_a_slider_redraws_what_it_is_about():
    box = sliders(lambda x: f"twice is {2 * x:g}", {"x": (0, 1, 0.5)})
    (control,), text = box.children[0].children, box.children[1]
    assert text.value == "twice is 1"
    control.value = 0.2
    assert text.value == "twice is 0.4"
    picture = sliders(lambda x: np.full((4, 4, 3), int(x), np.uint8), {"x": (0, 9, 1)}).children[1]
    assert bytes(picture.value).startswith(b"\x89PNG")
