"""`sam build` of the real template, with layers for this machine's Python; skipped while nothing in it changed."""

from __future__ import annotations

import os
import shutil
import sys

from local import fingerprint, venvs
from local.commands import fresh_log, run_logged
from local.console import Progress
from local.places import BUILD, REPOSITORY, TEMPLATE

SAM = venvs.SAM.folder / "bin" / "sam"
BUILT_TEMPLATE = BUILD / "template.yaml"
_STAMP = BUILD / ".made-from"


def sam_environment() -> dict[str, str]:
    """The environment without anything of the person's own AWS account, which a local run must never touch."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }


def ensure(progress: Progress) -> str:
    """The fingerprint of what is built. Raises Problem."""
    key = fingerprint.of_text(fingerprint.of_deployment(), sys.version, venvs.SAM.key())
    if _STAMP.exists() and _STAMP.read_text() == key:
        return key
    _STAMP.unlink(missing_ok=True)
    with progress.step("sam build"):
        remove_bytecode()
        command = [str(SAM), "build", "--template-file", str(TEMPLATE), "--build-dir", str(BUILD)]
        environment = {**sam_environment(), **venvs.HOST_LAYER}
        run_logged("sam build", command, fresh_log("sam-build"), environment)
        _STAMP.write_text(key)
    return key


def remove_bytecode() -> None:
    """SAM packs function folders as they are, and a test's bytecode in one of them would be a change of code."""
    for folder in (REPOSITORY / "functions").rglob("__pycache__"):
        shutil.rmtree(folder)


if __name__ == "__main__":
    remove_bytecode()
