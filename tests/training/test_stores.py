"""A recipe's store is opened in one place, with all that the recipe says of its frames."""

import ast
from pathlib import Path

import pytest

import dferlib
from dferlib.protocols import load_protocol
from dferlib.training import stores

PACKAGE = Path(dferlib.__file__).parent
TREE = PACKAGE.parent
PLACES = [*(TREE / "benchmarks").rglob("*.py"), *PACKAGE.rglob("*.py")]


@pytest.mark.parametrize(("slug", "dataset"), [("ecnn_fsa", "ckplus"), ("stt", "afew")])
def test_the_store_has_the_crops_that_the_recipe_names(slug, dataset, monkeypatch):
    asked = {}
    monkeypatch.setattr(stores, "open_store", lambda name, **given: asked.update(given, name=name))
    recipe = load_protocol(slug).resolve("quick", dataset, slug)
    stores.open_recipe_store(recipe, "synthetic", "place")
    assert recipe.faces
    assert asked == {
        "name": dataset,
        "source": "synthetic",
        "data_root": "place",
        "size": recipe.store_size,
        "fraction": recipe.fraction,
        "faces": recipe.faces,
    }


def sizes_of_recipes(source: str) -> list[str]:
    """What takes the size of stored frames from a recipe to open a store with it.

    Calls of `open_store`, and mappings of its arguments.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        text = ast.unparse(node) if isinstance(node, ast.Call | ast.Dict) else ""
        call = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("open_store")
        if "recipe.store_size" in text and (call or "faces" in text):
            found.append(text)
    return found


def test_nobody_else_opens_a_store_by_a_recipe():
    others = [path for path in PLACES if path != Path(stores.__file__)]
    wrong = {path.name for path in others if sizes_of_recipes(path.read_text(encoding="utf-8"))}
    assert wrong == set()
    assert sizes_of_recipes("open_store('oulu', size=recipe.store_size)")
    assert sizes_of_recipes("where = {'size': recipe.store_size, 'faces': recipe.faces}")
