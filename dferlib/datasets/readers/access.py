"""How to get each dataset: where, who may ask, what it costs, what may be shown of it.

Only what the owners say, or what two independent sources agree on, stands here as a fact; `ASK` is
everything else. A licence that was signed always comes before this table.

    python -m dferlib.datasets access
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dferlib.datasets.manifest import WITHOUT_STANDIN

ASK = "ask the owner"
COLUMNS = ("dataset", "where", "how", "who may ask", "cost", "what may be shown")


@dataclass(frozen=True)
class Access:
    """One dataset: its name, what is in it, and how to get it.

    `sure` is False where the address comes from a single public source and not from the owner.
    """

    title: str
    holds: str
    where: tuple[str, ...]
    how: str = ASK
    who: str = ASK
    cost: str = ASK
    shown: str = ASK
    sure: bool = True


ACCESS: Mapping[str, Access] = MappingProxyType(
    {
        "ckplus": Access(
            "CK+",
            "sequences from neutral to the peak; 327 of 593 have an emotion label",
            ("https://www.pitt.edu/~emotion/ck-spread.htm", "https://www.jeffcohn.net/Resources"),
            how="ask the owner; the form is CK_Agreement_Form.pdf",
            shown="ask the owner; Consent-for-publication.doc comes with the data",
        ),
        "oulu": Access(
            "Oulu-CASIA",
            "80 people, six emotions each, from neutral to the peak, two cameras, three lights",
            ("https://www.oulu.fi/cmvs/node/41316",),
            sure=False,
        ),
        "mmi": Access(
            "MMI",
            "sessions of one expression each, neutral to the peak and back; each user picks some",
            ("https://mmifacedb.eu",),
            sure=False,
        ),
        "afew": Access(
            "AFEW",
            "clips from films with training and validation lists, of the EmotiW challenges",
            ("https://cs.anu.edu.au/few/AFEW.html",),
            sure=False,
        ),
        "dfew": Access(
            "DFEW",
            "clips from films with one of seven labels, in five official folds",
            ("https://dfew-dataset.github.io",),
            how="e-mail from a university account with the text on the page; a password comes back",
            who="professors and research scientists of a university; students ask their supervisor",
            cost="free",
            shown="nothing: neither pictures nor data derived from them",
        ),
        "bu4dfe": Access(
            "BU-4DFE",
            "101 people, six emotions each, neutral to the peak and back, as 3-D scans",
            ("https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",),
        ),
        "cremad": Access(
            "CREMA-D",
            "7,442 acted clips of 91 actors, six classes without surprise",
            ("https://github.com/CheyneyComputerScience/CREMA-D",),
            how="git with git-lfs; a plain download holds stubs",
            who="anyone",
            cost="free",
            shown="pictures, naming the source, under ODbL 1.0 and DbCL 1.0",
        ),
        "ravdess": Access(
            "RAVDESS",
            "acted speech and song of 24 actors, eight classes with calm",
            ("https://zenodo.org/record/1188976",),
            how="download",
            who="anyone",
            cost="free if not commercial",
            shown="pictures, naming the source, under CC BY-NC-SA 4.0",
        ),
    }
)


def how_to_get(dataset: str) -> str:
    """Where to get a dataset, and what to use without it, for the text of an error."""
    entry = ACCESS[dataset]
    facts = (entry.how, entry.who, entry.cost, entry.shown)
    told = [f"{name}: {text}" for name, text in zip(COLUMNS[2:], facts, strict=True) if text != ASK]
    asked = [name for name, text in zip(COLUMNS[2:], facts, strict=True) if text == ASK]
    told += [f"{', '.join(asked)}: {ASK}"] if asked else []
    lines = [f"Access: {_where(entry)}", *(f"  {text}" for text in told)]
    if dataset in WITHOUT_STANDIN:
        lines.append("It has no procedural stand-in.")
    else:
        lines.append("Without it: source='synthetic' uses the procedural stand-in.")
    return "\n".join(lines)


def access_table() -> str:
    """The whole table as Markdown, as it stands in the README."""
    rows = [(e.title, _where(e), e.how, e.who, e.cost, e.shown) for e in ACCESS.values()]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _where(entry: Access) -> str:
    return " or ".join(entry.where) + ("" if entry.sure else " (address not confirmed)")
