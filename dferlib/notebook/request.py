"""From a notebook's checked parameters to what is asked of its trainings."""

from __future__ import annotations

from collections.abc import Callable

from dferlib.datasets.store import FrameStore
from dferlib.notebook.parameters import Settings
from dferlib.protocols import Paper, load_protocol
from dferlib.training.planning import Request
from dferlib.training.stores import open_recipe_store


def request_of(
    settings: Settings,
    paper: Paper | None = None,
    open_store: Callable[..., FrameStore] = open_recipe_store,
) -> Request:
    """What these parameters ask for; of the paper of their slug unless another is given."""
    names = ("preset", "seeds", "device", "init", "transfer", "source", "data_root", "results_dir")
    asked = {name: getattr(settings, name) for name in names}
    return Request(paper or load_protocol(settings.slug), **asked, open_store=open_store)
