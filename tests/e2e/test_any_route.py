"""Requests made from the published contract, over every route: answers that it promises, and none of 500.

The provider's simulators answer. `CONTRACT_SECONDS` is how long it goes on, and `make fuzz` sets more.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import venvs
from local.console import Progress
from tests.e2e.conftest import Gateway

SECONDS = os.environ.get("CONTRACT_SECONDS", "45")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def without_schemas_of_streams(document: Any) -> Any:
    """Events are described by `x-event-schema`, which the other tests of the contract read; theirs is a text."""
    if isinstance(document, list):
        return [without_schemas_of_streams(member) for member in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {} if name == "text/event-stream" else without_schemas_of_streams(member)
        for name, member in document.items()
    }


@pytest.mark.parametrize("part", ["v1", "admin"])
def test_every_route_answers_as_published(local: Gateway, tmp_path: Path, part: str) -> None:
    venvs.ensure([venvs.CONTRACT], Progress())
    published = httpx.get(f"{local.origin}/openapi.json", timeout=30).raise_for_status().json()
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(without_schemas_of_streams(published)))
    key = local.api_key if part == "v1" else local.admin_key
    command = [str(venvs.CONTRACT.folder / "bin" / "schemathesis"), "run", str(document), "--url", local.origin]
    command += ["--header", f"Authorization: Bearer {key}", "--include-path-regex", f"^/{part}/"]
    command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "8"]
    command += ["--max-time", SECONDS, "--continue-on-failure", "--request-timeout", "60", "--no-color"]
    command += ["--suppress-health-check", "all"]
    command += [] if "CONTRACT_SECONDS" in os.environ else ["--seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - made above
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
