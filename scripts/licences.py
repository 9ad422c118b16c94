"""Writes docs/licences.md from what the installed packages say of themselves.

make licences
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

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
    "MPL-2.0 AND (Apache-2.0 OR MIT)": "MPL-2.0 AND Apache-2.0 OR MPL-2.0 AND MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Classifiers of PyPI, common words and expressions with brackets, in words of https://spdx.org/licenses/ alone."""

_READ = {
    ("click", "8.1.8"): "BSD-3-Clause",
    ("cookiecutter", "2.7.1"): "BSD-3-Clause",
    ("itsdangerous", "2.2.0"): "BSD-3-Clause",
    ("jinja2", "3.1.6"): "BSD-3-Clause",
    ("networkx", "3.7"): "BSD-3-Clause",
    ("mpmath", "1.3.0"): "BSD-3-Clause",
    ("pyasn1-modules", "0.4.2"): "BSD-2-Clause",
    ("python-dateutil", "2.9.0.post0"): "Apache-2.0 OR BSD-3-Clause",
    ("sympy", "1.14.0"): "BSD-3-Clause",
    ("text-unidecode", "1.3"): "Artistic-1.0 OR GPL-2.0-or-later",
    ("colorama", "0.4.6"): "BSD-3-Clause",
    ("pywin32", "312"): "PSF-2.0",
    ("httpx2-jsfetch", "1.0"): "BSD-3-Clause",
    ("tomli", "2.5.0"): "MIT",
    ("cached-property", "2.0.1"): "BSD-3-Clause",
    ("click", "8.5.1"): "BSD-3-Clause",
    ("dockerfile-parse", "2.0.1"): "BSD-3-Clause",
    ("gitdb", "4.0.12"): "BSD-3-Clause",
    ("networkx", "2.6.3"): "BSD-3-Clause",
    ("ply", "3.11"): "BSD-3-Clause",
    ("semantic-version", "2.10.0"): "BSD-2-Clause",
    ("tqdm", "4.70.1"): "MPL-2.0 AND MIT",
}
"""Where a package does not say which BSD it means, or is not installed here (on Windows or other Pythons alone): as the
file LICENSE of that very version says. Another version has to be read again.
"""

Licences: TypeAlias = dict[tuple[str, str], str]
"""By normalised name (PEP 503) and version."""


def licence(distribution: importlib.metadata.Distribution) -> str:
    """As an SPDX expression. Raises ValueError where what the package says is not clear."""
    told = distribution.metadata
    if "License-Expression" in told:
        said = str(told["License-Expression"])
        return _SPDX.get(said, said)
    classifiers = [one.split(" :: ")[-1] for one in (told.get_all("Classifier") or []) if one.startswith("License ::")]
    words = [told["License"].strip()] if "License" in told else []
    clear = r"(Apache-2\.0|BSD-[23]-Clause|ISC|MIT|MIT-0|MPL-2\.0|PSF-2\.0)( OR [A-Za-z0-9.-]+)?"
    for told_by in (words, classifiers):
        known = {_SPDX.get(word, word) for word in told_by}
        if len(known) == 1 and re.fullmatch(clear, word := known.pop()):
            return word
    raise ValueError(f"{told['Name']} is under {words + classifiers}: read its licence and write it into {__name__}")


def installed(places: Iterable[Path]) -> Licences:
    """What was read counts where the package itself is silent."""
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(place) for place in places]):
        known = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower(), distribution.version
        try:
            found[known] = licence(distribution)
        except ValueError:
            if known not in _READ:
                raise
            found[known] = _READ[known]
    return found


def page(licences: Licences) -> str:
    """Raises KeyError for a package of which no licence is known in that version."""
    used: dict[tuple[str, str], list[str]] = {}
    for lock, what in LOCKS.items():
        for package in packages(lock):
            used.setdefault((package.name, package.version), []).append(what)
    rows = [f"| {' | '.join(known)} | {licences[known]} | {'; '.join(used[known])} |" for known in sorted(used)]
    return "\n".join([_HEAD, "| Package | Version | Licence | Installed for |", "|---|---|---|---|", *rows, ""])


_HEAD = """# Licences of what is installed

Written by `make licences` from what packages say of themselves, in the words of [SPDX](https://spdx.org/licenses/),
each in the version that is locked: after `make lock` it has to be written anew, or `make check` fails.
A test lets pass what a company may use, change and sell as part of something closed: permissive licences, and MPL-2.0,
which asks for the source of the package's own files alone. No GPL, AGPL, SSPL or licence for non-commercial use is
installed for anything. Where a package offers a choice, we take the one that is let pass.
What functions on AWS carry is the first of the lists of `make sbom`.
"""


def read() -> Licences:
    """As the page has it."""
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([^ |]+) \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    return {(name, version): of for name, version, of in rows}


def main() -> int:
    sites = [site for venv in ALL.values() for site in venv.folder.glob("lib/python*/site-packages")]
    PAGE.write_text(page(_READ | installed(sites)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
