"""Pages of the site: links lead somewhere, tables of contents and the reference are whole."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FOUND = {
    ROOT / "README.md",
    *DOCS.rglob("*.md"),
    *(ROOT / "results").glob("*/README.md"),
    *(ROOT / "results" / "dossiers").glob("*.md"),
    *(ROOT / "notebooks").rglob("*.ipynb"),
}
PAGES = sorted(path for path in FOUND if ".ipynb_checkpoints" not in path.parts)
# [text](target), without code, in which brackets mean something else
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|\$[^$\n]+\$", re.M | re.S)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.M | re.S)


def text_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def slugs(text: str) -> set[str]:
    """Anchors that headings get, as GitHub and MyST name them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path: Path) -> list[str]:
    """Relative links of a page that lead to no file or no heading."""
    found = []
    for target in LINK.findall(CODE.sub("", text_of(path))):
        if re.match(r"[a-z]+:", target):  # elsewhere: not fetched
            continue
        name, _, anchor = target.partition("#")
        other = (path.parent / name).resolve() if name else path
        lost = not other.exists() or (
            anchor and other.suffix in (".md", ".ipynb") and anchor not in slugs(text_of(other))
        )
        found += [target] if lost else []
    return found


def test_every_link_between_pages_leads_somewhere():
    assert {ROOT / "docs" / "index.md", ROOT / "notebooks" / "00_start_here.ipynb"} <= {*PAGES}
    assert not {path.name: lost for path in PAGES if (lost := broken_links(path))}


def test_a_lost_file_and_a_lost_heading_are_found(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("# A b\n[x](#a-b) [x](#c) [x](b.md) [x](https://example.org) `[x](no.md)`\n")
    assert broken_links(page) == ["#c", "b.md"]


def listed(path: Path) -> set[Path]:
    """Pages that the tables of contents of a page name."""
    found = set()
    for body in TOCTREE.findall(path.read_text(encoding="utf-8")):
        for name in [line for line in body.splitlines() if line and not line.startswith(":")]:
            base, name = (ROOT, name[1:]) if name.startswith("/") else (path.parent, name)
            pages = [base / f"{name}{end}" for end in (".md", ".ipynb")]
            if "*" in name:
                found |= {p for end in (".md", ".ipynb") for p in base.glob(f"{name}{end}")}
            else:
                there = {page.resolve() for page in pages if page.is_file()}
                assert there, f"{path.name} lists {name}, which is no page"
                found |= there
    return found


def test_every_page_is_in_one_table_of_contents():
    tables = [listed(path) for path in DOCS.rglob("*.md")]
    reached = set().union(*tables)
    assert sum(map(len, tables)) == len(reached), "a page stands in two"
    pages = {*PAGES, *(ROOT / "results").glob("*/*/notebook.ipynb")}
    pages = {path for path in pages if not path.parent.name.endswith("-smoke")}
    assert pages - reached == {DOCS / "index.md", ROOT / "README.md"}


@pytest.fixture(scope="module")
def modules():
    spec = importlib.util.spec_from_file_location("modules", DOCS / "modules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_holds_every_module_of_the_package_once(modules):
    rooms = {p.stem: modules.list_modules(ROOT, p.stem) for p in (DOCS / "api").glob("*.md")}
    named = [name for names in rooms.values() for name in names]
    files = [path for path in (ROOT / "dferlib").rglob("*.py") if path.name != "__main__.py"]
    assert len(named) == len({*named}) == len(files) - 1  # the package itself says its version
    assert "dferlib.datasets.faces" in rooms["datasets"]
    assert ".. automodule:: dferlib.files\n" in modules.reference(rooms["ground"])
    with pytest.raises(FileNotFoundError, match=r"rename docs/api/cellar\.md"):
        modules.list_modules(ROOT, "cellar")


def test_the_timetable_is_that_of_the_lessons():
    rows = re.findall(r"^\| (\d) .+? \| (\d+) \| (\d+) \|", text_of(DOCS / "teaching.md"), re.M)
    lessons = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
    found = []
    for lesson in lessons:
        minutes = sum(map(int, re.findall(r"^\| \d .* \| (\d+) \|$", text_of(lesson), re.M)))
        keys = set(re.findall(r'check\(\\"([a-z_]+\.\d)', lesson.read_text(encoding="utf-8")))
        found.append((lesson.name[0], str(minutes), str(len(keys))))
    assert rows == found
