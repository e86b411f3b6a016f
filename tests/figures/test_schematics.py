"""Schematic figures: every block is where its table says, with the shapes of the real model."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch

from dferlib.analysis import cost
from dferlib.figures import diagrams, schematics
from dferlib.models import create_model, paper_input

SCORES = [0.1, 0.2, 0.4, 0.1, 0.1, 0.05, 0.05]
FIGURES = {
    "stcam": ("stcam_1", "stcam_3", "stcam_4", "stcam_5"),
    "stt": ("stt_2",),
    "hacn": ("hacn_1", "hacn_2"),
    "ecnn_fsa": ("ecnn_fsa_1", "ecnn_fsa_3"),
    "ceflnet": ("ceflnet_1", "ceflnet_lrl", "ceflnet_3"),
}


@pytest.fixture(scope="module")
def shapes() -> dict[str, dict[str, str]]:
    found = {}
    for name in FIGURES:
        with torch.device("meta"):
            model = create_model(name, 7)
        names = getattr(schematics, name.upper())
        found[name] = cost.shape_texts(model, paper_input(name), names)
    return found


@pytest.mark.parametrize("paper", FIGURES)
def test_every_block_is_drawn_with_the_shape_of_the_model(paper, shapes):
    used = set()
    for name in FIGURES[paper]:
        scores = (SCORES,) if name == "ceflnet_3" else ()
        table = getattr(schematics, name)(shapes[paper], *scores)
        assert table["name"].is_unique
        figure = diagrams.plot_schematic(table, title=name)
        drawn = [text.get_text() for ax in figure.axes for text in ax.texts]
        for text in [*table["text"], *table["shape"]]:
            assert not text or text in drawn
        used |= {word for word in shapes[paper] if shapes[paper][word] in " | ".join(drawn)}
        arrows = sum(
            type(p).__name__ == "FancyArrowPatch" for ax in figure.axes for p in ax.patches
        )
        heads = table[table["kind"] != "joint"]["after"].str.split().str.len().sum()
        assert arrows == heads
        plt.close(figure)
    assert used == set(shapes[paper])  # nothing is traced that no figure shows


def test_the_shapes_are_those_of_the_papers(shapes):
    assert shapes["stcam"]["inception_c"] == "1072 x 7 x 7 x 7"  # §3.1: 1072 features
    assert shapes["hacn"]["backbone"] == "2048 x 7 x 7"
    assert shapes["ecnn_fsa"]["backbone"] == "2048"
    assert shapes["ceflnet"]["sal"] == "5 x 512"
    assert shapes["stt"]["transformer.blocks.0"] == "17 x 16 x 512"  # F + 1 frames, HW places


def test_the_located_clip_is_the_one_with_the_highest_score(shapes):
    table = schematics.ceflnet_3(shapes["ceflnet"], SCORES).set_index("name")
    assert table.loc["P", "text"].startswith("clip 3 is located")
    assert table.loc["A", "values"] == pytest.approx([0.25, 0.5, 1, 0.25, 0.25, 0.125, 0.125])


def test_arrows_end_at_the_edges_of_their_blocks():
    import pandas as pd

    rows = [
        diagrams.block("a", "A", 0, wide=2.0, tall=1.0),
        diagrams.block("b", "+", 4, 0, "operator", after="a"),
    ]
    figure = diagrams.plot_schematic(pd.DataFrame(rows))
    (arrow,) = [p for p in figure.axes[0].patches if type(p).__name__ == "FancyArrowPatch"]
    (start, end) = arrow._posA_posB
    assert start == pytest.approx((1.04, 0))
    assert end == pytest.approx((3.7, 0))
    rows[1]["after"] = "c"
    with pytest.raises(ValueError, match="'b' comes after 'c'"):
        diagrams.plot_schematic(pd.DataFrame(rows))
    rows[1]["kind"] = "blob"
    with pytest.raises(ValueError, match=r"blob.*valid: box, own"):
        diagrams.plot_schematic(pd.DataFrame(rows))
    plt.close("all")
