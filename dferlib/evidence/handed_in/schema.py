"""What a handed-in file is, and how one is read: whatever is no such file is refused by name.

Nothing of a file is evaluated. Names are plain words, so that none of them can carry a path or
markup; every number is finite and within what a dataset can have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from dferlib.evidence.damage import DamagedFileError
from dferlib.names import SELECTION_RULES

FORMAT = "dferlib handed-in 1"
MOST_BYTES = 256 * 1024
WAY_OUT = "Ask for a file that `python -m dferlib.evidence.handed_in pack` has just written"
MARK = "handed in"

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.+-]{0,39}$")]
Words = Annotated[str, StringConstraints(pattern=r"^[\w .,:;=+()-]{0,120}$")]
Person = Annotated[str, StringConstraints(pattern=r"^[\w][\w .,'()-]{0,79}$")]
Day = Annotated[str, StringConstraints(pattern=r"^20\d\d-[01]\d-[0-3]\d$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
Count = Annotated[int, Field(ge=0, le=100_000)]
Number = Annotated[int, Field(ge=0, le=10**6)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Plain = bool | int | Finite | Words | None
Value = Plain | Annotated[list[Plain], Field(max_length=64)]


def _all_different(items: list) -> list:
    if len(set(items)) < len(items):
        raise ValueError("the same stands in it twice")
    return items


Folds = Annotated[
    list[Annotated[int, Field(ge=1, le=1000)]],
    Field(min_length=1, max_length=1000),
    AfterValidator(_all_different),
]


class Part(BaseModel):
    """What every part of a file has: nothing but its own names, and values of their own types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Estimate(Part):
    """A share with its 95 % interval over persons, and of how many independent clips it is."""

    value: Share
    low: Share
    high: Share
    worth: Positive


class Score(Part):
    """WAR and UAR by one rule of choosing the epoch, all seeds together."""

    select: Literal[SELECTION_RULES]
    war: Estimate
    uar: Estimate


class Counts(Part):
    """The test clips of one seed, rows true, columns predicted; right ones by group of folds."""

    select: Literal[SELECTION_RULES]
    seed: Number
    confusion: Annotated[
        list[Annotated[list[Count], Field(max_length=20)]], Field(min_length=2, max_length=20)
    ]
    right: Annotated[list[Count], Field(min_length=1, max_length=1000)]


class Row(Part):
    """One row of the paper's tables, over the folds of the file."""

    variant: Slug
    settings: Annotated[dict[Slug, Value], Field(max_length=100)]
    fingerprint: Hash
    init_sha256: Sha256 = ""
    scores: Annotated[list[Score], Field(min_length=1, max_length=3)]
    counts: Annotated[list[Counts], Field(min_length=1, max_length=60)]


class Group(Part):
    """Folds that are counted together, because each alone could tell of a person."""

    folds: Folds
    clips: Count
    subjects: Count


class Manifest(Part):
    """The list of clips: its hash, how many it has, and how many of each class were tested."""

    hash: Hash
    clips: Count
    tested: Annotated[list[Count], Field(min_length=2, max_length=20)]


class HandedIn(Part):
    """A reproduction on real data, as it may be shown; see the package."""

    format: Literal[FORMAT]
    by: Person
    when: Day
    paper: Slug
    dataset: Slug
    source: Literal["real"]
    preset: Slug
    classes: Annotated[
        list[Slug], Field(min_length=2, max_length=20), AfterValidator(_all_different)
    ]
    persons: Literal["subjects", "clips"]
    subjects: Count
    manifest: Manifest
    folds: Annotated[list[Group], Field(min_length=1, max_length=1000)]
    versions: Annotated[dict[Slug, bool | Words | None], Field(max_length=30)]
    rows: Annotated[list[Row], Field(min_length=1, max_length=60)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse matrices and lists of another length than classes and groups of folds."""
        size = len(self.classes)
        _all_different([fold for group in self.folds for fold in group.folds])
        _all_different([row.variant for row in self.rows])
        if len(self.manifest.tested) != size:
            raise ValueError(f"manifest.tested has {len(self.manifest.tested)} of {size} classes")
        if not sum(self.manifest.tested):
            raise ValueError("manifest.tested has no clip")
        for row in self.rows:
            _all_different([score.select for score in row.scores])
            _all_different([(part.select, part.seed) for part in row.counts])
            if {score.select for score in row.scores} != {part.select for part in row.counts}:
                raise ValueError(f"scores and counts of {row.variant} are of different rules")
            for part in row.counts:
                if {len(part.confusion), *map(len, part.confusion)} != {size}:
                    raise ValueError(f"a confusion of {row.variant} is not {size} x {size}")
                if not any(map(sum, part.confusion)):
                    raise ValueError(f"a confusion of {row.variant} has no clip")
                if len(part.right) != len(self.folds):
                    raise ValueError(f"right of {row.variant} is not of {len(self.folds)} groups")
        return self


def read_handed_in(path: str | Path) -> HandedIn:
    """Read a handed-in file; DamagedFileError with the one thing that is wrong first.

    A file that is too large is not read. FileNotFoundError where there is none.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DamagedFileError(path, f"has {size:,} bytes, {MOST_BYTES:,} at most", WAY_OUT)
    data = path.read_bytes()
    try:
        json.loads(data, parse_constant=_no_constant, object_pairs_hook=_once)
        return HandedIn.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))[:200]
        more = error.error_count() - 1
        also = f" (and {more} more)" if more else ""
        reason = f"is refused: {first['msg'][:300]}{also}"
        raise DamagedFileError(path, reason, WAY_OUT, key) from None
    except (ValueError, RecursionError) as error:
        reason = str(error)[:300] or type(error).__name__
        raise DamagedFileError(path, f"is not valid JSON: {reason}", WAY_OUT) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return dict(pairs)
