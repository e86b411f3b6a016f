"""What all tests share: a cache of their own, no data of the user, small trees of two datasets."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

# before anything imports torch or matplotlib
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("DFER_DATA", None)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id) -> Path:
    """A folder that lasts for the session, common to the processes of a parallel one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def worker_id(request) -> str:
    """Name of this process in a parallel session; `master` if there is only one."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")


@pytest.fixture(scope="session", autouse=True)
def cache(shared_folder):
    """Stores and weights of the tests go here, and not into the user's cache."""
    os.environ["DFER_CACHE"] = str(shared_folder / "cache")
    return Path(os.environ["DFER_CACHE"])


def _write_once(folder: Path, write) -> Path:
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}-partial")
            shutil.rmtree(partial, ignore_errors=True)
            write(partial)
            partial.rename(folder)
    return folder


@pytest.fixture(scope="session")
def rendered_tree(shared_folder):
    """Path of a dataset's fixture, rendered once in the session. Copy it before changing it."""

    from dferlib.datasets.standins import trees  # brings torch, which reads the threads above

    def render(dataset, *, subjects=2, layout=""):
        if dataset in ("mmi", "cremad", "ravdess"):
            pytest.importorskip("av")
        write, chosen = getattr(trees, f"write_{dataset}"), {"layout": layout} if layout else {}
        place = shared_folder / f"tree-{dataset}-{subjects}-{layout}"
        return _write_once(place, lambda path: write(path, subjects=subjects, **chosen))

    return render


@pytest.fixture(scope="session")
def ckplus_tree(rendered_tree) -> Path:
    """CK+ in its flat layout, four labelled subjects and one other. Copy it before changing it."""
    return rendered_tree("ckplus", subjects=4)


@pytest.fixture(scope="session")
def oulu_tree(rendered_tree) -> Path:
    """Oulu-CASIA in its nested layout: two subjects. Copy it before changing it."""
    return rendered_tree("oulu", subjects=2, layout="nested")


@pytest.fixture
def ckplus(ckplus_tree, tmp_path) -> Path:
    """A copy of the CK+ tree that a test may damage."""
    return shutil.copytree(ckplus_tree, tmp_path / "ckplus")


@pytest.fixture
def oulu(oulu_tree, tmp_path) -> Path:
    """A copy of the Oulu-CASIA tree that a test may damage."""
    return shutil.copytree(oulu_tree, tmp_path / "oulu")


@pytest.fixture
def open_real(tmp_path):
    """Open the store of a real dataset, small and below `tmp_path / "cache"`."""
    from dferlib.datasets import open_store

    def run(dataset, root, **options):
        place = {"data_root": root, "cache_dir": tmp_path / "cache"}
        return open_store(
            dataset, source="real", size=48, workers=1, progress=False, **place, **options
        )

    return run


@pytest.fixture
def write_tree(rendered_tree, tmp_path):
    """Write the tree of a dataset, which a test may damage; `pitfalls` damages it at once."""
    from dferlib.datasets.standins.trees import PITFALLS
    from dferlib.datasets.standins.trees.film import plant

    def run(dataset, pitfalls=(), **options):
        root = shutil.copytree(rendered_tree(dataset, **options), tmp_path / "data")
        return plant(root, PITFALLS[dataset], pitfalls)

    return run
