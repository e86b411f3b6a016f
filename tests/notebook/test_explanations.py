"""The section that scores a paper's maps, on a toy store with a truth."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dferlib.datasets.batches import ClipLoader
from dferlib.models import create_model
from dferlib.notebook import explanations, opening
from dferlib.notebook.study import Study
from tests.toy import make_store


def study_of(truth: bool) -> Study:
    """A study with an untrained network, as it is after training."""
    store = make_store(subjects=4, length=9, size=36)
    masks = np.zeros((len(store.frames), 16, 16), dtype=np.uint8)
    masks[:, 4:8, 4:9] = np.resize(np.linspace(0, 255, 9), len(masks))[:, None, None]
    aus = np.resize(np.arange(9.0), len(masks))[:, None, None].repeat(2, 2)
    store = replace(store, truth={"mask": masks, "aus": aus} if truth else {})
    study = object.__new__(Study)
    study.settings, study.store, study.variant = SimpleNamespace(preset="smoke"), store, "stcam"
    study.loader = ClipLoader(store, "neutral_to_peak", 7, 32, 4, torch.device("cpu"))
    study.test = np.arange(12, 24)
    study.first_task = lambda name="": None if name == "map" else SimpleNamespace()
    torch.manual_seed(0)
    study.model = create_model("stcam", 6, width=0.25).eval()
    return study


@pytest.mark.parametrize("truth", [True, False])
def test_the_section_shows_a_figure_a_table_and_a_verdict(truth, monkeypatch):
    shown, figures = [], []
    monkeypatch.setattr(explanations, "display", lambda *items: shown.extend(items))
    monkeypatch.setattr(Study, "show", lambda self, figure, **text: figures.append((figure, text)))
    monkeypatch.setattr(opening, "display", lambda *items: None)
    study_of(truth).explanations("map")  # a row that was not run is left out
    ((figure, text),) = figures
    assert text["name"] == "explanations"
    panels = [ax.get_xlabel().partition("\n")[0] for ax in figure.axes]
    asked = ["where it moves", "when it moves"] if truth else []
    assert panels == [*asked, "insertion minus deletion", "same map, weights redrawn"]
    table = shown[0].data
    assert {"STAM 4x4", "Grad-CAM, inception_c 1x1"} & set(table["map"]) == {"STAM 4x4"}
    assert len(set(table["question"])) == len(panels) - 1
    said = shown[-1].data
    assert "at most 2 persons" in said
    assert ("6 for where the face moves" in said) is truth
    assert "3 for what the answer depends on; 3 with redrawn weights" in said
    assert "All weights redrawn" not in said  # no sentence reads the numbers of a smoke run
    plt.close(figure)
