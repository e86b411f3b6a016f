"""A cache of its own with a frame store of noise where the Oulu-CASIA stand-in would lie."""

import os
from dataclasses import replace

import numpy as np
import pytest

from dferlib.analysis.full_cost import Size
from dferlib.datasets.building import build_store
from dferlib.datasets.sources import find_source
from dferlib.datasets.store import store_name
from dferlib.files import digest
from dferlib.protocols import load_protocol
from dferlib.sweep import planning, running
from dferlib.sweep.planning import choose_settings
from dferlib.training import tasks


def fill(source, folder, size):
    """Fill the store of a source with noise, which takes no time to render."""
    lengths = source.manifest["n_frames"].to_numpy()

    def job(rows):
        count = int(lengths[list(rows)].sum())

        def make(size):
            noise = np.random.default_rng(rows[0]).integers(0, 256, (count, size, size, 3))
            return noise.astype(np.uint8), {}, {}

        return make

    path = folder / "stores" / store_name(source, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    build_store(replace(source, job=job), path, size, workers=1, progress=False)


@pytest.fixture(scope="package")
def own_cache(tmp_path_factory):
    """A cache for the sweeps of these tests, which their workers get from the environment."""
    before, folder = os.environ.get("DFER_CACHE"), tmp_path_factory.mktemp("cache")
    os.environ["DFER_CACHE"] = str(folder)
    recipe = load_protocol("stcam").resolve("smoke", "oulu", "stcam")
    source = find_source("oulu", "synthetic", fraction=recipe.fraction)
    fill(source, folder, recipe.store_size)
    yield folder
    if before is not None:
        os.environ["DFER_CACHE"] = before


@pytest.fixture
def quick_ids(monkeypatch):
    """Ids that no network has to be run for; they hang on the same settings."""

    def fingerprint(recipe, classes, age):
        return digest([recipe.model, recipe.model_options(), recipe.num_frames, classes])

    monkeypatch.setattr(tasks, "known_fingerprint", fingerprint)


@pytest.fixture
def quick_counts(monkeypatch):
    """Sizes of networks that no network is built for."""
    monkeypatch.setattr(planning, "size_of", lambda *what: Size(1000, 10**6))
    monkeypatch.setattr(running, "training_bytes", lambda *what: 10**6)


@pytest.fixture
def smoke(own_cache):
    """Settings of STCAM at smoke on that store; what is given is changed."""

    def make(results, **changes):
        given = {"preset": "smoke", "source": "synthetic", "variants": "baseline"}
        given |= {"device": "cpu", "results_dir": str(results), "folds": "1,2"}
        return choose_settings("stcam", "oulu", **given | changes)

    return make
