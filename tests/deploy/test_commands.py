"""Commands that a run calls: their words are kept, and they see nothing of the make around us."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.commands import run_logged
from local.console import Problem


def test_what_make_was_told_is_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "PYTHON=/elsewhere")
    log = tmp_path / "log"
    run_logged("asking", ["/bin/sh", "-c", 'echo "flags=$MAKEFLAGS" path="$PATH"'], log)
    assert "flags= path=/" in log.read_text()


def test_a_failure_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "seq 100; echo no space left >&2; exit 7"]
    with pytest.raises(Problem, match=r"sam build failed \(7\)(?s:.*)    100\n    no space left") as raised:
        run_logged("sam build", command, tmp_path / "log")
    assert "    50\n" not in str(raised.value)
