"""Command line: look over a dataset, say how to get one, or write a small tree in its layout.

python -m dferlib.datasets check ckplus ROOT --crops worst.png --page report.html
python -m dferlib.datasets access
python -m dferlib.datasets fixture oulu FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dferlib.datasets.doctor.check import CheckReport, check
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.readers.access import access_table
from dferlib.datasets.sources import READERS
from dferlib.files import cache_folder, digest, write_atomic

OPTIONS = {
    "camera": "oulu: VL (visible light) or NI (near infrared)",
    "light": "oulu: Strong, Weak or Dark",
    "images": "oulu: original or preprocessed; afew: aligned or videos; dfew: auto, frames, 16f or "
    "videos",
    "sessions": "mmi: a text file with the numbers of the sessions to keep",
    "prefer": "all with videos: the format to take of a clip that is there in several, as mp4",
    "subject": "folder: name of the column of subjects in labels.csv, or none",
    "order": "folder: 'name' or 'last number', where frames could be sorted in two ways",
    "channel": "ravdess: speech or song",
    "faces": "all: how faces are found and cut out, as 'box=frame margin=0.25'; the docstring of "
    "dferlib.datasets.faces.options explains them",
}
CHECK = """Look over a dataset that was just unpacked. Nothing is changed in its folder.

The report begins with what was found, then says on one line whether that can be used:

  READY                                       nothing asks to be looked at
  USABLE, but look at this first              see the findings marked [look]
  NOT READY: this cannot be used as it is     see the findings marked [stop]

Each finding says what to do after an arrow, and where; the worst come first, on one screen. A file
holds all of it, with the counts beside those of the copy that papers describe, and how many clips
each fold tests.
"""
CHECK_END = """Exit status: 0 checked, even if counts differ; 1 NOT READY; 2 nothing could be
checked.

  python -m dferlib.datasets check oulu data/oulu --page report.html
  python -m dferlib.datasets check dfew data/dfew --quick
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns the exit status: 0 even if counts differ, 1 if the data is not ready, 2 on misuse.
    """
    parsed = _parser().parse_args(arguments)
    options = {
        name: value
        for name, value in vars(parsed).items()
        if name in (*OPTIONS, "partial") and value
    }
    try:
        if parsed.command == "access":
            sys.stdout.write(f"{access_table()}\n")
            return 0
        if parsed.command == "fixture":
            return _write_fixture(parsed.dataset, parsed.folder, parsed.subjects, parsed.seed)
        report = check(
            parsed.dataset, parsed.root, decode=not parsed.quick, progress=True, **options
        )
        place = _write_report(report, parsed)
    except (DatasetError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{report}\nIt is in {place}\n")
    return 0 if report.usable else 1


def _write_report(report: CheckReport, parsed: argparse.Namespace) -> Path:
    """Write the full text, and the picture and page that are asked for; returns the text's path."""
    sheet = report.sheet()
    if parsed.crops and sheet is None:
        raise DatasetError("no crop was looked at, so there is no picture of them; not --quick")
    if parsed.crops:
        path = Path(parsed.crops).with_suffix(".png")
        write_atomic(path, lambda file: sheet.save(file, "PNG"))
    if parsed.page:
        text = f"<!doctype html><meta charset='utf-8'>{report._repr_html_()}"
        write_atomic(Path(parsed.page), lambda file: file.write(text.encode()))
    name = f"{report.dataset}-{digest(str(Path(parsed.root).absolute()))}.txt"
    place = Path(parsed.text) if parsed.text else cache_folder() / "checks" / name
    return write_atomic(place, lambda file: file.write(f"{report.full()}\n"), mode="w")


def _write_fixture(dataset: str, folder: str, subjects: int, seed: int) -> int:
    # the renderer needs torch, the check does not
    from dferlib.datasets.standins import trees

    root = getattr(trees, f"write_{dataset}")(folder, subjects=subjects, seed=seed)
    sys.stdout.write(f"wrote procedural faces in the layout of {dataset} to {root}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    plain = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(
        prog="python -m dferlib.datasets", description=__doc__, **plain
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    look = commands.add_parser(
        "check",
        help="count and read what is in a dataset's folder",
        description=CHECK,
        epilog=CHECK_END,
        **plain,
    )
    look.add_argument("dataset", metavar="DATASET", help=f"one of {', '.join(READERS)}")
    look.add_argument("root", metavar="ROOT", help="folder of the unpacked dataset")
    look.add_argument(
        "--quick", action="store_true", help="count files, but decode no image: takes seconds"
    )
    look.add_argument(
        "--crops", default="", metavar="PNG", help="write the worst crops as a picture"
    )
    look.add_argument(
        "--page", default="", metavar="HTML", help="write the report with its picture as a page"
    )
    look.add_argument(
        "--text", default="", metavar="TXT", help="where the full report goes; else into the cache"
    )
    for name, meaning in OPTIONS.items():
        look.add_argument(f"--{name}", default="", help=meaning)
    look.add_argument(
        "--partial", action="store_true", help="dfew: some clips are not here, and that is known"
    )
    commands.add_parser("access", help="print where to get each dataset, as a Markdown table")
    write = commands.add_parser("fixture", help="write procedural faces in a dataset's layout")
    write.add_argument("dataset", choices=READERS)
    write.add_argument("folder")
    write.add_argument("--subjects", type=int, default=12)
    write.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
