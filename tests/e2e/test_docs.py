"""Every Python and curl example in the documentation runs against the gateway."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Gateway

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(language, code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (language, code) in enumerate(BLOCK.findall(page.read_text()), 1)
    if language == "python" or code.startswith("curl")
]
pytestmark = pytest.mark.stack


@pytest.mark.parametrize(("language", "code"), EXAMPLES)
def test_an_example_runs(gateway: Gateway, language: str, code: str) -> None:
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": gateway.http,
        "OPENAI_API_KEY": gateway.api_key,
        "BASE_URL": gateway.http,
        "KEY": gateway.api_key,
    }
    command = (
        [sys.executable, "-c", code] if language == "python" else ["bash", "-ec", code.replace("curl", "curl -fsS")]
    )
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
