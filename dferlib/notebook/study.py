"""A paper's notebook as one object: what all five notebooks do stands here once.

    study = open_study("stcam", globals())
    study.banner()

Headings, prose, equations and what only one paper has stay in its notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dferlib.notebook.explanations import Explanations
from dferlib.notebook.pictures import Pictures
from dferlib.notebook.results import Results


class Study(Results, Pictures, Explanations):
    """A paper's notebook: its parameters, data and trainings, and its sections as methods."""


def open_study(
    slug: str,
    namespace: Mapping[str, Any],
    *,
    extras: Mapping[str, str] | None = None,
    pictures: Mapping[str, Any] | None = None,
) -> Study:
    """Check a notebook's parameters, open its frame store and plan its trainings.

    Call it as ``open_study(slug, globals())`` in the first cell after the parameters. `extras` maps
    the notebook's own parameters to their defaults; `pictures` are settings of the recipe for clips
    that are shown and not scored. Nothing is trained. Raises ParameterError with all that is wrong,
    real data that are not there among it, before anything is computed.
    """
    return Study(slug, namespace, extras=extras, pictures=pictures)
