"""Environments are made once, again when their requirements change, and say what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import commands, venvs
from local.console import Problem, Progress
from local.venvs import Venv


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Venv:
    """An environment below tmp_path; what it would install is a local package, so no index is asked."""
    monkeypatch.setattr(commands, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(venvs, "REPOSITORY", tmp_path)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    return Venv("test", tmp_path / "venv", (requirements,))


def test_a_venv_is_made_once_and_again_after_a_change(venv: Venv, capfd: pytest.CaptureFixture[str]) -> None:
    venvs.ensure([venv], Progress())
    assert "installing requirements.txt into venv: done" in capfd.readouterr().out
    venvs.ensure([venv], Progress())
    assert capfd.readouterr().out == ""
    venv.requirements[0].write_text("# still nothing\n")
    venvs.ensure([venv], Progress())
    assert "done" in capfd.readouterr().out


def test_a_failed_install_is_told_with_pips_words_and_tried_again(venv: Venv, tmp_path: Path) -> None:
    venv.requirements[0].write_text("./no-such-package\n")
    with pytest.raises(Problem, match=r"requirements\.txt into venv.*failed(?s:.*)no-such-package"):
        venvs.ensure([venv], Progress())
    assert not venv.is_ready()


def test_a_python_without_the_venv_module_is_told_how_to_get_it(venv: Venv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Problem, match=r"apt install python3\.\d+-venv"):
        venvs.ensure([venv], Progress())
