"""One training as plain values, and finding it again: all that a worker has to know of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dferlib.notebook.parameters import Settings
from dferlib.notebook.request import request_of
from dferlib.training.planning import Planned, own_clips, trained_for
from dferlib.training.stores import locate_recipe_store


@dataclass(frozen=True)
class Order:
    """One training as plain values, which a worker makes a `Task` of again.

    `settings` name the variant, fold and seed of the row that it is trained for. `run_id` is what
    the worker has to find among what is trained for this row: with other code it would not find
    it. `kept` is whether its run is wanted, `passed_on` whether another training starts from its
    last weights. `title` says in words what it is.
    """

    settings: Settings
    run_id: str
    title: str
    kept: bool = True
    passed_on: bool = False


def planned_for(settings: Settings) -> Iterator[Planned]:
    """All that the notebook with these settings trains; no store is filled for it."""
    request = request_of(settings, open_store=locate_recipe_store)
    store = own_clips(request.paper, request.open(request.recipe(settings.dataset)))
    rows = request.plan(store, settings.variants, settings.folds)
    return trained_for(request.paper, rows)
