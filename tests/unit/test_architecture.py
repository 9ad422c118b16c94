"""House rules that a machine can check: what functions import, and how long pieces are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted((ROOT / "functions").glob("*/app.py"))
SOURCES = sorted(
    path
    for folder in ("layers/gateway", "functions", "cli", "local", "scripts", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.parent.name)
def test_a_function_is_a_door_without_logic(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 40
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").startswith("gateway.entry."), f"imports {node.module}"
        else:
            assert isinstance(node, ast.Expr | ast.Assign), f"line {node.lineno} is more than wiring"


def test_no_file_is_longer_than_400_lines() -> None:
    assert {path.name: length for path in SOURCES if (length := len(path.read_text().splitlines())) > 400} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    assert [where for path in SOURCES for where, length in _functions(path) if length > 60] == []


def test_nothing_is_called_utils() -> None:
    vague = {"utils", "helpers", "common", "misc"}
    assert [str(path) for path in SOURCES if path.stem in vague or path.parent.name in vague] == []


def test_shared_has_no_code() -> None:
    assert list((ROOT / "shared").rglob("*.py")) == []


def test_the_model_imports_nothing_heavy() -> None:
    """Values are loaded by every function, so they may cost msgspec and the standard library only."""
    loaded = "import sys, gateway.model.chat, gateway.model.completion; "
    code = loaded + "print('httpx' in sys.modules, 'pydantic' in sys.modules)"
    env = {"PYTHONPATH": str(ROOT / "layers" / "gateway")}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout.split() == ["False", "False"]


def test_voices_in_real_time_are_loaded_by_who_speaks_with_them() -> None:
    """Their structures took a tenth of what the providers take to load."""
    code = (
        "import sys, gateway.entry.wiring; from gateway.providers.lookup import provider_named; "
        "provider_named('openai'), provider_named('google'); "
        "print([name for name in sys.modules if 'realtime' in name or 'gemini_live' in name])"
    )
    env = {"PYTHONPATH": str(ROOT / "layers" / "gateway")}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout.split() == ["[]"]


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1
