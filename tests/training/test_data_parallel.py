"""One training in two processes that torchrun starts, against the same training in one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import parallel_steps
import pytest
import torch

from dferlib.evidence.runs import load_run
from dferlib.files import project_root
from dferlib.training.data_parallel import process_group

SCRIPT = Path(parallel_steps.__file__)


@pytest.fixture(scope="module")
def ended(tmp_path_factory, cache):
    """Folder with what two processes left."""
    folder = tmp_path_factory.mktemp("parallel")
    places = (project_root(), SCRIPT.parent, os.environ.get("PYTHONPATH", ""))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)), "OMP_NUM_THREADS": "1"}
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    script = (SCRIPT, folder)
    done = subprocess.run(
        [*map(str, (*torchrun, "--nproc-per-node", "2", *script))],
        env={**env, "DFER_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def near(one, two):
    """Whether two vectors in float64 differ by no more than rounding."""
    return one.dtype == two.dtype == torch.float64 and (one - two).norm() < 1e-9 * one.norm()


@pytest.mark.parametrize("loss", ["cross_entropy", "centre", "ec_stfl"])
def test_gradients_and_norms_are_those_of_one_process(ended, loss):
    task = parallel_steps.make_task(ended / "unused")
    one = parallel_steps.gradients(task, loss, task.loader())
    two = torch.load(ended / "gradients.pt", weights_only=True)[loss]
    first = sum(p.numel() for p in task.build().parameters())
    assert near(one[:first], two[:first])
    # in the step of one clip, channels without variance may lie on a kink, where rounding decides
    assert (one - two).norm() < 1e-4 * one.norm()
    assert one.norm() > 0.1


def test_the_run_is_that_of_one_process(ended, tmp_path):
    task = parallel_steps.make_task(tmp_path, batch_size=16)
    one = task.run()
    two = load_run(ended / "two", task.id)
    assert len(two.history) == 2
    for name in ("train_loss", "train_war", "val_war", "test_war"):
        assert np.allclose(one.history[name], two.history[name], rtol=1e-9, atol=0), name
    for name in ("val_loss", "test_loss"):  # of probabilities, which are kept in float32
        assert np.allclose(one.history[name], two.history[name], rtol=1e-6, atol=0), name
    weights = torch.load(ended / "weights.pt", weights_only=True)
    assert near(parallel_steps.vector(task.trained().parameters()), weights)
    columns = [name for name in one.predictions if name.startswith("p_")]
    assert np.allclose(one.predictions[columns], two.predictions[columns], rtol=0, atol=2e-6)
    assert [path.name for path in (ended / "two" / "runs").iterdir()] == [f"{task.id}.json"]


def test_a_process_alone_says_how_it_is_started(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(RuntimeError, match="start it by `torchrun"), process_group():
        pass
