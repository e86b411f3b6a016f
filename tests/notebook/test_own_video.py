"""The page for a video of one's own: from a film to names, an annotated film, or a refusal."""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch

from dferlib.datasets.media.video import iter_frames
from dferlib.models import create_model
from dferlib.notebook import display, own_network
from dferlib.notebook.annotated import annotate, choose_film
from dferlib.notebook.own_network import VideoError, open_reader
from dferlib.notebook.own_video import NONE, follow_face, read_windows
from dferlib.training.weights import save_weights
from tests.films import greys, write_film

pytest.importorskip("av")
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "try_it.ipynb"
FOOTAGE = os.environ.get("DFER_FOOTAGE", "")
HAAR = "detector=haar"  # needs no extra


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An STCAM of the smoke preset that takes all classes to be nearly alike."""
    torch.manual_seed(0)
    model = create_model("stcam", 6, width=0.25)
    with torch.no_grad():
        model.head[-1].weight.mul_(1e-4)
    path = tmp_path_factory.mktemp("weights") / "stcam.safetensors"
    save_weights(model, path, {})
    return path


def count(path: Path) -> int:
    return sum(1 for _ in iter_frames(path, at=()))


def test_the_page_runs_on_a_drawn_film(weights, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(display, "display", lambda data, **_: shown.append(data["text/plain"]))
    values = {"weights": str(weights), "results_dir": str(tmp_path), "faces": HAAR}
    names = {"__name__": "__main__"}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"<cell {cell.id}>", "exec"), names)
            names |= values if "parameters" in cell.metadata.get("tags", []) else {}
    plt.close("all")
    told, seen = names["told"], names["seen"]
    assert told.views.shape[0] == 10
    np.testing.assert_allclose(told.views.sum(2), 1)
    np.testing.assert_allclose(told.mean.sum(1), 1)
    assert (told.low <= told.mean + 1e-9).all()
    assert (told.mean <= told.high + 1e-9).all()
    np.testing.assert_allclose(told.entropy, 1, atol=0.05)
    assert set(told.named) == {NONE}
    assert told.spans[0].tolist() == [0, 25]
    assert told.frames[0].tolist() == [0, 4, 8, 12, 16, 20, 24]
    assert names["written"] == len(seen.crops) == len(names["film"].aus) == count(names["path"])
    assert "AU 12 lip corner puller" in names["film"].units()
    assert [text for text in shown if text.startswith("[figure")][3].startswith("[figure: Inten")
    assert read_windows(names["reader"], seen, clear=0.0).named != told.named


@pytest.mark.skipif(not FOOTAGE, reason="DFER_FOOTAGE names no folder of footage")
def test_real_footage_is_read_and_written_on(weights, tmp_path):
    film = choose_film(str(Path(FOOTAGE) / "one_face.mp4"), None, tmp_path)
    reader = open_reader(str(weights))
    seen = follow_face(film.path, reader.recipe.store_size)
    told = read_windows(reader, seen)
    assert film.units() == {}
    assert annotate(seen, told, tmp_path / "out.mp4") == len(seen.crops) == count(film.path)
    np.testing.assert_allclose(told.mean.sum(1), 1)


def test_what_cannot_be_read_is_refused_by_name(weights, tmp_path, monkeypatch):
    grey = write_film(tmp_path / "grey.mp4", greys(12, (96, 128)))
    with pytest.raises(VideoError, match=r"grey\.mp4: no face found in 12 frames, so nothing is"):
        follow_face(grey, 36, HAAR)
    with pytest.raises(VideoError, match="allowed are auto, haar"):
        follow_face(grey, 36, "detector=yolo")
    with pytest.raises(VideoError, match=r"there is no such file"):
        choose_film(str(tmp_path / "no.mp4"), None, tmp_path)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(VideoError, match=r"text\.mp4 cannot be decoded"):
        follow_face(tmp_path / "text.mp4", 36)
    with pytest.raises(VideoError, match=r"unknown preset: 'smok'; did you mean 'smoke'"):
        open_reader("", "smok")
    with pytest.raises(VideoError, match=r"there is no file .*none\.pth"):
        open_reader(str(tmp_path / "none.pth"))
    other = tmp_path / "other.safetensors"
    save_weights(create_model("peak_cnn", 6, width=0.25), other, {})
    monkeypatch.setattr(own_network, "product", lambda *_: [("smoke", "oulu")])
    with pytest.raises(VideoError, match=r"other\.safetensors holds no whole STCAM"):
        open_reader(str(other))
    reader = open_reader(str(weights))
    assert "does not say what they were trained on" in reader.trained_on
    with pytest.raises(VideoError, match="clear is 2; give"):
        read_windows(reader, None, clear=2)
