"""Every parameter of a call, at every wire of every provider: it changes what is sent, or is refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway.providers
from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.lookup import has_provider, provider_named

Members = dict[str, Any]

TOOL: Members = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
MARK: Members = {"type": "ephemeral"}
HELLO: list[Members] = [{"role": "user", "content": "Hi"}]
PIXEL, SOUND = "data:image/png;base64,aGVsbG8=", "aGVsbG8="
PDF = "data:application/pdf;base64,aGVsbG8="
CLOSED: Members = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}

PARAMETERS: dict[str, Members] = {
    "max_tokens": {"max_tokens": 2000},
    "max_completion_tokens": {"max_completion_tokens": 2000},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 7},
    "n": {"n": 2},
    "stop": {"stop": ["END"]},
    "seed": {"seed": 0},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 3},
    "tools": {"tools": [TOOL]},
    "tools.strict": {"tools": [{**TOOL, "function": {**TOOL["function"], "strict": True}}]},
    "tool_choice": {"tools": [TOOL], "tool_choice": "required"},
    "tool_choice.none": {"tools": [TOOL], "tool_choice": "none"},
    "tool_choice.function": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    "parallel_tool_calls": {"tools": [TOOL], "parallel_tool_calls": False},
    "response_format": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED, "strict": True}}
    },
    "response_format.type": {"response_format": {"type": "json_object"}},
    "reasoning_effort": {"reasoning_effort": "low"},
    "verbosity": {"verbosity": "low"},
    "service_tier": {"service_tier": "flex"},
    "modalities": {"modalities": ["text", "audio"]},
    "audio": {"audio": {}},
    "prediction": {"prediction": {}},
    "web_search_options": {"web_search_options": {}},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "safety_identifier": {"safety_identifier": "s"},
    "store": {"store": True},
    "metadata.team": {"metadata": {"team": "t", "conversation_id": "c"}},
    "stream_options.include_obfuscation": {"stream": True, "stream_options": {"include_obfuscation": True}},
}
WITHOUT: dict[str, Members] = {
    "top_logprobs": {"logprobs": True},
    "tools.strict": {"tools": [TOOL]},
    "tool_choice": {"tools": [TOOL]},
    "tool_choice.none": {"tools": [TOOL]},
    "tool_choice.function": {"tools": [TOOL]},
    "parallel_tool_calls": {"tools": [TOOL]},
    "stream_options.include_obfuscation": {"stream": True},
}
"""What the call is compared with, where the parameter needs another."""

MARKED_PARTS: dict[str, Members] = {
    "text": {"type": "text", "text": "Hi"},
    "image_url": {"type": "image_url", "image_url": {"url": PIXEL}},
    "input_audio": {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}},
    "file": {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
}
MESSAGES: dict[str, tuple[list[Members], list[Members], str]] = {
    "a user's name": ([{**HELLO[0], "name": "ann"}], HELLO, "messages[0].name"),
    "a system message's name": (
        [{"role": "system", "content": "Be kind.", "name": "ann"}, *HELLO],
        [{"role": "system", "content": "Be kind."}, *HELLO],
        "messages[0].name",
    ),
    "an assistant's name": (
        [*HELLO, {"role": "assistant", "content": "Ho", "name": "bob"}, *HELLO],
        [*HELLO, {"role": "assistant", "content": "Ho"}, *HELLO],
        "messages[1].name",
    ),
    "a message to go on with": (
        [*HELLO, {"role": "assistant", "content": "Ho", "prefix": True}],
        [*HELLO, {"role": "assistant", "content": "Ho"}],
        "messages[1].prefix",
    ),
    "an image's detail": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}],
        "messages[0].content[0].image_url.detail",
    ),
    **{
        f"a cache mark on {kind}": (
            [{"role": "user", "content": [{**part, "cache_control": MARK}]}],
            [{"role": "user", "content": [part]}],
            "messages[0].content[0].cache_control",
        )
        for kind, part in MARKED_PARTS.items()
    },
}
NEED_NOT_BE_SENT = {"messages[1].prefix": ("anthropic", "bedrock", "azure", "vertex")}
"""An assistant message at the end is gone on with by Claude as it is."""


def wires() -> Iterator[tuple[str, str]]:
    folder = Path(gateway.providers.__path__[0])
    for name in sorted(path.stem for path in folder.glob("*.py") if has_provider(path.stem)):
        for api in provider_named(name).wires:
            yield name, api


@pytest.fixture(params=wires(), ids="-".join)
def wire(request: pytest.FixtureRequest) -> tuple[str, str]:
    pair: tuple[str, str] = request.param
    return pair


def sent(wire: tuple[str, str], members: Members) -> tuple[str, bytes]:
    """URL and body; CapabilityNotSupported is raised."""
    provider, api = wire
    capabilities = ("tools", "reasoning", "structured_output", "streaming")
    facts = ModelFacts(id="m", name="M", api=api, capabilities=capabilities, reasoning_by="effort", dialect="anthropic")
    target = Target(provider, facts, "https://host.example/v1", {"resource": "r", "project": "p"})
    call = msgspec.convert({"model": "m", "messages": HELLO, **members}, ChatCall)
    request = provider_named(provider).wires[api].render(call, target)
    return request.url, request.body


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_sent_or_refused_by_its_name(wire: tuple[str, str], name: str) -> None:
    try:
        asked = sent(wire, PARAMETERS[name])
    except CapabilityNotSupported as refused:
        named = (refused.param or "").partition("[")[0]
        assert named in name or named.startswith(name), refused.message
    else:
        assert asked != sent(wire, WITHOUT.get(name, {}))


@pytest.mark.parametrize("name", MESSAGES)
def test_a_member_of_a_message_is_sent_or_refused_by_its_place(wire: tuple[str, str], name: str) -> None:
    with_it, without, param = MESSAGES[name]
    try:
        asked = sent(wire, {"messages": with_it})
    except CapabilityNotSupported as refused:
        assert param.startswith(refused.param or "-"), refused.message
    else:
        if wire[0] not in NEED_NOT_BE_SENT.get(param, ()):
            assert asked != sent(wire, {"messages": without})
