"""Command line of the sweep: plan and train; `costs` writes the page of the full protocols.

python -m dferlib.sweep --papers stcam,hacn --datasets ckplus,oulu --preset quick --plan
python -m dferlib.sweep all --results-dir out/results
python -m dferlib.sweep costs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets import DatasetError
from dferlib.files import project_root
from dferlib.notebook.execution import stop_on_signals
from dferlib.notebook.parameters import PARAMETERS
from dferlib.sweep.clusters import Shares, share_out
from dferlib.sweep.errors import SweepError
from dferlib.sweep.everything import left_to_notebooks, run_notebooks, stored_settings
from dferlib.sweep.planning import SweepPlan, choose_settings
from dferlib.sweep.running import run_sweep, training_memory

# parameters of a notebook that are options here, too
PASSED = (
    "source",
    "preset",
    "init",
    "transfer",
    "data_root",
    "variants",
    "folds",
    "seeds",
    "device",
)
STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 all is there, 1 some of it failed, 2 refused, 130 stopped."""
    parsed = _parser().parse_args(arguments)
    stop_on_signals()
    try:
        if parsed.command == "costs":
            return _write_costs()
        return _sweep(parsed)
    except (DatasetError, SweepError, ValueError, OSError) as error:
        _say(str(error))
        return 1 if isinstance(error, SweepError | OSError) else 2
    except KeyboardInterrupt:
        _say("stopped; the same command goes on from here")
        return STOPPED


def _sweep(parsed: argparse.Namespace) -> int:
    chosen = {name: getattr(parsed, name) for name in (*PASSED, "results_dir")}
    everything = parsed.command == "all"
    if everything:
        settings = stored_settings(parsed.papers, parsed.datasets, **chosen)
    else:
        settings = choose_settings(parsed.papers, parsed.datasets, **chosen)
    plan = SweepPlan(settings)
    shares = _shares(parsed, plan)
    plan.slots = shares.workers
    _say(str(plan))
    if everything:
        _say(f"then {len(settings)} notebooks are executed, which read what was trained")
    if beside := left_to_notebooks(settings):
        _say("left to single cells of the notebooks: " + "; ".join(beside))
    if everything:
        _say("not in here: the benchmark, notebooks/90_benchmark.ipynb, which trains its own rows")
    if parsed.plan:
        return 0
    if plan.left and plan.disk > plan.room:
        _say("there is not enough disk: free some, or set DFER_CACHE to another one")
        return 2
    if everything and not parsed.yes and not _confirmed():
        return STOPPED
    failed = _train(parsed, plan, shares) if plan.left else 0
    if everything and not failed:
        run_notebooks(settings, _say)
    return failed


def _shares(parsed: argparse.Namespace, plan: SweepPlan) -> Shares:
    """How this machine is shared out; without a look at memory where the plan is all."""
    largest = max(plan.left, key=lambda item: item.size.macs, default=None)
    need = training_memory(largest) if largest is not None and not parsed.plan else 0
    device = plan.items[0].task.device
    return share_out(len(plan.left), workers=parsed.workers, need=need, device=device)


def _train(parsed: argparse.Namespace, plan: SweepPlan, shares: Shares) -> int:
    report = run_sweep(
        plan,
        shares,
        scheduler=parsed.scheduler,
        config=parsed.cluster,
        tries=parsed.tries,
        patience=parsed.patience,
        say=_say,
    )
    _say(str(report))
    return 1 if report.failed else 0


def _write_costs() -> int:
    from dferlib.sweep.cost_page import write_page

    root = project_root()
    if root is None:
        raise ValueError("the page lies in a checkout of the project, and this is none")
    _say(f"wrote {write_page(root / 'results' / 'costs')}")
    return 0


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        _say("nobody is there to ask: give --yes to begin, or --plan to stop here")
        return False
    return input("Begin? [y/N] ").strip().lower() in ("y", "yes")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dferlib.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        default="train",
        choices=("train", "all", "costs"),
        help="train what is asked for (default); all: every stored result, then the notebooks; "
        "costs: the page of what the full protocols cost",
    )
    comma = "comma list, or all"
    parser.add_argument("--papers", default="all", help=comma)
    parser.add_argument("--datasets", default="all", help=f"{comma} that the papers report on")
    for name in PASSED:
        _, default = PARAMETERS[name]
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help="as in notebooks")
    parser.add_argument("--results-dir", default="", help="where runs go; empty: as in notebooks")
    parser.add_argument("--plan", action="store_true", help="print the plan, and run nothing")
    parser.add_argument("--yes", action="store_true", help="all: begin without asking")
    parser.add_argument("--workers", type=int, default=0, help="of this machine; 0: chosen")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", default="", help="address of a running Dask scheduler")
    where.add_argument("--cluster", type=Path, help="TOML file; see dferlib.sweep.clusters")
    parser.add_argument("--tries", type=int, default=3, help="of a training that fails")
    parser.add_argument(
        "--patience", type=float, default=300, help="seconds to wait for workers to come"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
