"""Environments are made once, again when their requirements change, and say what went wrong."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

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


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package of one line, that no index has to be asked for."""
    file = tmp_path / "something-1-py3-none-any.whl"
    with ZipFile(file, "w") as packed:
        packed.writestr("something.py", "")
        packed.writestr("something-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: something\nVersion: 1\n")
        packed.writestr("something-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr("something-1.dist-info/RECORD", "")
    return file


@pytest.mark.parametrize(
    ("hashed", "told"), [("", "HASHES ARE REQUIRED|[Hh]ashes are required"), ("0" * 64, "DO NOT MATCH")]
)
def test_nothing_is_installed_but_by_its_hash(venv: Venv, wheel: Path, hashed: str, told: str) -> None:
    named = f"something @ {wheel.as_uri()}"
    venv.requirements[0].write_text(f"{named} --hash=sha256:{hashed}\n" if hashed else f"{named}\n")
    with pytest.raises(Problem, match=told):
        venvs.ensure([venv], Progress())
    venv.requirements[0].write_text(f"{named} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n")
    venvs.ensure([venv], Progress())
    assert list(venv.folder.glob("lib/python*/site-packages/something.py"))


def test_a_python_without_the_venv_module_is_told_how_to_get_it(venv: Venv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Problem, match=r"apt install python3\.\d+-venv"):
        venvs.ensure([venv], Progress())
