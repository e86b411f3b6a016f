"""The frame store that a recipe is trained on: opened in one way, wherever it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dferlib.datasets import load_store, open_store
from dferlib.datasets.sources import find_source
from dferlib.datasets.store import FrameStore, store_name
from dferlib.files import cache_folder
from dferlib.protocols.recipe import Recipe


def open_recipe_store(
    recipe: Recipe, source: str = "auto", data_root: str | Path | None = None, **means: Any
) -> FrameStore:
    """Open the store of a recipe's dataset, with the frames and crops that the recipe says.

    Whoever opened it with the frame size alone would measure on other crops than the paper's.
    `source`, `data_root` and `means` (`workers`, `progress`) are those of
    `dferlib.datasets.open_store`, and so are the errors.
    """
    return open_store(
        recipe.dataset,
        source=source,
        data_root=data_root,
        size=recipe.store_size,
        fraction=recipe.fraction,
        faces=recipe.faces,
        **means,
    )


def locate_recipe_store(
    recipe: Recipe, source: str = "auto", data_root: str | Path | None = None
) -> FrameStore:
    """Return the same store, but where it is not filled yet, without frames: to plan with.

    A run id hangs on the list of clips and on the version of what makes their pixels, and both are
    known before anything is rendered or cut out.
    """
    what = find_source(recipe.dataset, source, data_root, recipe.fraction, faces=recipe.faces)
    path = cache_folder().absolute() / "stores" / store_name(what, recipe.store_size)
    if path.is_dir():
        return load_store(path)
    return FrameStore(
        manifest=what.manifest,
        frames=np.empty((0, recipe.store_size, recipe.store_size, 3), np.uint8),
        key="",
        path=path,
        size=recipe.store_size,
        dataset=what.dataset,
        source=what.source,
        classes=what.classes,
        pixels=what.pixels,
    )
