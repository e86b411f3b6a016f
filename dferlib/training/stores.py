"""The frame store that a recipe is trained on: opened in one way, wherever it is opened."""

from __future__ import annotations

from pathlib import Path

from dferlib.datasets import open_store
from dferlib.datasets.store import FrameStore
from dferlib.protocols.recipe import Recipe


def open_recipe_store(
    recipe: Recipe, source: str = "auto", data_root: str | Path | None = None
) -> FrameStore:
    """Open the store of a recipe's dataset, with the frames and crops that the recipe says.

    Whoever opened it with the frame size alone would measure on other crops than the paper's.
    `source` and `data_root` are those of `dferlib.datasets.open_store`, and so are the errors.
    """
    return open_store(
        recipe.dataset,
        source=source,
        data_root=data_root,
        size=recipe.store_size,
        fraction=recipe.fraction,
        faces=recipe.faces,
    )
