"""`python -m pytest` in this folder; neither AWS nor the gateway is needed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location("app", Path(__file__).parents[1] / "src" / "app.py")
assert _SPEC is not None
assert _SPEC.loader is not None
app = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(app)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKS", "INTERNAL ONLY")
    monkeypatch.setenv("NAMES", "Initech, Globex")


def asked(*contents: Any) -> Any:
    messages = [{"role": "user", "content": content} for content in contents]
    return app.handler({"stage": "pre_call", "request": {"model": "m", "messages": messages}}, None)


def replied(*contents: str | None) -> Any:
    messages = [{"role": "assistant", "content": content} for content in contents]
    choices = [{"index": i, "message": message, "finish_reason": "stop"} for i, message in enumerate(messages)]
    return app.handler({"stage": "post_response", "response": {"choices": choices}}, None)


@pytest.mark.parametrize(
    "content", ["INTERNAL ONLY: sales", [{"type": "text", "text": "a"}, {"type": "text", "text": "INTERNAL ONLY"}]]
)
def test_a_mark_blocks_wherever_it_stands(content: Any) -> None:
    answer = asked("Hello", content)
    assert answer["action"] == "block"
    assert "sales" not in answer["reason"]


@pytest.mark.parametrize("content", ["Hello", None, [{"type": "image_url", "image_url": {"url": "gateway:media/0"}}]])
def test_all_else_passes(content: Any) -> None:
    assert asked(content) == {"action": "allow"}


def test_names_are_taken_out_of_the_choices_that_have_them() -> None:
    patch = {"choices": [{"index": 1, "message": {"content": "another vendor and another vendor"}}]}
    assert replied("Hello", "initech and Globex", None) == {"action": "modify", "patch": patch}


def test_a_reply_without_them_stays() -> None:
    assert replied("Hello", None) == {"action": "allow"}
