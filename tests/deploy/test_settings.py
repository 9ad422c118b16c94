"""PORT and provider credentials, from the environment and from `.env`."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import settings
from local.console import Problem
from local.settings import Credential


def env_file(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text)
    return path


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert settings.read({"A": "1"}, tmp_path / ".env") == {"A": "1"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=abc", "abc"),
        ("export KEY=abc", "abc"),
        ("KEY = abc ", "abc"),
        ("KEY='a b # c'", "a b # c"),
        ('KEY="a b"  # why', "a b"),
        ("KEY=abc # why", "abc"),
        ("KEY=sk-a#b=c", "sk-a#b=c"),
    ],
)
def test_a_line_of_the_file(tmp_path: Path, line: str, value: str) -> None:
    assert settings.read({}, env_file(tmp_path, f"\n# note\n{line}\n"))["KEY"] == value


@pytest.mark.parametrize("line", ["KEY", "1KEY=a", "=a", "KEY='a"])
def test_a_line_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(Problem, match=r"\.env:2") as raised:
        settings.read({}, env_file(tmp_path, f"A=1\n{line}\n"))
    assert line not in str(raised.value)


def test_the_environment_wins_and_an_empty_value_is_unset(tmp_path: Path) -> None:
    path = env_file(tmp_path, "A=file\nB=file\nC=\n")
    assert settings.read({"A": "environment", "B": ""}, path) == {"A": "environment", "B": "file"}


def test_the_port() -> None:
    assert settings.port({}) == 8080
    assert settings.port({"PORT": "9000"}) == 9000


@pytest.mark.parametrize("text", ["abc", "-1", "65536", "80.5"])
def test_a_port_that_is_none(text: str) -> None:
    with pytest.raises(Problem, match="PORT"):
        settings.port({"PORT": text})


def test_parameters_of_the_stack() -> None:
    variables = {"TEMPLATE_CircuitOpenSeconds": "2", "OPENAI_API_KEY": "k", "MY_TEMPLATE_X": "1"}
    assert settings.stack_parameters(variables) == {"CircuitOpenSeconds": "2"}


def test_a_provider_is_real_with_a_key_or_a_base_url() -> None:
    variables = {"OPENAI_API_KEY": "k", "VLLM_BASE_URL": "http://10.0.0.1/v1", "NOBODY_API_KEY": "x"}
    found = settings.real_credentials(variables)
    assert found == {"openai": Credential("k", None), "vllm": Credential("", "http://10.0.0.1/v1")}
    assert found["openai"].as_secret() == {"api_key": "k"}
    assert found["vllm"].as_secret() == {"api_key": "", "base_url": "http://10.0.0.1/v1"}
