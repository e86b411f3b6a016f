"""The page of measured speed, with its figure, made from what is stored in results/speed.

    python -m benchmarks page

Nothing is measured here. What no machine has measured yet is said to be that.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.speed.cases import SIZES
from dferlib.figures.palette import CURVE_COLOURS
from dferlib.figures.plots import STYLE
from dferlib.files import project_root, write_atomic
from dferlib.models import list_models

BUSY = 0.5  # cores' worth of other work, from where on a row is marked
DEVICES = {"cpu": "Processor", "cuda": "GPU"}
NOTE = """Times are medians of rounds in which all ways take turns. *Plain* is one JPEG a frame
read by two workers, a backbone called for one frame number after the other, and loss and hits
looked at in every step; it computes the same logits. *Product*: the share that a training step has
of the rate of a large matrix product, by counted multiplications, three times those of a forward
pass. *Loop*: how fast an epoch is beside the same steps on a batch that is there already. A star
marks what was measured while other processes were at work: read its ratios, not its seconds."""
COLUMNS = ("network", "input", "clips", "step, s", "way")
KINDS = ("forward", "step", "data", "epoch")


def load_records(folder: Path) -> pd.DataFrame:
    """One row for each stored case; see `table` for its columns, which are named here shortly."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "ours" not in record:
            continue
        ours, device = record["ours"], record["device"]
        named = device["name"] if device["type"] == "cuda" else record["provenance"]["processor"]
        others = max(
            record[f"load_{when}"]["cores_taken_by_others"] for when in ("before", "after")
        )
        rows.append(
            {
                "model": record["model"],
                "size": record["size"],
                "device": device["type"],
                "machine": f"{named}, {device['threads']} threads",
                "commit": (record["provenance"]["git_commit"] or "")[:8],
                "busy": others >= BUSY,
                "clips": record["clips"],
                "step": record["step"][ours["way"]]["median"],
                "way": ours["way"],
                "product": ours["share_of_product"],
                "loop": ours["share_of_resident"],
                **{f"x {kind}": ours["times_as_fast"][kind] for kind in KINDS},
            }
        )
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> str:
    """Markdown: a line for each case of a device."""
    heads = [*COLUMNS, *KINDS, "product", "loop"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows.to_dict("records"):
        times = " | ".join(f"{row[f'x {kind}']:.2f}" for kind in KINDS)
        star = "*" * row["busy"]
        lines.append(
            f"| {row['model']}{star} | {row['size']} | {row['clips']} | {row['step']:.3g} | "
            f"{row['way']} | {times} | {row['product']:.0%} | {row['loop']:.0%} |"
        )
    return "\n".join(lines)


def draw(rows: pd.DataFrame) -> Figure:
    """Times as fast as the plain way, and shares of the limits, for every case."""
    names = [f"{r.model}, {r.size}{', GPU' * (r.device == 'cuda')}" for r in rows.itertuples()]
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 1.2 + 0.22 * len(rows)), sharey=True)
        places = range(len(rows))
        for kind, colour in zip(KINDS, CURVE_COLOURS, strict=False):
            left.plot(rows[f"x {kind}"], places, "o", color=colour, label=kind, markersize=5)
        left.set(xscale="log", xlabel="times as fast as the plain way")
        left.axvline(1, color="0.6", linewidth=0.8)
        for name, marker in (("product", "s"), ("loop", "D")):
            right.plot(100 * rows[name], places, marker, label=f"% of {name}", markersize=4)
        right.set(xlabel="share of the limit, %", xlim=(0, 105))
        left.set_yticks(list(places), names)
        left.invert_yaxis()
        for ax in (left, right):
            ax.legend(
                loc="upper center", bbox_to_anchor=(0.5, 1.0 + 1.2 / (4 + len(rows))), ncols=4
            )
    return figure


def write_page(folder: Path) -> Path:
    """Write README.md and, where anything is stored, speed.svg; returns the page's path."""
    rows = load_records(folder)
    parts = ["# Speed", f"Made by `python -m benchmarks page` from what is stored here. {NOTE}"]
    if len(rows):
        figure = draw(rows)
        with plt.rc_context({"svg.hashsalt": "dferlib"}):
            write_atomic(
                folder / "speed.svg",
                lambda file: figure.savefig(file, format="svg", metadata={"Date": None}),
            )
        plt.close(figure)
        alt = "Ratios to the plain way, and shares of the limits, for every network"
        parts.append(f"![{alt}](speed.svg)")
    wanted = {(model, size) for model in list_models() for size in SIZES}
    for device, title in DEVICES.items():
        parts.append(f"## {title}")
        own = rows[rows["device"] == device] if len(rows) else rows
        if not len(own):
            parts.append("*Not measured.*")
            continue
        parts.append("; ".join(sorted(set(own["machine"] + ", commit " + own["commit"]))) + ".")
        parts.append(table(own))
        missing = sorted(wanted - set(zip(own["model"], own["size"], strict=True)))
        if missing:
            listed = ", ".join(f"{model} {size}" for model, size in missing)
            parts.append(f"*Not measured:* {listed}.")
    parts.append(_starts(folder))
    text = "\n\n".join(parts) + "\n"
    return write_atomic(folder / "README.md", lambda file: file.write(text), mode="w")


def _starts(folder: Path) -> str:
    """What importing and starting take, by device."""
    lines = ["## Start"]
    for path in sorted(folder.glob("start-*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        said = [f"{name} {v['median']:.3g} s" for name, v in record["seconds"].items()]
        dear = [f"{name} {v:.2g} s" for name, v in list(record["dearest_imports"].items())[:5]]
        lines.append(
            f"{record['device']['type']}: {'; '.join(said)}. Dearest imports: {', '.join(dear)}. "
            f"Others took {record['load_before']['cores_taken_by_others']} cores meanwhile."
        )
    return "\n\n".join(lines if len(lines) > 1 else [*lines, "*Not measured.*"])


def main(arguments: list[str] | None = None) -> int:
    """Write the page and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks page", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--folder", type=Path, help="default: results/speed in the project")
    given = parser.parse_args(arguments)
    folder = given.folder or (project_root() or Path.cwd()) / "results" / "speed"
    print(write_page(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
