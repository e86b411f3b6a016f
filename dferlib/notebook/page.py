"""An executed notebook as one HTML file that needs nothing of the network: `make run` ends in it.

    python -m dferlib.notebook.page out/stcam-oulu.ipynb

nbconvert leaves formulas to a script that browsers load from a server. Here matplotlib draws them
as pictures with their TeX as alternative text, and no script is named.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from dferlib.files import write_atomic

POINTS = 12.0  # size of a letter in the drawing; a page scales it to its own
# mathtext has these under another name, or not at all: brackets keep the size of the line
WORDS = {r"\Big": "", r"\big": "", r"\text": r"\mathrm"}
_WORD = re.compile(r"\\(?:Big|big|text)(?![a-zA-Z])")
_BARE_ROOT = re.compile(r"\\sqrt\s+(\w)")
_REMOTE_SCRIPT = re.compile(
    r"<script[^>]*\bsrc=[^>]*>\s*</script>|"
    r"<script type=\"(?:text/x-mathjax-config|module)\">.*?</script>",
    re.DOTALL,
)
STYLE = """<style>
figcaption, caption { font-size: 0.9em; text-align: left; padding: 4px 0; }
.formula { vertical-align: middle; }
</style></head>"""


class Page(HTMLExporter):
    """nbconvert's HTML with formulas as pictures and without scripts from elsewhere."""

    embed_images = True

    def default_filters(self) -> Iterator[tuple[str, object]]:
        """Yield the filters of the templates, Markdown with drawn formulas among them."""
        yield from super().default_filters()
        yield "markdown2html", _to_html

    def from_notebook_node(self, nb, resources=None, **options):
        """Convert a notebook; returns the HTML and nbconvert's resources."""
        nb = nbformat.from_dict(nb)
        nb.metadata.pop("widgets", None)  # widgets are dead here, and their scripts remote
        page, resources = super().from_notebook_node(nb, resources, **options)
        return _REMOTE_SCRIPT.sub("", page).replace("</head>", STYLE, 1), resources


class _Renderer(IPythonRenderer):
    def block_math(self, body: str) -> str:
        return f'<p style="text-align:center">{formula(body)}</p>'

    def inline_math(self, body: str) -> str:
        return formula(body)


def _to_html(source: str) -> str:
    return MarkdownWithMath(renderer=_Renderer(escape=False)).render(source)


@cache
def formula(tex: str) -> str:
    """A formula as an `<img>` of vectors with its TeX as `alt`; the TeX where it has no drawing."""
    alt = html.escape(" ".join(html.unescape(tex).split()))
    plain = _WORD.sub(lambda found: WORDS[found[0]], " ".join(html.unescape(tex).split()))
    plain = _BARE_ROOT.sub(r"\\sqrt{\1}", plain)
    buffer = io.BytesIO()
    try:
        with rc_context({"svg.hashsalt": "dferlib", "mathtext.fontset": "stix"}):
            font = FontProperties(size=POINTS)
            depth = math_to_image(f"${plain}$", buffer, prop=font, dpi=72, format="svg")
    except ValueError:  # mathtext does not know a command
        return f"<code>{alt}</code>"
    height = re.search(rb'height="([\d.]+)pt"', buffer.getvalue())
    size = f"height:{float(height[1]) / POINTS:.3f}em;vertical-align:{-depth / POINTS:.3f}em"
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<img class="formula" alt="{alt}" style="{size}" src="data:image/svg+xml;base64,{data}">'
    )


def write_page(notebook: Path, output: Path | None = None) -> Path:
    """Write a notebook as HTML, by default beside it; returns the path of the page."""
    output = notebook.with_suffix(".html") if output is None else output
    node = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"name": notebook.stem}}
    page, _ = Page().from_notebook_node(node, resources=resources)
    return write_atomic(output, lambda file: file.write(page), mode="w")


def main(arguments: list[str] | None = None) -> int:
    """Write an executed notebook as HTML that is read offline."""
    parser = argparse.ArgumentParser(prog="python -m dferlib.notebook.page", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path, nargs="?")
    chosen = parser.parse_args(arguments)
    if not chosen.notebook.is_file():
        parser.error(f"there is no notebook {chosen.notebook}")
    write_page(chosen.notebook, chosen.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
