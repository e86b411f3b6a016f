"""Notebooks from outside and inside: what is refused, what counts as done, what is kept."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from queue import Empty

import matplotlib.pyplot as plt
import nbformat
import pytest
from bs4 import BeautifulSoup

from dferlib.notebook import display, engine, parameters, stored
from dferlib.notebook.execution import NotebookError, execute, main
from dferlib.notebook.parameters import ParameterError, check_parameters
from dferlib.protocols import Extent, load_protocol

DECLARED = 'dataset: str = "oulu"\nseeds: str = "0"\nsteps: int = 3'
END = "from dferlib.notebook.display import finish\nfinish()"
DIE = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
DATASETS = ("ckplus", "oulu")


def make_notebook(path: Path, *cells: str, declared: str = DECLARED) -> Path:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    book.cells = [
        nbformat.v4.new_markdown_cell("# A tiny notebook"),
        nbformat.v4.new_code_cell(declared, metadata={"tags": ["parameters"]}),
        *(nbformat.v4.new_code_cell(cell) for cell in cells),
    ]
    nbformat.write(book, path)
    return path


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def run(path: Path, output: Path, parameters: dict | None = None, **options) -> Path:
    return execute(path, output, parameters, progress=False, **options)


# ------------------------------------------------------------------ parameters


def defaults(**changes) -> dict:
    return {name: value for name, (_, value) in parameters.PARAMETERS.items()} | changes


def test_defaults_resolve_to_the_quick_preset_without_a_gpu(monkeypatch):
    monkeypatch.setattr(parameters, "_cuda_devices", lambda: 0)
    settings = check_parameters("stcam", defaults(), datasets=DATASETS)
    assert (settings.preset, settings.device, settings.source) == ("quick", "cpu", "auto")
    assert settings.seeds == (0,)
    assert "stcam" in settings.variants
    assert settings.folds
    assert settings.folder("synthetic").name == "oulu-synthetic-quick"
    with pytest.raises(ValueError, match="frozen"):
        settings.preset = "paper"


@pytest.mark.parametrize("there", [True, False])
def test_on_a_gpu_auto_takes_the_preset_for_it_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr(parameters, "_cuda_devices", lambda: 2)
    paper = load_protocol("stcam")
    presets = {name: preset for name, preset in paper.presets.items() if name != "gpu"}
    presets |= {"gpu": paper.presets["quick"]} if there else {}
    paper = replace(paper, presets=presets)
    settings = check_parameters("stcam", defaults(), datasets=DATASETS, paper=paper)
    assert (settings.preset, settings.device) == ("gpu" if there else "paper", "cuda")
    assert check_parameters("stcam", defaults(device="cpu"), datasets=DATASETS).preset == "quick"
    named = check_parameters("stcam", defaults(device="cuda:1"), datasets=DATASETS)
    assert named.device == "cuda:1"
    with pytest.raises(ParameterError, match=r"cuda:2.*only 2 CUDA"):
        check_parameters("stcam", defaults(device="cuda:2"), datasets=DATASETS)


def test_lists_of_variants_folds_and_seeds_are_read():
    given = defaults(variants="stcam, baseline", folds="2,4-6", seeds="7,0", device="cpu")
    settings = check_parameters("stcam", given, datasets=DATASETS)
    assert settings.variants == ("stcam", "baseline")
    assert settings.folds == (2, 4, 5, 6)
    assert settings.seeds == (7, 0)
    everything = check_parameters(
        "stcam", defaults(folds="all", seeds=3, device="cpu"), datasets=DATASETS
    )
    assert everything.folds == tuple(range(1, 11))
    assert everything.seeds == (3,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sead": 3}, r"'sead'; did you mean 'seeds'\?.*dataset"),
        ({"DATASET": "oulu"}, "unknown parameter: 'DATASET'"),
        ({"dataset": "ulu"}, r"'ulu'; did you mean 'oulu'\?.*ckplus"),
        ({"dataset": 3}, "dataset is 3 of type int"),
        ({"source": "fake"}, "unknown source: 'fake'.*synthetic"),
        ({"source": True}, "source is True of type bool"),
        ({"source": "real"}, "source is 'real', and no folder with oulu was named.*data_root"),
        ({"preset": "papre"}, "did you mean 'paper'"),
        ({"preset": None}, "preset is None of type NoneType"),
        ({"variants": "stam,3dcam+stma"}, "unknown variant: '3dcam.stma'; did you mean"),
        ({"variants": ","}, "variants is empty"),
        ({"variants": ["stam"]}, "variants is .* of type list"),
        ({"folds": "11"}, "folds is '11'; give whole numbers from 1 to 10.*or all, or preset"),
        ({"folds": "0"}, "from 1 to 10"),
        ({"folds": "one"}, "folds is 'one'"),
        ({"folds": 1.5}, "folds is 1.5 of type float"),
        ({"seeds": "-1"}, "seeds is '-1'; give whole numbers from 0"),
        ({"seeds": "1,,2"}, "seeds is '1,,2'"),
        ({"seeds": "5-2"}, "seeds is '5-2'"),
        ({"seeds": "0-99999999"}, "seeds is '0-99999999'"),
        ({"device": "gpu"}, "unknown device: 'gpu'.*cuda"),
        ({"device": "cuda"}, "no CUDA device; use auto or cpu"),
        ({"init": "radnom"}, r"unknown init: 'radnom'; did you mean 'random'\?.*\.safetensors"),
        ({"init": ""}, "unknown init: ''"),
        ({"transfer": "oulu"}, "transfer is 'oulu', which is trained and tested on afterwards"),
        ({"transfer": "w.pth"}, "transfer is 'w.pth', and there is no file of this name"),
        ({"data_root": 7}, "data_root is 7 of type int.*-r data_root TEXT"),
        ({"results_dir": 7}, "-r results_dir TEXT"),
        ({"data_root": "/no/such/folder"}, "data_root is '/no/such/folder'.*DFER_DATA"),
    ],
)
def test_wrong_parameters_are_refused_with_the_way_out(monkeypatch, changes, message):
    monkeypatch.setattr(parameters, "_cuda_devices", lambda: 0)
    monkeypatch.delenv("DFER_DATA", raising=False)
    with pytest.raises(ParameterError, match=message):
        check_parameters("stcam", defaults(**changes), datasets=DATASETS)


def test_a_folder_whose_name_papermill_took_for_a_number_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "_cuda_devices", lambda: 0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "007").mkdir()
    settings = check_parameters("stcam", defaults(data_root=7), datasets=DATASETS)
    assert settings.data_root == (tmp_path / "007").resolve()
    (tmp_path / "7").mkdir()  # now it could be either
    with pytest.raises(ParameterError, match="-r data_root"):
        check_parameters("stcam", defaults(data_root=7), datasets=DATASETS)


def test_initial_weights_are_named_or_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "_cuda_devices", lambda: 0)
    (tmp_path / "faces.pth").write_bytes(b"")
    for value in ("paper", "random", "torchvision", str(tmp_path / "faces.pth")):
        settings = check_parameters("stcam", defaults(init=value), datasets=DATASETS)
        assert settings.init == value
        assert f"init {value}" in repr(display.banner(settings, "synthetic"))


def test_all_that_is_wrong_is_said_at_once(monkeypatch):
    monkeypatch.setattr(parameters, "_cuda_devices", lambda: 0)
    with pytest.raises(ParameterError) as caught:
        check_parameters("stcam", defaults(dataset="x", preset="y", seeds="z"), datasets=DATASETS)
    assert str(caught.value).count("\n- ") == 3


def test_in_a_kernel_only_parameter_cells_count():
    cell = "\n".join(f"{name}: str = {value!r}" for name, value in defaults(device="cpu").items())
    later = {"war": 0.9, "In": ["", cell, "war = 0.9", "%matplotlib inline"]}
    assert check_parameters("stcam", defaults(device="cpu") | later, datasets=DATASETS)
    injected = {"In": [*later["In"], '# Parameters\nsead = 3\nsource = "auto"\n'], "sead": 3}
    with pytest.raises(ParameterError, match="'sead'"):
        check_parameters("stcam", defaults(device="cpu") | injected, datasets=DATASETS)
    corrected = {"In": [*injected["In"], "# Parameters\nseeds = 3\n"], "sead": 3}
    assert check_parameters("stcam", defaults(device="cpu") | corrected, datasets=DATASETS)
    typo = {"In": [cell + '\nfold = "1"']}
    with pytest.raises(ParameterError, match="did you mean 'folds'"):
        check_parameters("stcam", defaults(device="cpu") | typo, datasets=DATASETS)


# ------------------------------------------------------------------ what a notebook shows


def test_the_banner_says_synthetic_and_how_not_to_use_it():
    settings = check_parameters("stcam", defaults(device="cpu"), datasets=DATASETS)
    recipe = load_protocol("stcam").resolve("quick", "oulu", "stcam", Extent(clips=70))
    shown = display.banner(settings, "synthetic", recipe.override(faces="<fast>"))
    for text in (shown._repr_html_(), repr(shown)):
        assert "SYNTHETIC DATA - not a reproduction" in text
        assert "Art. 5(1)(f)" in text
        assert "width: 0.5 instead of 1.0" in text
        assert "passes: 7 instead of 1 (70 clips; the epochs of quick were set for 480" in text
    assert "&lt;fast&gt;" in shown._repr_html_()
    real = display.banner(settings, "real")
    assert "SYNTHETIC" not in repr(real)
    assert "differs from the paper: epochs" in repr(real)
    with pytest.raises(ValueError, match="'auto'"):
        display.banner(settings, "auto")


def test_a_smoke_run_says_first_that_its_numbers_mean_nothing_and_where_they_go():
    values = defaults(device="cpu", preset="smoke")
    settings = check_parameters("stcam", values, datasets=DATASETS)
    lines = repr(display.banner(settings, "synthetic")).splitlines()
    assert "its numbers mean nothing" in lines[1]
    folder = Path("out", "results", "stcam", "oulu-synthetic-smoke")
    assert f"{folder}. A relative results_dir" in lines[4]


@pytest.fixture
def displayed(monkeypatch) -> list:
    calls = []
    monkeypatch.setattr(display, "display", lambda *args, **kwargs: calls.append((args, kwargs)))
    return calls


def test_a_figure_is_shown_with_alt_text_kept_and_closed(tmp_path, displayed):
    for name in ("one", "two"):
        fig, ax = plt.subplots()
        ax.plot([1, 2])
        display.display_figure(fig, "a rising line", "Figure 1 of `x`.", folder=tmp_path, name=name)
        assert not plt.fignum_exists(fig.number)
    (data,), _ = displayed[0]
    figure = BeautifulSoup(data["text/html"], "html.parser").figure
    assert figure.img["alt"] == "a rising line"
    assert base64.b64decode(figure.img["src"].partition("base64,")[2]).startswith(b"\x89PNG")
    assert figure.figcaption.decode_contents() == "Figure 1 of <code>x</code>."
    assert "image/png" not in data  # a front end would take it, and leave the text out
    for kind in ("png", "svg"):
        first, second = ((tmp_path / f"{n}.{kind}").read_bytes() for n in ("one", "two"))
        assert first == second


def test_a_figure_of_pixels_is_shown_as_jpeg_and_kept_with_vectors_around_them(tmp_path, displayed):
    fig, ax = plt.subplots()
    ax.imshow([[1, 2]])
    display.display_figure(fig, "two pixels", folder=tmp_path, name="pixels")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pixels.png", "pixels.svg"]
    (data,), _ = displayed[0]
    assert 'src="data:image/jpeg;base64,' in data["text/html"]
    assert 'alt="two pixels"' in data["text/html"]


def test_a_figure_without_alt_text_or_name_is_refused(tmp_path):
    fig = plt.figure()
    with pytest.raises(ValueError, match="alt is empty"):
        display.display_figure(fig, " ")
    with pytest.raises(ValueError, match="give both"):
        display.display_figure(fig, "a line", folder=tmp_path)
    plt.close(fig)


# ------------------------------------------------------------------ refused before a kernel starts


@pytest.fixture
def no_kernel(monkeypatch):
    def started(*args, **kwargs):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(engine._Client, "execute", started)


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sead": "3"}, r"unknown parameter: 'sead'; did you mean 'seeds'\?"),
        ({"seeds": 3}, "seeds is 3 of type int; the notebook declares str, as in '0'"),
        ({"steps": "3"}, "steps is '3' of type str; the notebook declares int"),
        ({"steps": True}, "steps is True of type bool"),
        ({"dataset": None}, "dataset is None"),
    ],
)
def test_wrong_injections_are_refused_before_a_kernel_starts(tmp_path, given, message):
    source = make_notebook(tmp_path / "n.ipynb", END)
    with pytest.raises(ParameterError, match=message):
        run(source, tmp_path / "out.ipynb", given)
    assert os.listdir(tmp_path) == ["n.ipynb"]


@pytest.mark.usefixtures("no_kernel")
def test_paths_that_cannot_work_are_named(tmp_path):
    source = make_notebook(tmp_path / "stcam.ipynb", END)
    with pytest.raises(FileNotFoundError, match=r"stcm\.ipynb; did you mean 'stcam\.ipynb'"):
        run(tmp_path / "stcm.ipynb", tmp_path / "out.ipynb")
    with pytest.raises(OSError, match=r"cannot write.*stcam\.ipynb"):
        run(source, source / "out.ipynb")
    with pytest.raises(ValueError, match="the notebook itself"):
        run(source, source)
    broken = tmp_path / "broken.ipynb"
    broken.write_text('{"cells": [')
    with pytest.raises(ValueError, match="is not a notebook"):
        run(broken, tmp_path / "out.ipynb")
    assert main([str(tmp_path / "none.ipynb"), str(tmp_path / "out.ipynb")]) == 2


# ------------------------------------------------------------------ in a kernel


@pytest.mark.notebook
def test_a_finished_notebook_is_written_with_its_parameters_and_no_paths(tmp_path):
    source = make_notebook(tmp_path / "n.ipynb", "print(dataset, seeds, steps)", END)
    output = tmp_path / "new" / "folder {x}" / "out.ipynb"
    lines = []
    given = {"dataset": "ckplus", "seeds": "1,2", "steps": 5}
    assert execute(source, output, given, cwd=tmp_path, progress=lines.append) == output
    book = load(output)
    assert "ckplus 1,2 5\n" in "".join(str(cell.get("outputs")) for cell in book["cells"]).replace(
        "\\n", "\n"
    )
    assert book["metadata"]["dferlib"] == {"status": "finished"}
    assert display.END_MARK in book["cells"][-1]["outputs"][0]["metadata"]
    assert str(tmp_path) not in output.read_text()
    assert os.listdir(output.parent) == ["out.ipynb"]
    assert len(lines) == 6  # four code cells, the injected one among them, the start and the end
    assert "the same command goes on" in lines[0]
    assert "A tiny notebook" in lines[1]


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ((DIE, END), r"cell 3/4 \(A tiny notebook\): DeadKernelError"),
        ((f"{END}\n{DIE}",), "cell 3/3.*DeadKernelError"),
        (("1 / 0", END), "cell 3/4.*ZeroDivisionError: division by zero"),
        (("import sys; sys.exit(0)", END), "stopped before its end mark"),
        (("1 + 1",), "stopped before its end mark"),
    ],
    ids=["killed in the first cell", "killed in the last", "raising", "exit", "no end"],
)
def test_a_notebook_that_does_not_finish_is_never_taken_as_finished(tmp_path, cells, message):
    source = make_notebook(tmp_path / "n.ipynb", *cells)
    output = tmp_path / "out.ipynb"
    output.write_text("the good one of yesterday")
    with pytest.raises(NotebookError, match=message):
        run(source, output)
    assert output.read_text() == "the good one of yesterday"
    kept = load(tmp_path / "out.partial.ipynb")
    assert kept["metadata"]["dferlib"]["status"] == "failed"
    assert kept["metadata"]["papermill"]["exception"] is True
    if "DeadKernel" in message or "division" in message:
        states = [cell["metadata"].get("papermill", {}).get("status") for cell in kept["cells"]]
        assert "failed" in states
        assert "completed" not in states[states.index("failed") :]


@pytest.mark.notebook
def test_a_cell_that_takes_too_long_or_prints_too_much(tmp_path):
    flood = "for _ in range(500): print('x' * 10_000)"
    source = make_notebook(tmp_path / "n.ipynb", flood, "import time; time.sleep(60)", END)
    started = time.monotonic()
    with pytest.raises(NotebookError, match=r"cell 4/5.*CellTimeoutError"):
        run(source, tmp_path / "out.ipynb", timeout=2)
    assert time.monotonic() - started < 30
    partial = tmp_path / "out.partial.ipynb"
    assert partial.stat().st_size < 2 * stored.MAX_STREAM
    assert "characters left out" in partial.read_text()


CHILD = (
    "import pathlib, subprocess, time\n"
    "worker = subprocess.Popen(['sleep', '300'])\n"
    "pathlib.Path('pid').write_text(str(worker.pid))\n"
)
posix = pytest.mark.skipif(os.name == "nt", reason="process groups are a POSIX matter")


@pytest.mark.notebook
@posix
def test_no_child_of_a_killed_kernel_lives_on(tmp_path):
    source = make_notebook(tmp_path / "n.ipynb", CHILD + DIE, END)
    with pytest.raises(NotebookError, match="DeadKernelError"):
        run(source, tmp_path / "out.ipynb", cwd=tmp_path)
    assert _dies(int((tmp_path / "pid").read_text()))


@pytest.mark.notebook
@posix
def test_a_terminated_run_stops_at_once_and_keeps_what_it_has(tmp_path):
    source = make_notebook(tmp_path / "n.ipynb", CHILD + "time.sleep(300)", END)
    command = [sys.executable, "-m", "dferlib.notebook", str(source), "out.ipynb"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    _until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), seconds=60)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert time.monotonic() - started < 15
    assert error.endswith("stopped; start the same command again to go on\n")
    assert load(tmp_path / "out.partial.ipynb")["metadata"]["dferlib"]["status"] == "failed"
    assert not (tmp_path / "out.ipynb").exists()
    assert _dies(int((tmp_path / "pid").read_text()))


def _until(holds, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(holds())


def _dies(pid: int) -> bool:
    return _until(lambda: not _alive(pid), seconds=10)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.notebook
def test_plain_papermill_and_the_command_line_work_from_any_folder(tmp_path):
    cell = "\n".join(f"{name}: str = {value!r}" for name, value in defaults().items())
    check = (
        "from dferlib.notebook.display import finish\n"
        "from dferlib.notebook.parameters import check_parameters\n"
        "settings = check_parameters('stcam', globals(), datasets=('oulu', 'ckplus'))\n"
        "print(settings.dataset, settings.seeds)"
    )
    source = make_notebook(tmp_path / "n.ipynb", check, "finish(settings)", declared=cell)
    calls = {
        "papermill": ["papermill", "-p", "seeds", "3", "-p", "sead", "3"],
        "dferlib.notebook": ["dferlib.notebook", "-p", "seeds", "3", "-p", "device", "cpu"],
    }
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", *arguments, str(source), f"{name}.ipynb"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, arguments in calls.items()
    }
    errors = {name: process.communicate(timeout=120)[1] for name, process in running.items()}
    assert running["papermill"].returncode != 0
    stopped = load(tmp_path / "papermill.ipynb")["cells"]
    box, error = [output for cell in stopped for output in cell.get("outputs", [])][-2:]
    assert 'role="alert"' in "".join(box["data"]["text/html"])
    assert (error["ename"], len(error["traceback"])) == ("ParameterError", 1)
    assert "unknown parameter: 'sead'" in errors["papermill"]
    assert running["dferlib.notebook"].returncode == 0, errors["dferlib.notebook"]
    assert "oulu (3,)" in (tmp_path / "dferlib.notebook.ipynb").read_text()


def test_importing_the_notebook_module_stays_light():
    heavy = ("torch", "papermill", "matplotlib.pyplot", "sklearn")
    code = f"import sys, dferlib.notebook; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_paper_may_have_parameters_of_its_own():
    values = defaults(checkpoint="faces.pth")
    with pytest.raises(ParameterError, match="unknown parameter: 'checkpoint'"):
        check_parameters("stcam", values, datasets=["oulu"])
    extras = {"checkpoint": ""}
    settings = check_parameters("stcam", values, datasets=["oulu"], extras=extras)
    assert settings.extras == {"checkpoint": "faces.pth"}
    assert check_parameters("stcam", defaults(), datasets=["oulu"], extras=extras).extras == extras
    with pytest.raises(ParameterError, match="checkpoint is 3"):
        check_parameters("stcam", defaults(checkpoint=3), datasets=["oulu"], extras=extras)


def test_all_rows_are_those_of_the_preset():
    paper = load_protocol("stt")
    values = defaults(dataset="afew", preset="smoke")
    settings = check_parameters("stt", values, datasets=paper.datasets)
    assert settings.variants == paper.variants_of("smoke", "afew")
    assert set(settings.variants) < set(paper.printed_on("afew"))
    chosen = check_parameters("stt", {**values, "variants": "c3d-ds"}, datasets=paper.datasets)
    assert chosen.variants == ("c3d-ds",)


def test_a_reply_whose_sign_was_lost_is_found_by_looking_again(monkeypatch):
    """As a socket of pyzmq: what has come is seen when one asks, not while one waits."""
    monkeypatch.setattr(engine, "LOOK_AGAIN", 0.01)
    asked = []

    async def get_msg(timeout=None):
        asked.append(timeout)
        if len(asked) == 3:
            return {"content": "reply"}
        if timeout is None:
            pytest.fail("would wait for ever")
        await asyncio.sleep(timeout)
        raise Empty

    assert asyncio.run(engine._looking_again(get_msg)()) == {"content": "reply"}
    assert asked == [0.01] * 3


def test_looking_again_keeps_the_time_that_was_given(monkeypatch):
    monkeypatch.setattr(engine, "LOOK_AGAIN", 0.01)
    asked = []

    async def nothing(timeout):
        asked.append(timeout)
        await asyncio.sleep(timeout)
        raise Empty

    started = time.monotonic()
    with pytest.raises(Empty):
        asyncio.run(engine._looking_again(nothing)(timeout=0.035))
    assert time.monotonic() - started >= 0.034
    assert max(asked) <= 0.01


@pytest.mark.notebook
def test_the_runner_never_waits_for_a_reply_without_an_end(tmp_path, monkeypatch):
    asked, plain = [], engine._looking_again

    def watched(get_msg):
        async def get(timeout=None):
            asked.append(timeout)
            return await get_msg(timeout=timeout)

        return plain(get)

    monkeypatch.setattr(engine, "_looking_again", watched)
    source = make_notebook(tmp_path / "n.ipynb", "print(1)", END)
    run(source, tmp_path / "out.ipynb")
    assert len(asked) >= 4  # one for each code cell at least
    assert None not in asked
