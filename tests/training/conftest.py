"""A toy store and a small recipe for all tests of training."""

import pytest
from toy import make_store

from dferlib.protocols import load_protocol


@pytest.fixture(scope="package")
def store():
    return make_store()


@pytest.fixture
def recipe():
    smoke = load_protocol("stcam").resolve("smoke", "oulu", "stcam")
    return smoke.override(epochs=3, lr=0.01, milestones=(2,), width=0.1)
