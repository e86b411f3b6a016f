"""Every stored result from nothing: the trainings by the sweep, then the notebooks, which read.

What a single cell of a notebook trains beside is trained by it (`IN_CELLS`), and so is the
benchmark over all papers, `notebooks/90_benchmark.ipynb`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dferlib.files import project_root
from dferlib.notebook.execution import NotebookError, execute
from dferlib.notebook.parameters import Settings
from dferlib.sweep.errors import SweepError
from dferlib.sweep.planning import choose_settings

# paper -> what its notebook trains in single cells, where its dataset and rows are asked for
IN_CELLS = {
    "stt": "Table 2's rows from torchvision's weights, stt without its stage, other depths",
    "ecnn_fsa": "its network on the classes of CK+ itself",
    "hacn": "AFEW's training and validation list",
}


def left_to_notebooks(settings: Iterable[Settings]) -> list[str]:
    """What of these notebooks no sweep trains, a sentence each."""
    slugs = dict.fromkeys(each.slug for each in settings)
    return [f"{slug}: {IN_CELLS[slug]}" for slug in slugs if slug in IN_CELLS]


def stored_settings(
    papers: str = "all", datasets: str = "all", **parameters: str
) -> list[Settings]:
    """The settings of all stored results: every paper on its stand-ins, at quick.

    What `parameters` name differently is taken, but the preset and source that are "auto", which
    would hang on the machine.
    """
    fixed = {"preset": "quick", "source": "synthetic"}
    given = {k: fixed[k] if v == "auto" and k in fixed else v for k, v in parameters.items()}
    return choose_settings(papers, datasets, **{**fixed, **given})


def run_notebooks(settings: Iterable[Settings], say: Callable[[str], None]) -> None:
    """Execute the notebook of every paper and dataset; the copy goes beside its runs.

    SweepError naming those that failed, after all others were executed.
    """
    root, failed = project_root(), []
    if root is None:
        raise SweepError("notebooks are executed from a checkout of the project, and this is none")
    for each in settings:
        target = each.folder(each.source) / "notebook.ipynb"
        given = {
            "dataset": each.dataset,
            "source": each.source,
            "preset": each.preset,
            "init": each.init,
            "transfer": each.transfer,
            "variants": ",".join(each.variants),
            "folds": ",".join(map(str, each.folds)),
            "seeds": ",".join(map(str, each.seeds)),
            "device": each.device,
            "data_root": str(each.data_root or ""),
            "results_dir": each.results_dir,
        }
        say(f"notebook {each.slug} on {each.dataset}: {target}")
        try:
            notebook = root / "notebooks" / f"{each.slug}.ipynb"
            execute(notebook, target, given, cwd=root, progress=False)
        except NotebookError as error:
            say(str(error))
            failed.append(f"{each.slug} on {each.dataset}")
    if failed:
        raise SweepError(f"notebooks that failed: {', '.join(failed)}; the others are there")
