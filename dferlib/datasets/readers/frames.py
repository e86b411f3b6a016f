"""The frames of a clip: which files they are, in which order, and what only looks like one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from dferlib.datasets.manifest import DatasetError, plural
from dferlib.datasets.readers.folders import matching_files, other_files

SHOWN_GAPS = 20  # numbers of missing frames that are listed
SHOWN_NAMES = 3  # of files that are not read
READ = r".*\.(?:jpe?g|jpe|jfif|png|bmp|tiff?|webp)"  # pictures that can be decoded
PICTURES = (  # and all that look like one, among them those that cannot be
    r".*\.(?:jpe?g|jpe|jfif|jp2|png|apng|bmp|gif|tiff?|webp|hei[cf]|avif|p[bgnp]m|tga|dng|svg)"
)
FAR = 1000  # numbers between two frames of one clip: more seconds without a face than clips last
SHOWN_NAME = 60  # characters of a name that are shown
ORDERS = ("name", "last number")


def numbered_files(folder: Path, pattern: str) -> dict[int, Path]:
    """Files whose whole name matches, by the number in the pattern's first group, ascending.

    DatasetError if two files have the same number.
    """
    found: dict[int, Path] = {}
    for path, hit in matching_files(folder, pattern):
        if (number := int(hit.group(1))) in found:
            raise DatasetError(f"{path} and {found[number].name} are both frame {number}")
        found[number] = path
    return dict(sorted(found.items()))


def ordered_frames(folder: Path, order: str = "") -> list[Path]:
    """All pictures of a folder that have a number in their names, in their order.

    This is the natural order of the whole names: numbers by value, wherever they stand.
    DatasetError with a question where the names could mean another order, as 0.7 and 0.75 or names
    of several kinds can, and `order` does not say "name" or "last number". A single file that is
    named unlike all others is no frame.
    """
    if order not in ("", *ORDERS):
        raise DatasetError(f"order is {order!r}, allowed are {', '.join(map(repr, ORDERS))}")
    files = [path for path, _ in matching_files(folder, READ) if re.search("[0-9]", path.stem)]
    by_name, by_last = sorted(files, key=_natural), sorted(files, key=_last_number)
    if order:
        chosen, key = (by_name, _natural) if order == "name" else (by_last, _last_number)
        return _refuse_equal(chosen, key)
    if len({_template(path) for path in files}) > 1 and by_name != by_last:
        files = _without_outsiders(files, by_name, by_last, folder)
        by_name, by_last = sorted(files, key=_natural), sorted(files, key=_last_number)
    _refuse_equal(by_name, _natural)
    decimal = sorted(files, key=_decimal)
    if decimal != by_name:
        raise _question(folder, by_name, decimal)
    fractions = any(re.search(r"[0-9]\.[0-9]", path.stem) for path in files)
    # with s1_f9, s1_f10, s2_f1 the first number has several frames; of 847_1, 123_2 neither has
    once = max(Counter(map(_last_number, files)).values(), default=1) == 1
    once = once and len({tuple(_natural(path)[:-2]) for path in files}) == len(files)
    if by_last != by_name and once and not fractions:
        raise _question(folder, by_name, by_last)
    return by_name


def _numbers(text: str) -> list[str | int]:
    parts = re.split("([0-9]+)", text.casefold())  # text and number in turn, so that they compare
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _natural(path: Path) -> list[str | int]:
    return _numbers(path.stem)


def _last_number(path: Path) -> int:
    return int(re.findall("[0-9]+", path.stem)[-1])


def _decimal(path: Path) -> list[str | float]:
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?)", path.stem.casefold())
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _template(path: Path) -> str:
    return re.sub("[0-9]+", "0", path.stem.casefold())


def _refuse_equal(files: list[Path], key: Callable[[Path], object]) -> list[Path]:
    for first, second in pairwise(files):
        if key(first) == key(second):
            number = re.findall("[0-9]+", first.stem)[-1]
            raise DatasetError(f"{first} and {second.name} are both frame {int(number)}")
    return files


def _without_outsiders(
    files: list[Path], by_name: list[Path], by_last: list[Path], folder: Path
) -> list[Path]:
    """The files but for those of which each is named unlike all others; a question if unclear."""
    kinds = Counter(map(_template, files))
    (main, most), *rest = kinds.most_common()
    if most < 2 or any(count > 1 for _, count in rest):
        raise _question(folder, by_name, by_last)
    return [path for path in files if _template(path) == main]


def _question(folder: Path, one: Sequence[Path], other: Sequence[Path]) -> DatasetError:
    at = next(
        place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]
    )
    shown = [", ".join(path.name for path in files[at : at + 3]) for files in (one, other)]
    return DatasetError(
        f"which order have the frames of {folder}: {shown[0]} or {shown[1]}? Rename them with one "
        "number of equal width, as 0001; for clips of one's own order='name' or "
        "order='last number' says which"
    )


def unread_frames(folder: Path, read: Iterable[Path]) -> str:
    """Files of a folder that look like frames and are not among those read, in words; "" if none.

    System files do not count.
    """
    known = {path.name for path in read}
    looks = re.compile(PICTURES, re.IGNORECASE | re.ASCII).fullmatch
    names = other_files(folder, lambda name: name not in known and looks(name))
    if not names:
        return ""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    what = plural(len(names), "file looks like a frame and is", "files look like frames and are")
    return f"{what} not read: {', '.join(names[:SHOWN_NAMES])}{more}"


def describe_step(files: Sequence[Path]) -> str:
    """Where the numbers of ordered frames take a larger step than usual, in words; "" if nowhere.

    Only of names that differ in one whole number.
    """
    parts = [_natural(path) for path in files]
    if len({tuple(one[:-2] + one[-1:]) for one in parts}) != 1 or len(parts) < 3:
        return ""
    steps = [after[-2] - before[-2] for before, after in pairwise(parts)]
    widest = steps.index(max(steps))
    if max(steps) == min(steps) or re.search(r"[0-9]\.[0-9]", files[0].stem):
        return ""
    return f"frames may be missing between {files[widest].name} and {files[widest + 1].name}"


def describe_outlier(files: Sequence[Path]) -> str:
    """An ordered frame whose number is far from the one before, in words; "" if there is none.

    For frames that are numbered by their place in a film, of which some are left out.
    """
    last = [_last_number(path) for path in files]
    steps = [after - before for before, after in pairwise(last)]
    if not steps or max(map(abs, steps)) <= FAR:
        return ""
    place = max(range(len(steps)), key=lambda at: abs(steps[at]))
    return (
        f"the numbers jump between {files[place].name[-SHOWN_NAME:]} and "
        f"{files[place + 1].name[-SHOWN_NAME:]}: one may be wrong, or a frame of another clip"
    )


def describe_gaps(numbers: Iterable[int], first: int) -> str:
    """Numbers that are missing from `first` up to the highest, in words; "" if none is."""
    missing, count, expected = [], 0, first
    for number in sorted(numbers):
        missing += range(expected, min(number, expected + SHOWN_GAPS))
        count += max(0, number - expected)
        expected = max(expected, number + 1)
    if not count:
        return ""
    more = f" and {count - SHOWN_GAPS} more" if count > SHOWN_GAPS else ""
    return f"{missing[:SHOWN_GAPS]}{more}"
