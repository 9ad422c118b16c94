"""`pip install .` gives the command `gateway`, with all that it needs and nothing of the gateway itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from local.places import REPOSITORY


def test_the_command_is_installed(tmp_path: Path) -> None:
    target, source = tmp_path / "installed", tmp_path / "source"
    shutil.copytree(REPOSITORY / "cli", source / "cli")  # for the build leaves traces where it is done
    shutil.copy(REPOSITORY / "pyproject.toml", source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, cwd=tmp_path)  # noqa: S603 - our own pip
    assert {path.name for path in target.iterdir() if not path.name.endswith(".dist-info")} == {
        "llm_gateway_cli",
        "bin",
    }
    environment = {**os.environ, "PYTHONPATH": str(target), "GATEWAY_URL": "", "GATEWAY_ADMIN_KEY": ""}
    asked = subprocess.run(  # noqa: S603 - what has just been installed
        [str(target / "bin" / "gateway"), "tenant", "list"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 2
    assert asked.stderr.startswith("Set GATEWAY_URL and GATEWAY_ADMIN_KEY")
