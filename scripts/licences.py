"""Writes docs/licences.md from what the installed packages say of themselves.

make licences
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from local.places import REPOSITORY
from local.venvs import ALL
from scripts.locks import LOCKS, packages

PAGE = REPOSITORY / "docs" / "licences.md"

_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Classifiers of PyPI and common words, in those of https://spdx.org/licenses/."""

_READ = {
    "cached-property": "BSD-3-Clause",
    "click": "BSD-3-Clause",
    "cookiecutter": "BSD-3-Clause",
    "dockerfile-parse": "BSD-3-Clause",
    "gitdb": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "mpmath": "BSD-3-Clause",
    "networkx": "BSD-3-Clause",
    "orjson": "MPL-2.0 AND Apache-2.0 OR MPL-2.0 AND MIT",  # without the brackets that it has
    "ply": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "semantic-version": "BSD-2-Clause",
    "sympy": "BSD-3-Clause",
    "tqdm": "MPL-2.0 AND MIT",
    "text-unidecode": "Artistic-1.0 OR GPL-2.0-or-later",
    # Installed on Windows or on other Pythons alone, so never seen here.
    "colorama": "BSD-3-Clause",
    "pywin32": "PSF-2.0",
    "httpx2-jsfetch": "BSD-3-Clause",
    "tomli": "MIT",
}
"""Where a package does not say which BSD it means, or is not installed: as its file LICENSE says."""


def licence(distribution: importlib.metadata.Distribution) -> str:
    """As an SPDX expression. Raises ValueError where what the package says is not clear."""
    told = distribution.metadata
    if "License-Expression" in told:
        return str(told["License-Expression"])
    classifiers = [one.split(" :: ")[-1] for one in (told.get_all("Classifier") or []) if one.startswith("License ::")]
    words = [told["License"].strip()] if "License" in told else []
    for word in (_SPDX.get(word, word) for word in [*words, *classifiers]):
        if re.fullmatch(r"(Apache-2\.0|BSD-[23]-Clause|ISC|MIT|MIT-0|MPL-2\.0|PSF-2\.0)( OR [A-Za-z0-9.-]+)?", word):
            return str(word)
    raise ValueError(f"{told['Name']} is under {words + classifiers}: read its licence and write it into {__name__}")


def installed(places: Iterable[Path]) -> dict[str, str]:
    """Licences by normalised name (PEP 503)."""
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(place) for place in places]):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        found[name] = _READ.get(name) or licence(distribution)
    return found


def page(licences: dict[str, str]) -> str:
    """Raises KeyError for a package of which no licence is known."""
    used: dict[str, list[str]] = {}
    for lock, what in LOCKS.items():
        for package in packages(lock):
            used.setdefault(package.name, []).append(what)
    rows = [f"| {name} | {licences[name]} | {'; '.join(used[name])} |" for name in sorted(used)]
    return "\n".join([_HEAD, "| Package | Licence | Installed for |", "|---|---|---|", *rows, ""])


_HEAD = """# Licences of what is installed

Written by `make licences` from what packages say of themselves, in the words of [SPDX](https://spdx.org/licenses/).
A test lets pass what a company may use, change and sell as part of something closed: permissive licences, and MPL-2.0,
which asks for the source of the package's own files alone. No GPL, AGPL, SSPL or licence for non-commercial use is
installed for anything. Where a package offers a choice, we take the one that is let pass.
What functions on AWS carry is the first of the lists of `make sbom`.
"""


def read() -> dict[str, str]:
    """Package -> licence, as the page has it."""
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE))


def main() -> int:
    sites = [site for venv in ALL.values() for site in venv.folder.glob("lib/python*/site-packages")]
    PAGE.write_text(page(_READ | installed(sites)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
