"""`make sbom`: valid CycloneDX of all that the locks name, the same each time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from local import venvs
from local.console import Progress
from local.places import REPOSITORY
from scripts.locks import LAYER, LOCKS, packages


def test_a_bill_of_materials_for_each_lock(tmp_path: Path) -> None:
    venvs.ensure([venvs.SUPPLY], Progress())
    command = [str(venvs.SUPPLY.python), "-m", "scripts.sbom"]
    for folder in ("once", "again"):
        subprocess.run([*command, str(tmp_path / folder)], cwd=REPOSITORY, check=True, capture_output=True)  # noqa: S603
    files = sorted((tmp_path / "once").iterdir())
    assert len(files) == len(LOCKS)
    assert [file.read_text() for file in files] == [file.read_text() for file in sorted((tmp_path / "again").iterdir())]
    layer = json.loads((tmp_path / "once" / "layers-deps-requirements.cdx.json").read_text())
    assert layer["specVersion"] == "1.6"
    assert layer["metadata"]["component"]["version"]
    assert {(one["name"], one["version"]) for one in layer["components"]} == {
        (package.name, package.version) for package in packages(LAYER)
    }
    for one in layer["components"]:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert one["licenses"]
        assert [each for each in one["properties"] if each["name"] == "python:artifact:sha256"]
