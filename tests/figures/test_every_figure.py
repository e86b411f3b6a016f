"""What holds for every figure of the package, whichever function draws it."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import toy_figures as toy
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from dferlib.figures import clips, curves, matrices, palette, plots, wording
from dferlib.figures.overlays import DENSEST, show_overlay
from dferlib.names import SELECTION_RULES
from dferlib.notebook import display
from dferlib.protocols import load_protocol

PAPERS = [load_protocol(k) for k in ("stcam", "stt", "ceflnet", "hacn", "ecnn_fsa")]
SLUGS = {name for paper in PAPERS for name in (*paper.datasets, paper.slug)} | {*SELECTION_RULES}
SLUGS -= {"last"}  # an English word, too


@pytest.fixture(scope="module", params=toy.BUILDERS)
def figure(request):
    """A figure of each function, drawn once for all tests."""
    with plt.rc_context(plots.STYLE | {"figure.dpi": 60}):
        drawn = toy.draw(request.param)
        drawn.canvas.draw()
        yield drawn
    plt.close(drawn)


def texts_of(figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]


def test_no_name_of_code_is_written(figure):
    for text in texts_of(figure):
        words = re.sub(r"\$.*?\$", "", text.get_text())
        assert "_" not in words
        assert not SLUGS & set(re.findall(r"[\w-]+", words)), words


def test_texts_can_be_read_on_what_is_below_them(figure):
    found = texts_of(figure)
    boxes = [text.get_window_extent() for text in found]
    figure.set_layout_engine("none")  # nothing moves when texts go
    for text in found:
        text.set_visible(False)
    figure.canvas.draw()
    for text in found:
        text.set_visible(True)
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255
    for text, box in zip(found, boxes, strict=True):
        low, high = np.floor([box.x0, box.y0]), np.ceil([box.x1, box.y1])
        (left, lower), (right, upper) = low.clip(0).astype(int), high.clip(1).astype(int)
        below = pixels[lower:upper, left:right].reshape(-1, 3)
        if len(below):
            ratio = palette.contrast(to_rgba(text.get_color())[:3], np.median(below, axis=0))
            assert ratio >= 4.5, (text.get_text(), round(ratio, 2))


def test_legends_stand_beside_the_data_and_lines_are_few(figure):
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is not None:
            box, data = legend.get_window_extent(), ax.get_window_extent()
            assert not box.padded(-2).overlaps(data)
            assert len(legend.get_texts()) <= max(palette.MOST_LINES, len(toy.CLASSES))
        curved = [line for line in ax.lines if len(line.get_xdata()) > 2]
        assert len(curved) <= palette.MOST_LINES


def test_what_a_legend_names_is_seen_on_white_and_not_by_colour_alone(figure):
    legends = [ax.get_legend() for ax in figure.axes] + list(figure.legends)
    bars = [
        bar
        for ax in figure.axes
        for bar in ax.containers
        if isinstance(bar, ErrorbarContainer) and bar[0] is not None  # reaches of bars have no line
    ]
    marks = {bar.get_label(): (bar[0].get_marker(), bar[0].get_linestyle()) for bar in bars}
    for legend in filter(None, legends):
        looks = set()
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if hasattr(handle, "get_facecolor"):
                colours = (handle.get_facecolor(), handle.get_edgecolor())
                colour = next(c for c in map(np.atleast_2d, colours) if c.size)[0]
                outline = handle.get_paths() if hasattr(handle, "get_paths") else ()
                shape = [path.vertices.round(2).tolist() for path in outline]
                shape = marks.get(text.get_text(), shape or handle.get_hatch())
            else:
                colour = to_rgba(handle.get_color())
                shape = (handle.get_marker(), handle.get_linestyle())
            assert palette.contrast(colour[:3], "white") >= 3
            looks.add(str(shape))
        assert len(looks) == len(legend.legend_handles)


def test_pixels_are_kept_with_vectors_around_them(tmp_path, monkeypatch):
    monkeypatch.setattr(display, "display", lambda *_, **__: None)
    for name in ("bare samples", "times"):
        drawn = toy.draw(name)
        inches = drawn.get_size_inches()[0]
        display.display_figure(drawn, "a figure", folder=tmp_path, name=name)
        width = plt.imread(tmp_path / f"{name}.png").shape[1]
        assert width == pytest.approx(200 * inches, rel=0.1)
        drawing = (tmp_path / f"{name}.svg").read_text()
        assert ("<image" in drawing) == (name == "bare samples")
        assert "<path" in drawing


def test_a_class_looks_the_same_in_every_figure():
    look = palette.class_styles(["fear", "anger"])["fear"]
    assert palette.class_styles(toy.CLASSES)["fear"] == look
    roc = {ax.get_title()[:4]: ax for ax in toy.BUILDERS["roc"]().axes}["fear"]
    profile = curves.plot_time_profile(toy.profile(["anger", "fear"]), label="w").axes[0]
    points = plots.plot_embedding(np.zeros((2, 2)), ["surprise", "fear"])
    assert look.colour in {line.get_color() for line in roc.lines}
    assert look.colour in {line.get_color() for line in profile.lines}
    dots = [tuple(c.get_facecolor()[0][:3]) for c in points.collections]
    assert to_rgb(look.colour) in dots
    plt.close("all")


def test_looks_are_apart_and_seen_on_white():
    looks = palette.class_styles([*toy.CLASSES, "neutral"])
    for part in zip(*looks.values(), strict=True):
        assert len(set(part)) == len(looks)
    sets = [looks, palette.dataset_styles(PAPERS[2].datasets), palette.curve_styles("abcdef")]
    sets.append({rule: palette.rule_style(rule) for rule in SELECTION_RULES})
    for styles in sets:
        assert len({look.colour for look in styles.values()}) == len(styles)
        assert all(palette.contrast(look.colour, "white") >= 3 for look in styles.values())
    own = palette.class_styles(["calm", "anger", "boredom"])  # of one's own clips
    assert len({look.colour for look in own.values()}) == 3
    with pytest.raises(ValueError, match="7 lines in one panel"):
        palette.curve_styles("abcdefg")
    assert palette.contrast("black", "white") == pytest.approx(21)
    shades = plt.get_cmap(palette.SHARES)(np.linspace(0, 1, 99))
    assert min(palette.contrast(palette.text_on(c), c) for c in shades) >= 4.5


def test_what_is_known_of_code_names_is_worded():
    for paper in PAPERS:
        assert not {wording.dataset_name(name) for name in paper.datasets} & {*paper.datasets}
    assert wording.attention_name("reduction_b.3dcam") == "3D-CAM in 3D-Reduction-B"
    assert wording.attention_name("block2.read") == "class token, block 2"
    assert wording.attention_name("alpha (self-attention)") == "alpha (self-attention)"
    assert "oracle" in wording.rule_name("best_test")


def test_a_matrix_names_its_clips_and_is_none_where_few_cells_are_printed():
    matrix, sparse = toy.matrix(), toy.sparse()
    ax = matrices.plot_confusion(matrix, toy.CLASSES, counts=range(7))
    assert [t.get_text() for t in ax.get_yticklabels()][3] == "fear (n = 3)"
    assert any("share of the true class" in a.get_ylabel() for a in ax.figure.axes)
    pair = matrices.plot_confusion_pair(matrix, sparse, toy.CLASSES, title="t")
    titles = [ax.get_title() for ax in pair.axes]
    assert "ours - published" not in titles
    points = pair.axes[titles.index("what the paper prints")]
    assert [t.get_text() for t in points.get_yticklabels()] == ["contempt", "fear"]
    printed, own = (c.get_offsets()[:, 0] for c in points.collections[1:])
    assert list(printed) == [1, 0.4]
    assert list(own) == pytest.approx([matrix[1, 1], matrix[3, 3]])
    plt.close("all")


def test_the_face_stays_visible_below_a_map_and_its_range_is_used():
    ax = plt.subplots()[1]
    weights = np.linspace(0.45, 0.55, 64).reshape(8, 8)
    show_overlay(ax, np.zeros((8, 8, 3)), weights, (0.45, 0.55))
    alpha = ax.images[1].get_array()[..., 3]
    assert alpha.min() == 0
    assert alpha.max() == pytest.approx(DENSEST)
    figure = plots.plot_maps_over_frames(
        np.zeros((1, 8, 8, 3)), weights[None], ["1"], value_range=(0, 1)
    )
    assert figure.axes[1].images[0].get_clim() == (0.45, 0.55)
    assert figure.axes[-1].get_ylabel() == "weight, 0.45 to 0.55\nof 0 to 1"
    plt.close("all")


def test_a_located_clip_names_its_score_in_ink_that_can_be_read():
    figure = clips.plot_located_clips(
        np.zeros((1, 2, 4, 4, 3)), np.array([[0.9, 0.1]]), ["a"], [[]]
    )
    assert [ax.texts[0].get_color() for ax in figure.axes if ax.texts] == ["white", "black"]
    plt.close(figure)
