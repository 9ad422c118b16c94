"""What is installed: named with hashes, in locks, under licences that a company can live with."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import install
from local.places import PEERS as PLACE_OF_PEERS
from local.places import REPOSITORY
from local.venvs import ALL
from scripts import audit, licences
from scripts.locks import COMMAND, LAYER, LOCKS, NPM_PEERS, PEERS, packages

PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "PSF-2.0"),
    "MPL-2.0",  # weak: of its own files alone, which nobody here changes
}
OF_TOOLS = {"Artistic-1.0"}
"""Beside those, for what neither functions nor administrators have."""


def let_pass(expression: str, allowed: set[str]) -> bool:
    """OR gives a choice, AND asks for all: https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/"""
    return any(set(choice.split(" AND ")) <= allowed for choice in expression.split(" OR "))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_a_licence_that_is_let_pass(lock: str) -> None:
    known = licences.read()
    allowed = PERMISSIVE if lock in {LAYER, COMMAND} else PERMISSIVE | OF_TOOLS
    refused = {
        package.name: known.get((package.name, package.version))
        for package in packages(lock)
        if not let_pass(known.get((package.name, package.version), "none known: make licences"), allowed)
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


def test_a_licence_is_known_of_one_version_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is locked anew may have another licence: its old row says nothing of it."""
    known = licences.read()
    newer = [replace(package, version=f"{package.version}.1") for package in packages(LAYER)]
    monkeypatch.setattr("scripts.licences.packages", lambda lock: newer if lock == LAYER else packages(lock))
    with pytest.raises(KeyError):
        licences.page(known)


@pytest.mark.parametrize(("said", "found"), [("AGPL-3.0-only", "AGPL-3.0-only"), (None, "BSD-3-Clause")])
def test_what_a_package_says_itself_counts_more_than_what_was_read(
    tmp_path: Path, said: str | None, found: str
) -> None:
    (name, version), read = next((known, of) for known, of in licences._READ.items() if of == "BSD-3-Clause")
    info = tmp_path / f"{name}-{version}.dist-info"
    info.mkdir()
    license_said = f"License-Expression: {said}" if said else "Classifier: License :: OSI Approved :: BSD License"
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{license_said}\n")
    assert licences.installed([tmp_path]) == {(name, version): found}
    assert read == "BSD-3-Clause"


@pytest.mark.parametrize("lock", LOCKS)
def test_advisories_are_asked_about_every_package_wherever_it_is_installed(lock: str) -> None:
    """Also those of other machines and Pythons: a marker that is false here hides none."""
    locked, parts = packages(lock), audit.parts(packages(lock))
    asked = "".join(audit.requirements(part) for part in parts).splitlines()
    assert [line.split()[0] for line in asked] and ";" not in "".join(asked)
    assert sorted(line.split()[0] for line in asked) == sorted(f"{one.name}=={one.version}" for one in locked)
    assert all(len({one.name for one in part}) == len(part) for part in parts)
    assert all("--hash=sha256:" in line for line in asked)


def test_every_lock_file_is_known_and_every_environment_made_of_one() -> None:
    patterns = (
        "requirements*.txt",
        "*/requirements*.txt",
        "layers/*/requirements*.txt",
        "benchmarks/**/requirements*.txt",
    )
    there = {str(file.relative_to(REPOSITORY)) for pattern in patterns for file in REPOSITORY.glob(pattern)}
    assert there == set(LOCKS) | set(PEERS)
    made_of = {str(file.relative_to(REPOSITORY)) for venv in ALL.values() for file in venv.requirements}
    assert made_of == set(LOCKS) - {LAYER, COMMAND}


@pytest.mark.parametrize("lock", sorted({*LOCKS, *PEERS} - {COMMAND}))
def test_every_wish_is_pinned(lock: str) -> None:
    wishes = (REPOSITORY / lock).with_suffix(".in").read_text()
    names = re.findall(r"^([A-Za-z][A-Za-z0-9-]*)", wishes, re.MULTILINE)
    assert names
    assert {name.lower() for name in names} <= {package.name for package in packages(lock)}


@pytest.mark.parametrize("lock", [*LOCKS, *PEERS])
def test_no_lock_names_a_package_index(lock: str) -> None:
    assert "://" not in (REPOSITORY / lock).read_text()


@pytest.mark.parametrize("lock", NPM_PEERS)
def test_every_package_of_npm_has_its_hash_and_names_no_registry(lock: str) -> None:
    found = json.loads((REPOSITORY / lock).read_text())["packages"]
    wishes = json.loads((REPOSITORY / lock).with_name("package.json").read_text())["dependencies"]
    assert found[""]["dependencies"] == wishes
    packages_of_npm = {name: package for name, package in found.items() if name}
    assert {f"node_modules/{name}" for name in wishes} <= set(packages_of_npm)
    assert [name for name, each in packages_of_npm.items() if not each["integrity"].startswith("sha512-")] == []
    assert [name for name, each in packages_of_npm.items() if "resolved" in each] == []


def test_peers_are_made_of_their_locks_and_keep_to_themselves() -> None:
    made_of = {f"benchmarks/peers/{each.folder}" for each in install.ALL}
    assert made_of == {lock.rpartition("/")[0] for lock in (*PEERS, *NPM_PEERS)}
    assert {each.home.parent for each in install.ALL} == {PLACE_OF_PEERS}


def test_nothing_is_installed_without_its_hash() -> None:
    makefiles = [REPOSITORY / "Makefile", *REPOSITORY.glob("layers/*/Makefile")]
    installing = [line for file in makefiles for line in file.read_text().splitlines() if "pip install" in line]
    assert installing
    assert [line for line in installing if "--require-hashes" not in line] == []
