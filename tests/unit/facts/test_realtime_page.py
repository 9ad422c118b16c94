"""The page to try sessions of voice on has all that it needs within itself, and may run nothing else."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "realtime-page.html").read_text()
STYLE = re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL)
SCRIPT = re.findall(r"<script[^>]*>(.*?)</script>", PAGE, re.DOTALL)
IDS = re.findall(r'\bid="([\w-]+)"', PAGE)


def source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_its_policy_allows_its_own_script_and_style_alone() -> None:
    """Whoever changes one of them puts its new hash into the policy."""
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', PAGE)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    [script], [style] = SCRIPT, STYLE
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"{source(script)} blob:"
    assert rules["style-src"] == source(style)


def test_it_loads_nothing_from_elsewhere() -> None:
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', PAGE) == []
    assert re.findall(r"\bimport\b|innerHTML|insertAdjacentHTML|eval\(|localStorage|document\.cookie", PAGE) == []


def test_what_its_script_names_is_there_once() -> None:
    named = set(re.findall(r'\$\("([\w-]+)"\)', SCRIPT[0]))
    assert named <= set(IDS)
    assert len(IDS) == len(set(IDS))
