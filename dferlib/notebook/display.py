"""What every notebook shows: where its pixels come from, its figures, and that it came to its end.

A notebook shows `banner` once it knows where its pixels come from, and calls `finish` in its last
cell. papermill takes a notebook whose kernel died for a complete one; `execution.execute` believes
in a run only when that mark is there.
"""

import html
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import Markdown, display

import dferlib
from dferlib.files import write_atomic
from dferlib.notebook.parameters import Settings
from dferlib.protocols import Protocol, load_protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

END_MARK = "dferlib_finished"  # key in the metadata of the output that `finish` leaves
FIGURE_DPI = 120
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


def banner(settings: Settings, source: str, plan: Protocol | None = None) -> Banner:
    """Say what a notebook run shows: the source of its pixels, its preset, and how to use it.

    `source` is "real" or "synthetic", as the frame store found it. Every synthetic run says at the
    top that it reproduces nothing. Listed is what `plan`, the resolved protocol, changes of the
    paper's; by default the preset, whatever the clips. Put it last in a cell, or give it to
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
    facts = (
        f"Paper {settings.slug}; dataset {settings.dataset}; source {source}; "
        f"preset {settings.preset}; device {settings.device}"
    )
    listed = _listed_deviations(plan or _preset_plan(settings))
    colours = "#8a1c1c;color:#ffffff" if synthetic else "#e6f0e6;color:#10331a"
    text = [title, what, facts, USE_NOTICE, *(f"  differs from the paper: {d}" for d in listed)]
    return Banner(_banner_html(title, [what, facts], listed, colours), "\n".join(text))


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


def _preset_plan(settings: Settings) -> Protocol:
    paper = load_protocol(settings.slug)
    return paper.resolve(settings.preset, settings.dataset, settings.variants[0])


def _listed_deviations(plan: Protocol) -> list[str]:
    return [f"{d.name}: {d.value} instead of {d.paper} ({d.reason})" for d in plan.deviations()]


def finish(settings: Settings | None = None) -> None:
    """Mark that a notebook ran to its end; call it in the last code cell.

    The mark is an output whose metadata hold what was run, under the key `END_MARK`.
    """
    mark: dict[str, Any] = {"version": dferlib.__version__}
    text = "Finished."
    if settings is not None:
        chosen = settings.model_dump(include={"slug", "dataset", "source", "preset", "device"})
        mark |= chosen
        text = f"Finished: {', '.join(f'{name} {value}' for name, value in chosen.items())}."
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

    The image is a PNG whose output metadata hold `alt`; `caption` follows as Markdown. With
    `folder` and `name` the figure is kept as `<name>.png`, too, and as `<name>.svg` if it is drawn
    and not made of pixels, byte for byte the same for the same figure. Raises ValueError when
    `alt` is empty or one of the two is missing.
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    if bool(folder) != bool(name):
        raise ValueError(f"folder is {folder!r} and name {name!r}: give both, or neither")
    import matplotlib.pyplot as plt  # notebooks without a figure do not pay for it

    drawn = folder and not any(ax.images for ax in fig.axes)
    images = {kind: _image(fig, kind) for kind in (("png", "svg") if drawn else ("png",))}
    plt.close(fig)
    for kind, data in images.items() if folder else ():
        write_atomic(Path(folder) / f"{name}.{kind}", lambda file, data=data: file.write(data))
    width, height = (round(side * fig.dpi) for side in fig.get_size_inches())
    shown = {"image/png": images["png"], "text/plain": f"[figure: {alt}]"}
    sizes = {"alt": alt, "width": width, "height": height}
    display(shown, raw=True, metadata={"image/png": sizes})
    if caption:
        display(Markdown(caption))


def _image(fig: "Figure", kind: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    undated = {"Date": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "dferlib"}):  # ids in the file do not change by chance
        fig.savefig(buffer, format=kind, dpi=FIGURE_DPI, bbox_inches="tight", metadata=undated)
    return buffer.getvalue()
