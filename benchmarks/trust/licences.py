"""The licence of every locked package, from its own metadata, and which of them may not be there.

    python -m benchmarks licences

Keeps results/trust/licences.csv, a row for each package of requirements.lock. A package says its
licence in one of three fields, the newest first; where its words are no SPDX identifier, `SPDX`
translates them. `BY_HAND` has those that no single machine installs all of, with where it stands.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd

from dferlib.files import project_root, write_csv

TABLE = "licences.csv"
# by the words of a package's metadata, in lower case
SPDX = {
    "mit license": "MIT",
    "mit": "MIT",
    "bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "2-clause bsd": "BSD-2-Clause",
    "apache software license": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2.0 and mit": "MPL-2.0 AND MIT",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "other/proprietary license": "LicenseRef-NVIDIA-Proprietary",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
}
# of packages for another system or another Python than this one's, as their pages name them
BY_HAND = {
    "aiohappyeyeballs": "PSF-2.0",
    "aiohttp": "Apache-2.0 AND MIT",
    "aiosignal": "Apache-2.0",
    "appnope": "BSD-2-Clause",
    "colorama": "BSD-3-Clause",
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # a package without files, which names others
    "frozenlist": "Apache-2.0",
    "multidict": "Apache-2.0",
    "propcache": "Apache-2.0",
    "pywinpty": "MIT",
    "yarl": "Apache-2.0",
}
PERMISSIVE = {
    *("MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Apache-2.0"),
    *("PSF-2.0", "Python-2.0", "CNRI-Python", "Zlib", "CC0-1.0", "Unlicense", "BSL-1.0", "HPND"),
    *("Apache-2.0 WITH LLVM-exception", "LicenseRef-PSF-Style"),
}
FILE_COPYLEFT = {"MPL-2.0"}  # changed files of theirs stay under it; using them asks nothing
RUNTIME = {"LicenseRef-NVIDIA-Proprietary", "LicenseRef-NVIDIA-SOFTWARE-LICENSE"}
KINDS = ("permissive", "copyleft of single files", "maker's terms of a GPU runtime", "forbidden")
NOTES = {
    "av": "its wheels hold FFmpeg, under the LGPL",
    "opencv-python-headless": "its wheels hold FFmpeg, under the LGPL",
    "facenet-pytorch": "its weights were trained on faces from the web: for research",
    "matplotlib": "the maker's own licence, after Python's",
}


def locked_names(lock: str) -> list[str]:
    """Names of the packages in the text of a lock, each once."""
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)==", lock, re.M)
    return list(dict.fromkeys(found))


def licence_of(name: str) -> str:
    """The SPDX expression of a package; "" where its metadata name none that is known."""
    if name in BY_HAND:
        return BY_HAND[name]
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if expression := about.get("License-Expression"):
        return expression
    classifiers = about.get_all("Classifier") or []
    words = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License")]
    words += (about.get("License") or "").strip().splitlines()[:1]
    return next((SPDX[word.lower()] for word in words if word.lower() in SPDX), "")


def kind_of(expression: str) -> str:
    """Which of `KINDS` an SPDX expression is; of alternatives the most liberal counts."""
    order = (PERMISSIVE, FILE_COPYLEFT, RUNTIME)
    worst = 0
    for term in re.split(r"\s+AND\s+", expression.replace("(", "").replace(")", "")):
        options = [
            next((i for i, known in enumerate(order) if name.strip() in known), len(order))
            for name in re.split(r"\s+OR\s+", term)
        ]
        worst = max(worst, min(options))
    return KINDS[worst]


def licence_table(lock: str) -> pd.DataFrame:
    """A row for each locked package: package, licence, kind, note."""
    rows = []
    for name in locked_names(lock):
        licence = licence_of(name)
        rows.append((name, licence, kind_of(licence), NOTES.get(name, "")))
    return pd.DataFrame(rows, columns=["package", "licence", "kind", "note"])


def main(arguments: list[str] | None = None) -> int:
    """Write the table; 1 with their names if packages have no licence that is allowed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="default: results/trust in the project")
    chosen = parser.parse_args(arguments)
    root = project_root() or Path()
    table = licence_table((root / "requirements.lock").read_text(encoding="utf-8"))
    write_csv((chosen.out or root / "results" / "trust") / TABLE, table)
    bad = table[table["kind"] == KINDS[-1]]
    print(table["kind"].value_counts().to_string())
    print(bad.to_string(index=False) if len(bad) else "none is forbidden or unknown")
    return int(len(bad) > 0)


if __name__ == "__main__":
    sys.exit(main())
