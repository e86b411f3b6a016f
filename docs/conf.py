"""How Sphinx makes the site: `python tasks.py site`.

The source folder is the project's root, so that a link in a page means the same here and in a
clone; `include_patterns` says which files are pages. Nothing is executed and nothing is fetched.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from modules import list_modules, reference  # noqa: E402

from dferlib import __version__  # noqa: E402
from dferlib.notebook.page import formula  # noqa: E402

project, author, release = "dferlib", "the dferlib authors", __version__
copyright = author
root_doc = "docs/index"
extensions = ["sphinx.ext.autodoc", "myst_nb"]
include_patterns = [
    "docs/**.md",
    "notebooks/**.ipynb",
    "results/*/*/notebook.ipynb",
    "results/dossiers/*.md",
    "results/*/README.md",
]
# The first are folders that a search for pages must not walk through.
exclude_patterns = [
    ".*",
    "out",
    "build",
    "dist",
    "dferlib",
    "tests",
    "benchmarks",
    "results-private",
    "**/.ipynb_checkpoints",
    "results/*/*-smoke",
]

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # scripts from elsewhere, and no kernel answers here
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["dollarmath", "amsmath", "html_image"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Notebooks begin sections at the level that reads well; docstrings are plain prose, in which
# docutils may see broken markup.
suppress_warnings = ["myst.header", "misc.highlighting_failure", "docutils"]

html_theme = "sphinx_book_theme"
html_title = "dferlib"
html_show_sourcelink = False
html_math_renderer = "drawn"
html_theme_options = {"show_toc_level": 2, "use_download_button": False}

REDIRECT = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">\n'


def setup(app) -> None:
    """Draw formulas with matplotlib, write the API's directives, and lead to the first page."""
    app.add_html_math_renderer("drawn", (inline_formula, None), (block_formula, None))
    app.connect("source-read", add_modules)
    app.connect("build-finished", write_first_page)


def inline_formula(translator, node) -> None:
    """Write a formula of a line as a picture with its TeX as text."""
    import docutils.nodes

    translator.body.append(formula(node.astext()))
    raise docutils.nodes.SkipNode


def block_formula(translator, node) -> None:
    """Write a formula that stands alone."""
    import docutils.nodes

    drawn = formula(node.astext())
    translator.body.append(f'<p style="text-align:center">{drawn}</p>')
    raise docutils.nodes.SkipNode


def add_modules(app, name: str, source: list[str]) -> None:
    """Put the reference of a room below the prose of its page in docs/api."""
    if name.startswith("docs/api/"):
        room = name.rpartition("/")[2]
        source[0] += "\n" + reference(list_modules(ROOT, room))


def write_first_page(app, error: Exception | None) -> None:
    """Lead from the folder's index to the site's first page."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "index.html").write_text(REDIRECT, encoding="utf-8")
