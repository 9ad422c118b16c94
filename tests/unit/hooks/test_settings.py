"""Settings of hooks that could never do anything are found before they are stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.adapters.webhook_urls import GuardedUrls
from gateway.hooks.settings import problems_of
from gateway.model.hook import Hook


def pointers(**settings: Any) -> list[str]:
    hook: Hook = msgspec.convert({"id": "h", **settings}, Hook)
    return [problem.pointer for problem in problems_of(hook, GuardedUrls().refusal)]


BOTH = ["pre_call", "post_response"]


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"kind": "json_schema", "schema": {"type": "objekt"}}, ["/schema/type"]),
        ({"kind": "json_schema", "schema": {"pattern": "(a+)+$"}}, ["/schema/pattern"]),
        ({"kind": "json_schema", "schema": {"type": "object"}}, []),
        ({"kind": "deny_list", "phrases": ["a", "\u200b", "***", " "]}, ["/phrases/1", "/phrases/3"]),
        ({"kind": "size"}, ["/stages/0"]),
        ({"kind": "size", "max_prompt_characters": 5, "stages": BOTH}, ["/stages/1"]),
        ({"kind": "size", "max_prompt_characters": 5}, []),
        ({"kind": "mask_pii"}, []),
        ({"kind": "webhook", "url": "https://example.org/judge"}, []),
        ({"kind": "webhook", "url": "http://example.org/judge"}, ["/url"]),
        ({"kind": "lambda", "function": "gateway-hook-x"}, []),
    ],
)
def test_what_could_never_do_anything(settings: dict[str, Any], where: list[str]) -> None:
    assert pointers(**settings) == where


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "lambda", "function": "llm-gateway-chat"},
        {"kind": "lambda", "function": "arn:aws:lambda:eu-west-1:1:function:gateway-hook-x"},
        {"kind": "webhook", "url": "ftp://example.org"},
        {"kind": "bedrock_guardrail", "guardrail_id": "../x"},
        {"kind": "deny_list", "phrases": []},
        {"kind": "deny_list", "phrases": ["a"] * 1001},
        {"kind": "mask_pii", "finds": ["names"]},
        {"kind": "mask_pii", "timeout_ms": 60_000},
        {"kind": "magic"},
    ],
)
def test_what_is_no_hook(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        pointers(**settings)
