"""What is installed: named with hashes, in locks, under licences that a company can live with."""

from __future__ import annotations

import re

import pytest

from local.places import REPOSITORY
from local.venvs import ALL
from scripts import licences
from scripts.locks import COMMAND, LAYER, LOCKS, packages

PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "PSF-2.0"),
    "MPL-2.0",  # weak: of its own files alone, which nobody here changes
}
OF_TOOLS = {"Artistic-1.0", "CC0-1.0", "Zlib"}
"""Beside those, for what neither functions nor administrators have."""


def let_pass(expression: str, allowed: set[str]) -> bool:
    """OR gives a choice, AND asks for all: https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/"""
    return any(set(choice.split(" AND ")) <= allowed for choice in expression.split(" OR "))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_a_licence_that_is_let_pass(lock: str) -> None:
    known = licences.read()
    allowed = PERMISSIVE if lock in {LAYER, COMMAND} else PERMISSIVE | OF_TOOLS
    refused = {
        package.name: known.get(package.name)
        for package in packages(lock)
        if not let_pass(known.get(package.name, "none known: make licences"), allowed)
    }
    assert refused == {}


@pytest.mark.parametrize(
    "expression",
    ["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND GPL-2.0-only", "CC-BY-NC-4.0", "SSPL-1.0", ""],
)
def test_copyleft_and_closed_licences_are_not_let_pass(expression: str) -> None:
    assert not let_pass(expression, PERMISSIVE | OF_TOOLS)


def test_the_page_of_licences_is_as_the_locks_are() -> None:
    assert licences.PAGE.read_text() == licences.page(licences.read())


def test_every_lock_file_is_known_and_every_environment_made_of_one() -> None:
    patterns = ("requirements*.txt", "*/requirements*.txt", "layers/*/requirements*.txt")
    there = {str(file.relative_to(REPOSITORY)) for pattern in patterns for file in REPOSITORY.glob(pattern)}
    assert there == set(LOCKS)
    made_of = {str(file.relative_to(REPOSITORY)) for venv in ALL.values() for file in venv.requirements}
    assert made_of == set(LOCKS) - {LAYER, COMMAND}


@pytest.mark.parametrize("lock", sorted(set(LOCKS) - {COMMAND}))
def test_every_wish_is_pinned(lock: str) -> None:
    wishes = (REPOSITORY / lock).with_suffix(".in").read_text()
    names = re.findall(r"^([A-Za-z][A-Za-z0-9-]*)", wishes, re.MULTILINE)
    assert names
    assert {name.lower() for name in names} <= {package.name for package in packages(lock)}


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_package_index(lock: str) -> None:
    assert "://" not in (REPOSITORY / lock).read_text()


def test_nothing_is_installed_without_its_hash() -> None:
    makefiles = [REPOSITORY / "Makefile", *REPOSITORY.glob("layers/*/Makefile")]
    installing = [line for file in makefiles for line in file.read_text().splitlines() if "pip install" in line]
    assert installing
    assert [line for line in installing if "--require-hashes" not in line] == []
