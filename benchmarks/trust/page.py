"""The page of trust, made from what is stored in results/trust; nothing is measured here.

    python -m benchmarks trust

`faults.csv` names for each fault the tests that hold it; the other tables are what the commands
left that the page names. What was not run yet is said to be that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dferlib.files import project_root, write_atomic

PAGE, FAULTS = "README.md", "faults.csv"
NOT_RUN = "*Not run yet.*"
INTRO = """# Trust

Made by `python -m benchmarks trust` from what is stored here. What the project promises about
killed, damaged, crowded and hostile surroundings, how often it was tried, and what came of it. What
expression recognition can and cannot claim is on [another page](../../docs/ethics.md)."""
FAULT_NOTE = """Each fault names the tests that hold it, below `tests/`; repeat one with
`python -m pytest tests/NAME`. *Part*: some of it is tried by no test, see the note."""
FUZZ_NOTE = """A sound file with one to four damages, read in a child process with a limit of
{seconds} s of a core and {megabytes:.0f} MB above the imports. *Read*: something came back. *Named
error*: the reader's own error, with the file's name. *Nameless*: the same without it. *Failed*:
anything else. The bar is 20,000 cases
of each; what is stored is what was run. Repeat or go on: `python -m benchmarks fuzz`."""
GROWTH_NOTE = """Seconds of a core and peak megabytes at {0:,} and {1:,} clips, ten a person, one
class with a single clip. *Power* is the exponent of growth: 1 is proportional, 2 quadratic. Repeat:
`python -m benchmarks growth`."""
LICENCE_NOTE = """Every package of `requirements.lock`, in `licences.csv`; nothing of them is handed
on with this project. The makers' terms of a GPU runtime come with torch on Linux only. Repeat:
`python -m benchmarks licences`."""
GROUP_NOTE = """Procedural people of the stand-ins, whose skin, age and sex are known as drawn.
Accuracy in per cent with a 95 % interval over persons; *against the rest* is the group's accuracy
minus that of all other persons; p is corrected by Holm over each paper's table. This measures the
networks on drawings: it cannot show that a network is fair to real people, only that it is not even
to drawn ones. Repeat: `python -m benchmarks groups`."""


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """A table in Markdown; the columns are the keys of the rows, in the order they come."""
    rows = list(rows)
    heads = list(dict.fromkeys(key for row in rows for key in row))
    lines = [heads, ["---"] * len(heads)]
    lines += [[str(row.get(key, "")).replace("|", r"\|") for key in heads] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def faults_section(folder: Path) -> str:
    """The table of faults, and how many of them are passed."""
    table = pd.read_csv(folder / FAULTS, keep_default_na=False)
    rows = []
    for row in table.to_dict("records"):
        tests = "<br>".join(f"`{name}`" for name in row["tests"].split("; ") if name)
        rows.append({**row, "tests": tests})
    counts = table["state"].value_counts().to_dict()
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"## Faults\n\n{FAULT_NOTE}\n\nOf {len(table)}: {said}.\n\n{markdown(rows)}"


def fuzz_section(folder: Path) -> str:
    """What came of damaged foreign files, and one line for each kind of failure."""
    record = _record(folder / "fuzz.json")
    if not record:
        return f"## Damaged files\n\n{NOT_RUN}"
    limits = {
        "seconds": record["limits"]["seconds"],
        "megabytes": record["limits"]["bytes"] / 2**20,
    }
    rows = [
        {"file": name, "cases": f"{row['cases']:,}", **row["outcomes"]}
        for name, row in record["readers"].items()
    ]
    failures = [
        f"- {name}, case {failure['case']}: {failure['why']}"
        for name, row in record["readers"].items()
        for failure in row["failures"]
    ]
    parts = ["## Damaged files", FUZZ_NOTE.format(**limits), markdown(rows), _made(record)]
    return "\n\n".join([*parts, *(["\n".join(failures)] if failures else [])])


def growth_section(folder: Path) -> str:
    """Time and memory at two sizes, the steepest first."""
    record = _record(folder / "growth.json")
    if not record:
        return f"## Ten times as much\n\n{NOT_RUN}"
    steps = sorted(record["steps"], key=lambda row: -row["power"]["seconds"])
    rows = [
        {
            "step": row["step"],
            "s": "{:.2f} to {:.2f}".format(*row["seconds"]),
            "power of time": row["power"]["seconds"],
            "MB": "{:.0f} to {:.0f}".format(*row["megabytes"]),
            "power of memory": row["power"]["megabytes"],
            "too steep": "yes" if row["too_steep"] else "",
        }
        for row in steps
    ]
    note = GROWTH_NOTE.format(*record["clips"])
    return "\n\n".join(["## Ten times as much", note, markdown(rows), _made(record)])


def kills_section(folder: Path) -> str:
    """What was killed, crowded and damaged at rest: a row for each named part of the record."""
    record = _record(folder / "kills.json")
    rows = [
        {"what": name, **{key: value for key, value in part.items() if not _nested(value)}}
        for group in [record, *(value for value in record.values() if _nested(value))]
        if isinstance(group, Mapping)
        for name, part in group.items()
        if isinstance(part, Mapping) and name != "provenance"
    ]
    rows = [row for row in rows if len(row) > 1]
    told = markdown(rows) if rows else NOT_RUN
    return f"## Killed, crowded, full, damaged at rest\n\n{told}"


def licences_section(folder: Path) -> str:
    """How many packages are under which kind of licence, and what is to be known of some."""
    path = folder / "licences.csv"
    if not path.is_file():
        return f"## Licences\n\n{NOT_RUN}"
    table = pd.read_csv(path, keep_default_na=False)
    rows = [
        {"kind": kind, "packages": len(part), "licences": ", ".join(sorted(set(part["licence"])))}
        for kind, part in table.groupby("kind", sort=False)
    ]
    noted = table[table["note"] != ""]
    notes = "\n".join(f"- {row.package}: {row.note}" for row in noted.itertuples())
    return "\n\n".join(["## Licences", LICENCE_NOTE, markdown(rows), notes])


def groups_section(folder: Path) -> str:
    """Accuracy by skin tone, age and sex of the procedural people."""
    path = folder / "groups.csv"
    if not path.is_file():
        return f"## Skin, age, sex\n\n{NOT_RUN}"
    rows = []
    for row in pd.read_csv(path).to_dict("records"):
        shown = "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * row[k] for k in ("war", "low", "high")))
        ends = [100 * row[name] for name in ("against_rest", "rest_low", "rest_high")]
        head = {name: row[name] for name in ("paper", "dataset", "preset", "trait", "group")}
        head |= {name: row[name] for name in ("subjects", "clips")}
        apart = "" if pd.isna(ends[1]) else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*ends)
        p = "" if pd.isna(row["p_holm"]) else f"{row['p_holm']:.2f}"
        rows.append({**head, "WAR": shown, "against the rest": apart, "p": p})
    return "\n\n".join(["## Skin, age, sex", GROUP_NOTE, markdown(rows)])


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _record(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _made(record: Mapping[str, Any]) -> str:
    about = record["provenance"]
    commit = (about["git_commit"] or "unknown")[:8]
    return f"Commit {commit}, Python {about['python']}, {about['platform']}, {about['time_utc']}."


SECTIONS = (faults_section, fuzz_section, growth_section, kills_section)
SECTIONS += (licences_section, groups_section)


def page_text(folder: Path) -> str:
    """The whole page, of what is stored in a folder."""
    return "\n\n".join([INTRO, *(section(folder) for section in SECTIONS)]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="default: results/trust in the project")
    chosen = parser.parse_args(arguments)
    folder = chosen.out or (project_root() or Path()) / "results" / "trust"
    text = page_text(folder)
    print(write_atomic(folder / PAGE, lambda file: file.write(text), mode="w"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
