"""What an executed notebook holds: nothing of the machine that it was made on, nothing twice."""

import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from dferlib.files import cache_folder, project_root
from dferlib.notebook import stored
from dferlib.notebook.execution import NotebookError, execute
from dferlib.notebook.source import show_source

ROOT, HOME = project_root(), Path.home()
SAYS = """
import sys, tempfile, warnings
from pathlib import Path
from IPython.display import HTML, display
from dferlib.files import cache_folder, project_root
places = [project_root(), Path.home(), cache_folder(), Path(sys.prefix), tempfile.gettempdir()]
print(*places)
print(f"{Path.home()} said", file=sys.stderr)
warnings.warn("a warning is printed with its file")
display(HTML(f"<a href='{project_root() / 'x'}'>{Path.home() / 'y'}</a>"))
{str(place): [place] for place in map(str, places)}
"""
WIDGET = """
import ipywidgets
from tqdm.auto import tqdm
from dferlib.notebook import widgets
display(ipywidgets.IntSlider())
print("beside it")
for _ in tqdm(range(3), desc="training"):
    pass
choices = {"row": {"A": 1, "B": 2}}
widgets.show(widgets.choose(lambda row: f"<b>view {row}</b>", choices, {"row": 2}))
"""
END = "from dferlib.notebook.display import finish\nfinish()"


def make_notebook(path: Path, *cells: str) -> Path:
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    tagged = nbformat.v4.new_code_cell('results_dir: str = ""', metadata={"tags": ["parameters"]})
    book.cells.insert(0, tagged)
    nbformat.write(book, path)
    return path


def places() -> list[str]:
    found = [ROOT, HOME, cache_folder(), Path(sys.prefix), Path(tempfile.gettempdir())]
    return [str(path) for path in found]


@pytest.mark.notebook
@pytest.mark.parametrize("failing", [False, True], ids=["finished", "failed"])
def test_outputs_name_no_folder_of_the_machine(failing, tmp_path):
    wrong = "raise ValueError(f'{project_root()} and {Path.home()}')\n" if failing else ""
    source = make_notebook(tmp_path / "n.ipynb", SAYS, wrong + END)
    given = {"results_dir": str(HOME / "results")}
    try:
        path = execute(source, tmp_path / "out.ipynb", given, progress=False)
        assert not failing
    except NotebookError:
        assert failing
        path = tmp_path / "out.partial.ipynb"
    text = path.read_text(encoding="utf-8")
    for place in places():
        assert place not in text
    assert "~ said" in text
    assert "<cell>:" in text  # where the warning was raised
    assert ("ValueError" in text) == failing
    (injected,) = [
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if "injected-parameters" in cell.metadata.get("tags", ())
    ]
    assert injected.strip().endswith('results_dir = "~/results"')


@pytest.mark.notebook
def test_of_widgets_the_last_state_and_a_view_are_stored(tmp_path):
    source = make_notebook(tmp_path / "n.ipynb", WIDGET, END)
    book = nbformat.read(execute(source, tmp_path / "out.ipynb", progress=False), as_version=4)
    assert "widgets" not in book.metadata
    printed, bar, chooser = book.cells[1].outputs
    assert printed.text == "beside it\n"
    assert bar.text.startswith("training: 100%")
    assert "3/3" in bar.text
    assert list(chooser.data) == ["text/html", "text/plain"]
    assert "<p>row: B." in chooser.data["text/html"]
    assert "<b>view 2</b>" in chooser.data["text/html"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ROOT}/dferlib/a.py:3", "./dferlib/a.py:3"),
        (f"see {ROOT}.", "see .."),
        (f"\x1b[0;32m{ROOT}/a.py\x1b[0m", "\x1b[0;32m./a.py\x1b[0m"),
        (f"'{HOME}'", "'~'"),
        (f"{HOME}land and {HOME}-2", f"{HOME}land and {HOME}-2"),
        (f"https://example.org{HOME}/x", f"https://example.org{HOME}/x"),
        (f"{tempfile.gettempdir()}/ipykernel_12/345.py:1: Warning", "<cell>:1: Warning"),
        (f"{tempfile.gettempdir()}/x", "<temporary>/x"),
    ],
)
def test_a_place_is_replaced_only_where_it_is_one(text, expected):
    assert stored.without_places(text) == expected


def test_places_of_a_user_are_named_too(monkeypatch, tmp_path):
    monkeypatch.setenv("DFER_DATA", "/data/faces of people")
    assert stored.without_places("/data/faces of people/CK+") == "<data>/CK+"
    assert stored.without_places("file:///data/faces%20of%20people/a") == "file://<data>/a"


def test_a_home_of_the_root_is_left_alone(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    assert stored.without_places("a / b") == "a / b"


def test_the_notebook_that_runs_is_left_alone():
    book = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("stream", text=str(HOME))])
    picture = {"image/png": "aGVsbG8=", "text/plain": f"[figure: {HOME}]"}
    cell.outputs.append(nbformat.v4.new_output("display_data", data=picture))
    book.cells = [cell]
    kept = stored.presentable(book, "n.ipynb", "out.ipynb")
    assert book.cells[0].outputs[0].text == str(HOME)
    assert kept.cells[0].outputs[0].text == "~"
    assert kept.cells[0].outputs[1].data["text/plain"] == "[figure: ~]"
    assert kept.cells[0].outputs[1].data["image/png"] == "aGVsbG8="


def test_letters_of_a_picture_in_html_are_no_place():
    picture = f"data:image/png;base64,A+{HOME}/B="  # base64 may hold any of its letters
    cell = nbformat.v4.new_code_cell()
    data = {"text/html": f"<img src='{picture}'><p>{HOME}</p>"}
    cell.outputs.append(nbformat.v4.new_output("display_data", data=data))
    kept = stored.presentable(nbformat.v4.new_notebook(cells=[cell]), "n.ipynb", "out.ipynb")
    assert kept.cells[0].outputs[0].data["text/html"] == f"<img src='{picture}'><p>~</p>"


def test_source_is_shown_as_it_stands_and_folded_where_it_is_long():
    shown = show_source(stored.presentable, show_source, long=15)
    assert "def presentable(" in repr(shown)
    assert "# dferlib.notebook.source.show_source" in repr(shown)
    html = shown._repr_html_()
    assert html.count("<details>") == 1
    assert html.count("<details open>") == 1
    assert 'class="highlight"' in html
    assert html.count("<style>") == 1
    with pytest.raises(ValueError, match="at least one"):
        show_source()
