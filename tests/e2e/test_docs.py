"""Every Python and curl example in the documentation runs against the gateway."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.simulated import posts

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(language, code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (language, code) in enumerate(BLOCK.findall(page.read_text()), 1)
    if language == "python" or (code.startswith("curl") and "ADMIN" not in code)
]
ADMINISTRATION = [ROOT / "README.md", ROOT / "docs" / "admin.md", ROOT / "docs" / "reliability.md"]
pytestmark = pytest.mark.stack


def typed(local: Gateway, folder: Path, examples: list[str]) -> str:
    """What examples for a terminal print, one after the other, with the command as it is in this repository."""
    script = f'gateway() {{ "{sys.executable}" -m cli "$@"; }}\n' + "".join(examples).replace("curl", "curl -fsS")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GATEWAY_URL": local.origin,
        "GATEWAY_ADMIN_KEY": local.admin_key,
    }
    command = ["bash", "-euo", "pipefail", "-c", script]
    result = subprocess.run(  # noqa: S603 - what the pages tell people to type
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_administration_does_what_the_pages_say(local: Gateway, tmp_path: Path) -> None:
    blocks = [code for page in ADMINISTRATION for _, code in BLOCK.findall(page.read_text())]
    examples = [code for code in blocks if re.match(r"(\w+=\$\()?gateway ", code) or "/admin/" in code]
    assert len(examples) == 12
    printed = typed(local, tmp_path, examples)
    assert (tmp_path / "ci.key").read_text().startswith("gwk_")
    assert "750" in printed


def test_hooks_do_what_their_page_says(local: Gateway, tmp_path: Path) -> None:
    blocks = [code for _, code in BLOCK.findall((ROOT / "docs" / "hooks.md").read_text())]
    [example] = [code for code in blocks if code.startswith("gateway ")]
    reply = json.loads(typed(local, tmp_path, [example]).splitlines()[-1])
    assert reply["choices"][0]["message"]["content"] == "You said: Write to joe@example.org"
    assert [(run["id"], run["action"]) for run in reply["gateway"]["hooks"]] == [("pii", "modify"), ("words", "allow")]
    [last] = posts(local, limit=1)
    assert last["body"]["messages"][0]["content"] == "Write to <EMAIL_1>"


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
