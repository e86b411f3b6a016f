"""What every notebook shows: where its pixels come from, its figures, and that it came to its end.

A notebook shows `banner` once it knows where its pixels come from, and calls `finish` in its last
cell. papermill takes a notebook whose kernel died for a complete one; `execution.execute` believes
in a run only when that mark is there.
"""

import base64
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import display
from PIL import Image

import dferlib
from dferlib.files import write_atomic
from dferlib.notebook.parameters import Settings
from dferlib.notebook.times import measured_times, show_times
from dferlib.protocols import Recipe, list_protocols, load_protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

END_MARK = "dferlib_finished"  # key in the metadata of the output that `finish` leaves
FIGURE_DPI = 200  # of the file that is kept
JPEG = {"quality": 80, "optimize": True}
SHADES = 256  # colours of a drawn figure as it is embedded: a third of the bytes
SMOKE_NOTICE = (
    "SMOKE RUN - its numbers mean nothing. It shows that every line runs; sentences that read a "
    "number are left out, and nothing goes into the stored results."
)
USE_NOTICE = (
    "Use: research and teaching, on datasets. Do not infer the emotions of people at work or in "
    "education with it; the EU AI Act prohibits that (Art. 5(1)(f)). A recognised expression is "
    "not a felt emotion."
)


@dataclass(frozen=True)
class Banner:
    """A notice that a notebook shows: as HTML where that is possible, else as text."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def banner(
    settings: Settings, source: str, recipe: Recipe | None = None, left_out: str = ""
) -> Banner:
    """Say what a notebook run shows: the source of its pixels, its preset, and how to use it.

    `source` is "real" or "synthetic", as the frame store found it. Every synthetic run says at the
    top that it reproduces nothing. Listed is what `recipe`, that of one training, changes of the
    paper's; by default the preset, whatever the clips. `left_out` says in what this run is a part
    of its preset. Named are the folder of the results and what stored runs of this notebook took. A
    smoke run says first that its numbers mean nothing. Put it last in a cell, or give it to
    `display`.
    """
    if source not in ("real", "synthetic"):
        raise ValueError(f"source is {source!r}; give the store's: 'real' or 'synthetic'")
    synthetic = source == "synthetic"
    title = "SYNTHETIC DATA - not a reproduction" if synthetic else "REAL DATA"
    what = (
        f"Procedural faces stand in for {settings.dataset}: every number of ours below is about "
        "procedural faces. Published numbers are about real data."
        if synthetic
        else f"Frames come from the {settings.dataset} dataset. Keep what you make from them "
        "within its licence."
    )
    recipe = recipe or _preset_recipe(settings)
    facts = (
        f"Paper {settings.slug}; dataset {settings.dataset}; source {source}; "
        f"preset {settings.preset}; init {_init_of(settings, recipe)}; device {settings.device}"
    )
    listed = [f"{d.name}: {d.value} instead of {d.paper} ({d.reason})" for d in recipe.deviations()]
    colours = "#8a1c1c;color:#ffffff" if synthetic else "#e6f0e6;color:#10331a"
    named = recipe.slug in list_protocols()  # the benchmark is nobody's paper and has no stage
    stage = load_protocol(recipe.slug).describe_stage(recipe) if named else ""
    where = (
        f"Results go to {settings.folder(source)}. A relative results_dir would be taken from the "
        "project's folder, wherever this notebook is opened."
    )
    smoke = [SMOKE_NOTICE] if settings.preset == "smoke" else []
    said = [*smoke, what, facts, where, *(line for line in (stage, left_out) if line)]
    times = measured_times(settings.slug)
    text = [title, *said, USE_NOTICE, *(f"  differs from the paper: {d}" for d in listed)]
    text += [f"  measured: {run.line}" for run in times]
    shown = _banner_html(title, said, listed, colours) + show_times(times)
    return Banner(shown, "\n".join(text))


def _init_of(settings: Settings, recipe: Recipe) -> str:
    """What the trainings start from; where the parameter leaves it to the preset, both words."""
    return f"paper ({recipe.init})" if settings.init == "paper" else settings.init


def _banner_html(title: str, lines: list[str], deviations: list[str], colours: str) -> str:
    paragraphs = "".join(f"<p style='margin:.4em 0'>{html.escape(line)}</p>" for line in lines)
    items = "".join(f"<li>{html.escape(item)}</li>" for item in deviations)
    count = f"{len(deviations)} settings differ from the paper's"
    details = f"<details><summary>{count}</summary><ul>{items}</ul></details>" if items else ""
    return (
        f"<div role='note' style='background:{colours};padding:1em;border-radius:6px'>"
        f"<strong style='font-size:1.5em'>{html.escape(title)}</strong>{paragraphs}</div>"
        f"<p><em>{html.escape(USE_NOTICE)}</em></p>{details}"
    )


def _preset_recipe(settings: Settings) -> Recipe:
    paper = load_protocol(settings.slug)
    return paper.resolve(settings.preset, settings.dataset, settings.variants[0])


def finish(settings: Settings | None = None, **facts: Any) -> None:
    """Mark that a notebook ran to its end; call it in the last code cell.

    The mark is an output whose metadata hold what was run, and any further `facts`, under the key
    `END_MARK`.
    """
    mark: dict[str, Any] = {"version": dferlib.__version__}
    text = "Finished."
    if settings is not None:
        chosen = settings.model_dump(
            include={"slug", "dataset", "source", "preset", "init", "device"}
        )
        mark |= {**chosen, **facts}
        text = (
            f"Finished: the notebook of {chosen['slug']} on {chosen['dataset']}, source "
            f"{chosen['source']}, preset {chosen['preset']}, init {chosen['init']}, device "
            f"{chosen['device']}."
        )
    display({"text/plain": text}, raw=True, metadata={END_MARK: mark})


def display_figure(
    fig: "Figure",
    alt: str,
    caption: str = "",
    *,
    folder: str | Path | None = None,
    name: str = "",
) -> None:
    """Show a matplotlib figure with a text for those who cannot see it, and close it.

    A figure with photographs in it is embedded as JPEG at the size at which it is shown, a drawn
    one as PNG, in HTML whose `<img>` holds `alt` and whose `<figcaption>` holds `caption`: front
    ends drop a text that stands in an output's metadata. With `folder` and `name` the figure is
    kept as `<name>.png` and `<name>.svg`, too, texts and lines around pixels being vectors there,
    byte for byte the same for the same figure. Raises ValueError when `alt` is empty or one of the
    two is missing.
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    if bool(folder) != bool(name):
        raise ValueError(f"folder is {folder!r} and name {name!r}: give both, or neither")
    import matplotlib.pyplot as plt  # notebooks without a figure do not pay for it

    drawn = not any(ax.images for ax in fig.axes)
    images = {kind: _image(fig, kind) for kind in ("png", "svg")} if folder or drawn else {}
    shown = ("png", _fewer_colours(images["png"])) if drawn else ("jpeg", _image(fig, "jpg"))
    plt.close(fig)
    for kind, data in images.items() if folder else ():
        write_atomic(Path(folder) / f"{name}.{kind}", lambda file, data=data: file.write(data))
    width = round(fig.get_size_inches()[0] * fig.dpi)
    shown_as = f"[figure: {alt}]" + (f"\n{caption}" if caption else "")
    page = figure_html(*shown, alt, caption, width)
    display({"text/html": page, "text/plain": shown_as}, raw=True)


def figure_html(kind: str, data: bytes, alt: str, caption: str = "", width: int = 0) -> str:
    """A picture (`kind` is png or jpeg) as a figure of HTML with its texts, `width` in pixels.

    In `caption`, words in backquotes are code and words in asterisks stressed, as in Markdown.
    """
    said = html.escape(caption)
    for mark, tag in (("`", "code"), ("*", "em")):
        said = re.sub(rf"[{mark}]([^{mark}\n]+)[{mark}]", rf"<{tag}>\1</{tag}>", said)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    size = f' width="{width}"' if width else ""
    below = f"<figcaption>{said}</figcaption>" if said else ""
    return (
        f'<figure style="margin:0"><img alt="{html.escape(alt)}"{size} src="{source}" '
        f'style="max-width:100%;height:auto;background:#ffffff">{below}</figure>'
    )


def _fewer_colours(data: bytes) -> bytes:
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    picture.quantize(SHADES, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _image(fig: "Figure", kind: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    options = {
        "svg": {"metadata": {"Date": None}, "dpi": FIGURE_DPI},
        "png": {"metadata": {"Software": None}, "dpi": FIGURE_DPI},
        "jpg": {"pil_kwargs": JPEG, "dpi": fig.dpi},
    }
    with mpl.rc_context({"svg.hashsalt": "dferlib"}):  # ids in the file do not change by chance
        fig.savefig(buffer, format=kind, bbox_inches="tight", **options[kind])
    return buffer.getvalue()
