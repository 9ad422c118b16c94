"""What counts as a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local import fingerprint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("functions/chat/app.py", "layers/gateway/gateway/__init__.py", "shared/errors.json", "template.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


def edit_layer(root: Path) -> None:
    (root / "layers/gateway/gateway/__init__.py").write_text("after")


def edit_facts(root: Path) -> None:
    (root / "shared/errors.json").write_text("after")


def rename(root: Path) -> None:
    (root / "functions/chat/app.py").rename(root / "functions/chat/main.py")


def make_executable(root: Path) -> None:
    (root / "functions/chat/app.py").chmod(0o755)


def add(root: Path) -> None:
    (root / "statemachines").mkdir()
    (root / "statemachines/job.asl.json").write_text("{}")


@pytest.mark.parametrize("change", [edit_layer, edit_facts, rename, make_executable, add])
def test_a_change_of_what_is_deployed(root: Path, change: Callable[[Path], None]) -> None:
    before = fingerprint.of_deployment(root=root)
    change(root)
    assert fingerprint.of_deployment(root=root) != before


def test_bytecode_and_files_beside_it_are_no_change(root: Path) -> None:
    before = fingerprint.of_deployment(root=root)
    (root / "functions/chat/__pycache__").mkdir()
    (root / "functions/chat/__pycache__/app.pyc").write_bytes(b"x")
    (root / "README.md").write_text("x")
    assert fingerprint.of_deployment(root=root) == before


def test_settings_count_and_stay_apart(root: Path) -> None:
    assert fingerprint.of_deployment("a", "bc", root=root) != fingerprint.of_deployment("ab", "c", root=root)
