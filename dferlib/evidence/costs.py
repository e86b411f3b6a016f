"""What runs took: seconds, memory and what is paid once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from dferlib.evidence.runs import Run


def cold_costs(store, runs: Iterable[Run]) -> pd.DataFrame:
    """What is paid once, before any run: filling the frame store, and pre-training."""
    detail = "" if store.seconds else "built before seconds were kept"
    rows = [{"what": f"frame store of {store.dataset}", "seconds": store.seconds or np.nan}]
    rows[0]["detail"] = detail
    for initial in {run.record["init"].get("sha256"): run.record["init"] for run in runs}.values():
        if "seconds" in initial:
            held = {
                k: v["holdout_accuracy"]
                for k, v in initial.items()
                if isinstance(v, dict) and "holdout_accuracy" in v
            }
            detail = ", ".join(f"held-out {k} {v:.2f}" for k, v in held.items())
            what = " ".join(filter(None, ("pre-training", initial.get("name"))))
            rows.append({"what": what, "seconds": initial["seconds"], "detail": detail})
    return pd.DataFrame(rows)


def cost_of_runs(runs: Iterable[Run]) -> pd.DataFrame:
    """What the runs took: per variant the mean seconds and the machine, and the peak memory of the
    process up to then, which earlier runs may have set.
    """
    rows = [
        {
            "variant": run.record["variant"],
            "seconds": run.record["seconds"],
            "peak memory of the process (MB)": run.record["peak_memory_mb"],
            "device": run.record["device"]["name"],
            "precision": run.record["protocol"]["precision"],
            "commit": (run.record["provenance"]["git_commit"] or "")[:10],
        }
        for run in runs
    ]
    groups = pd.DataFrame(rows).groupby(["variant", "device", "precision", "commit"], sort=False)
    table = groups.agg(**{"runs": ("seconds", "size"), "seconds per run": ("seconds", "mean")})
    table["peak memory of the process (MB)"] = groups["peak memory of the process (MB)"].max()
    return table.reset_index()
