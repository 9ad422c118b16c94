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
from tests.unit.facts.contract import resolved

Members = dict[str, Any]

TOOL: Members = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
MARK: Members = {"type": "ephemeral"}
HELLO: list[Members] = [{"role": "user", "content": "Hi"}]
PIXEL, SOUND = "data:image/png;base64,aGVsbG8=", "aGVsbG8="
PDF = "data:application/pdf;base64,aGVsbG8="
CLOSED: Members = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
FORMAT: Members = {"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED, "strict": True}}

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
    "tools.cache_control": {"tools": [{**TOOL, "cache_control": MARK}]},
    "tools.description": {"tools": [{**TOOL, "function": {**TOOL["function"], "description": "Does it"}}]},
    "tool_choice": {"tools": [TOOL], "tool_choice": "required"},
    "tool_choice.none": {"tools": [TOOL], "tool_choice": "none"},
    "tool_choice.function": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    "parallel_tool_calls": {"tools": [TOOL], "parallel_tool_calls": False},
    "response_format": {"response_format": FORMAT},
    "response_format.type, described": {
        "response_format": {**FORMAT, "json_schema": {**FORMAT["json_schema"], "description": "What it is"}}
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
OF_THE_GATEWAY = {
    *(
        "model",
        "messages",
        "user",
        "timeouts",
        "fallback",
        "fallbacks",
        "models",
        "async",
        "webhook_url",
        "provider_options",
        "stream",
        "metadata",
    ),
    *("stream_options", "response_schema"),
}
"""Parameters that it honours itself, whatever the wire: `user` goes to those who take one, the rest of `metadata` and
`stream_options` stands in the table, and a `response_schema` is a `response_format` by the time a wire sees it."""
WITHOUT: dict[str, Members] = {
    "top_logprobs": {"logprobs": True},
    "tools.strict": {"tools": [TOOL]},
    "tools.cache_control": {"tools": [TOOL]},
    "tools.description": {"tools": [TOOL]},
    "response_format.type, described": {"response_format": FORMAT},
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
WORDS: Members = {"type": "text", "text": "Look"}
PARTS: list[Members] = [
    *MARKED_PARTS.values(),
    {"type": "image", "url": PIXEL},
    {"type": "audio", "url": f"data:audio/wav;base64,{SOUND}"},
    {"type": "video", "url": f"data:video/mp4;base64,{SOUND}"},
    {"type": "document", "url": PDF, "name": "a.pdf"},
    {"type": "refusal", "refusal": "No."},
]
CALLED: Members = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
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
        f"a part of type {part['type']}": (
            [{"role": "user", "content": [WORDS, part]}],
            [{"role": "user", "content": [WORDS]}],
            "messages[0].content[1]",
        )
        for part in PARTS
    },
    **{
        f"a result of type {part['type']}": (
            [*HELLO, CALLED, {"role": "tool", "tool_call_id": "c", "content": [WORDS, part]}],
            [*HELLO, CALLED, {"role": "tool", "tool_call_id": "c", "content": [WORDS]}],
            "messages[2].content[1]",
        )
        for part in PARTS
    },
    "audio of an earlier reply": (
        [*HELLO, {"role": "assistant", "content": "Ho", "audio": {"id": "a"}}, *HELLO],
        [*HELLO, {"role": "assistant", "content": "Ho"}, *HELLO],
        "messages[1].audio",
    ),
    "a refusal of an earlier reply": (
        [*HELLO, {"role": "assistant", "content": None, "refusal": "No."}, *HELLO],
        [*HELLO, {"role": "assistant", "content": None}, *HELLO],
        "messages[1].refusal",
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


def test_every_parameter_of_the_contract_is_in_the_table() -> None:
    contract = resolved({"$ref": "#/components/schemas/ChatCompletionRequest"})["properties"].keys()
    assert {name.partition(".")[0] for name in PARAMETERS} | OF_THE_GATEWAY == contract
    assert {field.encode_name for field in msgspec.structs.fields(ChatCall)} == contract


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
