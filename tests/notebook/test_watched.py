"""The watch over executed notebooks sees what it is for."""

import os
import shutil
import subprocess
import sys

import audit_hook

CODE = """
import os, pathlib, socket
pathlib.Path("results/a.txt").write_text("a")
pathlib.Path("b.txt").write_text("b")
os.mkdir("c"); os.rename("c", "d")
open("b.txt").read()
try: socket.create_connection(("192.0.2.1", 9), timeout=.01)
except OSError: pass
try: socket.create_connection(("127.0.0.1", 9), timeout=.01)
except OSError: pass
"""


def test_writes_and_calls_of_a_process_are_told(tmp_path):
    shutil.copy(audit_hook.__file__, tmp_path / "sitecustomize.py")
    (tmp_path / "results").mkdir()
    told = tmp_path / "told"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DFER_AUDIT": str(told)}
    subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, env=environment, check=True)
    found = audit_hook.outside(told.read_text().splitlines(), [tmp_path / "results"])
    said = " ".join(found)
    assert "192.0.2.1" in said
    assert "127.0.0.1" not in said
    for name in ("b.txt", "/c", "/d"):
        assert any(line.endswith(name) for line in found), name
    assert not any(line.endswith("a.txt") for line in found)
