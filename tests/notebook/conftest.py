"""Every notebook that a test executes is watched: where it writes, and whom it calls."""

import os
import shutil
from pathlib import Path

import audit_hook
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def watched(request, tmp_path, monkeypatch):
    """The kernels of a test that executes notebooks write to results and cache, and call nobody."""
    if not request.node.get_closest_marker("notebook"):
        yield
        return
    folder, log = tmp_path / "watch", tmp_path / "watch" / "log.txt"
    folder.mkdir()
    shutil.copy(audit_hook.__file__, folder / "sitecustomize.py")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("DFER_AUDIT", str(log))
    yield
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    allowed = [tmp_path, ROOT / "out", Path(os.environ["DFER_CACHE"])]
    assert not audit_hook.outside(lines, allowed)
