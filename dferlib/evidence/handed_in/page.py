"""The page that asks for reproductions: what to run, how long it takes, what the file holds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dferlib.evidence.handed_in.packing import FEWEST
from dferlib.evidence.handed_in.schema import MOST_BYTES
from dferlib.evidence.handed_in.shown import FOLDER
from dferlib.files import write_atomic
from dferlib.protocols.presets import HOUR_TFLOPS

OPERATIONS = "evidence/operations.csv"

_TEXT = """<!-- made by python -m dferlib.evidence.handed_in page -->

# Reproductions on real data, handed in

Nobody who wrote this project holds the licences of its datasets, so no number here is a
reproduction of a published one. Who holds one can make it, with three commands, and hand in a small
file that says what came out. What you signed counts before this page: some owners let nothing be
shown that was derived from their data.

## What to run

```
python -m dferlib.datasets check oulu $DFER_DATA/oulu
papermill notebooks/stcam.ipynb out.ipynb -p dataset oulu -p source real -p preset paper \\
    -p variants baseline,stcam
python -m dferlib.evidence.handed_in pack results-private/stcam/oulu-real-paper out.json \\
    --by "Your Name" --rows baseline stcam
```

The first says whether your copy is whole. The second trains; it may be stopped and started again.
Leave `-p variants` out to run every row. `preset gpu` has the paper's training with fewer epochs: a
file of it is welcome, and shown as what it is. The third writes the file and checks it. Read it,
then open a pull request that adds it as `results/handed-in/<paper>-<dataset>-<your name>.json`.

## How long it takes

One row over all folds of its preset and one seed, by counted operations; hours at an assumed
{tflops} TFLOP/s, which a data-centre card may sustain in bf16 and nobody has measured here: at half
that rate it takes twice as long. Datasets are whole copies; finding faces comes before.

{hours}

## What the file holds

- who hands it in, and the day; paper, dataset, preset, classes;
- for each row, rule of choosing the epoch and seed: the confusion matrix in counts; WAR and UAR
  with 95 % intervals over persons, and the number of independent clips that these stand for;
- for each fold: clips, persons, and how many clips were right;
- the settings of each row, by name; the hash of the model's behaviour and of its initial weights;
- versions of Python and packages, commit of this project;
- the hash of the list of clips, how many it has, and how many of each class were tested.

It holds no clip, no name of one, no subject, no path, no pixel, no probability. A fold with fewer
than {fewest} persons would tell how often one of them was right: such folds are counted together
with the next ones, the last with those before, and fewer than {fewest} persons in all are refused.
All rows of a file have the same folds. Values that are none of a protocol's own, such as the place
of your weights, are replaced.

## What is checked

```
python -m dferlib.evidence.handed_in check out.json
```

Form and size ({most} KiB at most, plain words, finite numbers, no other key); every sum; each
accuracy as k of n; intervals against the number of clips they stand for, and made again where every
clip counts as a person; classes, folds and settings against the protocol; clips, persons, classes
and folds against a whole copy; files of one list against each other. `wrong` is a file that
contradicts itself, and is not shown; `differs` is shown with what differs. That the runs took place
cannot be checked: a number is shown as handed in, with who and when.
"""


def hours_table(operations: pd.DataFrame) -> str:
    """Lay out counted operations as a table of hours, a line per paper, dataset and row."""
    keys = ["paper", "dataset", "variant"]
    lines = [
        "| paper | dataset | row | trainings, `paper` | hours, `paper` | hours, `gpu` |",
        "|---|---|---|---|---|---|",
    ]
    for key, part in operations.groupby(keys, sort=False):
        by = part.set_index("preset")
        spent = [
            f"{hours_of(by.loc[preset, 'peta_operations']):.1f}" if preset in by.index else ""
            for preset in ("paper", "gpu")
        ]
        count = by["trainings"].get("paper", "")
        lines.append(f"| {' | '.join([*key, str(count), *spent])} |")
    return "\n".join(lines)


def hours_of(peta_operations: float, tflops: float = HOUR_TFLOPS) -> float:
    """Return the hours that so many 10^15 operations (2 of them are a MAC) take."""
    return peta_operations * 1e15 / (tflops * 1e12) / 3600


def page(results: Path) -> str:
    """Return the page as Markdown; its hours are those of `results/evidence/operations.csv`."""
    operations = pd.read_csv(results / OPERATIONS)
    return _TEXT.format(
        tflops=HOUR_TFLOPS,
        hours=hours_table(operations),
        fewest=FEWEST,
        most=MOST_BYTES // 1024,
    )


def write_page(results: Path) -> Path:
    """Write the page into `results/handed-in` and return its path."""
    data = page(results).encode("utf-8")
    return write_atomic(results / FOLDER / "README.md", lambda file: file.write(data))
