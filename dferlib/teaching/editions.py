"""The students' and the teachers' edition of a lesson, from one notebook.

Code cells tagged `solution` hold solutions; cells tagged `teacher` are for teachers alone. In the
source solutions are collapsed and run with the rest, so that a test can tell whether they are
right.
"""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat

from dferlib.files import project_root, write_atomic

SOLUTION, TEACHER = "solution", "teacher"
STUDENTS, TEACHERS = "students", "teachers"
SOLUTIONS = ("folded", "none")  # in the students' edition


def lessons_folder() -> Path:
    """Return the folder of the lessons' source; FileNotFoundError outside a clone."""
    root = project_root()
    folder = (root or Path()) / "notebooks" / "course"
    if not folder.is_dir():
        raise FileNotFoundError(f"there are no lessons in {folder}; run this in a clone")
    return folder


def students_edition(
    book: nbformat.NotebookNode, solutions: str = "folded"
) -> nbformat.NotebookNode:
    """Return a lesson for students: no teachers' cells, solutions folded or ("none") left out.

    A folded solution is text behind a summary that opens it, so that running all cells does not
    answer for the student. ValueError for another `solutions`.
    """
    if solutions not in SOLUTIONS:
        raise ValueError(f"solutions is {solutions!r}; allowed are {', '.join(SOLUTIONS)}")
    made = copy.deepcopy(book)
    cells = []
    for cell in made.cells:
        if has_tag(cell, TEACHER) or (has_tag(cell, SOLUTION) and solutions == "none"):
            continue
        cells.append(_folded(cell) if has_tag(cell, SOLUTION) else cell)
    made.cells = cells
    return made


def teachers_edition(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a lesson for teachers: every cell, solutions open and named as such."""
    made = copy.deepcopy(book)
    for cell in made.cells:
        if has_tag(cell, SOLUTION):
            cell.metadata.pop("jupyter", None)
            cell.source = f"# Solution\n{cell.source}"
    return made


def has_tag(cell: nbformat.NotebookNode, tag: str) -> bool:
    """Tell whether a cell carries a tag."""
    return tag in cell.metadata.get("tags", ())


def _folded(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    text = f"<details><summary>Solution</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
    folded = nbformat.v4.new_markdown_cell(text, metadata={"tags": [SOLUTION]})
    folded["id"] = cell.id
    return folded


def build(source: Path, out: Path, solutions: str = "folded") -> list[Path]:
    """Write both editions of every lesson in `source` below `out`; returns what was written.

    ValueError where there is no lesson in `source`.
    """
    lessons = sorted(source.glob("*.ipynb"))
    if not lessons:
        raise ValueError(f"there is no notebook in {source}")
    written = []
    for path in lessons:
        book = nbformat.read(path, as_version=4)
        editions = {STUDENTS: students_edition(book, solutions), TEACHERS: teachers_edition(book)}
        for name, edition in editions.items():
            target = out / name / path.name
            text = nbformat.writes(edition) + "\n"
            write_atomic(target, lambda file, text=text: file.write(text.encode()))
            written.append(target)
    return written
