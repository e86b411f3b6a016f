"""The benchmarks lie beside the package, and are imported from the project's folder."""

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


# tests for a GPU that are tried on the processor where there is none: the quickest of each kind
TRIED = (
    "test_a_network_computes_what_it_does_on_the_processor[peak_cnn]",
    "test_batches_are_those_of_the_processor[True]",
    "test_no_step_waits_for_the_device[float32]",
)


@pytest.fixture
def gpu(request) -> torch.device:
    """The GPU; the processor where the test itself is tried: with DFER_DRY every one is."""
    if torch.cuda.is_available() and not os.environ.get("DFER_DRY"):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        return torch.device("cuda")
    if os.environ.get("DFER_DRY") or request.node.name in TRIED:
        return torch.device("cpu")
    pytest.skip("needs a CUDA device")
