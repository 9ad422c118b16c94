"""Answers of OpenAI's responses: recorded ones, and nonsense, which is a provider's failure and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts, Prices, UnitPrice
from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.money import cost_nano_usd
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.contract import Target
from gateway.providers.wire.openai_responses import OpenAiResponses
from gateway.providers.wire.openai_responses_replay import ITEMS
from tests.providers import replay
from tests.providers.inverse import responses as inverse
from tests.providers.responses_exchange import (
    HELLO,
    PICTURE,
    Members,
    call,
    function_call,
    message,
    parsed,
    reasoning,
    rendered,
    target,
)


def _mangled(document: Any) -> Iterator[Any]:
    """The document with every one of its values replaced by something else in turn."""
    yield from (None, 1, 1.5, "x", [], ["x"], {}, True)
    places = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for place in places:
        for other in _mangled(document[place]):
            copy = document.copy()
            copy[place] = other
            yield copy


WHOLE = {
    "id": "resp_1",
    "created_at": 1,
    "model": "m",
    "status": "incomplete",
    "service_tier": "default",
    "store": True,
    "incomplete_details": {"reason": "max_output_tokens"},
    "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 1, "total_tokens": 2},
    "tool_usage": {"web_search": {"num_requests": 1}},
    "output": [
        {**reasoning("a"), "summary": [{"type": "summary_text", "text": "x"}]},
        message("Lima", phase="final_answer"),
        {**function_call("1"), "namespace": "n"},
        PICTURE,
    ],
}


TOKENS = {"input_tokens": 50, "output_tokens": 6_240, "total_tokens": 6_290}
PRICED = ModelFacts(
    id="m",
    name="M",
    prices=Prices(input=1_000_000, output=1_000_000),
    unit_prices=(UnitPrice(unit="web_searches", pico_usd=10_000_000_000),),
)


@pytest.mark.parametrize(
    ("output", "figures", "units"),
    [
        ([PICTURE], {"image_gen": TOKENS}, {"server_tools:image_gen": 6_290}),
        ([PICTURE, PICTURE], None, {"server_tools:image_gen": 2}),
        ([{"type": "code_interpreter_call", "id": "ci_1"}], {}, {"server_tools:code_interpreter": 1}),
        ([{"type": "file_search_call", "id": "f"}], {"file_search": {"n": 0}}, {"server_tools:file_search": 1}),
        ([], {"new_tool": {"num_requests": 3}}, {"server_tools:new_tool": 3}),
        ([], {"web_search": {"num_requests": 1}, "image_gen": {"total_tokens": 0}}, {"web_searches": 1}),
        ([message("Lima")], None, {}),
    ],
)
def test_work_of_tools_that_has_no_price_leaves_the_cost_unknown(
    output: list[Members], figures: Members | None, units: dict[str, int]
) -> None:
    """Else it would be the plain price of the tokens, and nobody would see what is missing."""
    whole = {**WHOLE, "error": None, "output": output, "tool_usage": figures}
    reply = OpenAiResponses().parse(HttpResponse(200, {}, json.dumps(whole).encode()), target())
    assert reply.usage is not None
    assert reply.usage.units == units
    assert (cost_nano_usd(reply.usage, PRICED) is None) == any(name.startswith("server_tools") for name in units)


def test_any_answer_is_read_or_is_the_providers_failure() -> None:
    wire = OpenAiResponses()
    for body in _mangled({**WHOLE, "error": None}):
        try:
            reply = wire.parse(HttpResponse(200, {}, json.dumps(body).encode()), target())
        except ProviderFailure:
            continue
        assert msgspec.json.decode(msgspec.json.encode(reply))["choices"]


EVENTS: list[Members] = [
    {"type": "response.created", "response": {**WHOLE, "output": [], "status": "in_progress"}},
    {"type": "response.output_item.added", "output_index": 0, "item": function_call("1")},
    {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
    {"type": "response.output_item.done", "output_index": 0, "item": function_call("1")},
    {"type": "response.reasoning_summary_text.delta", "output_index": 1, "summary_index": 0, "delta": "x"},
    {"type": "response.output_item.done", "output_index": 1, "item": reasoning("a")},
    {"type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": "x", "logprobs": [{}]},
    {"type": "response.output_item.done", "output_index": 2, "item": message("x")},
]
LAST = {"type": "response.completed", "response": {**WHOLE, "status": "completed"}}


def _data(events: list[Any]) -> bytes:
    return b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)


@pytest.mark.parametrize("place", range(len(EVENTS) + 1))
def test_any_stream_is_read_or_is_the_providers_failure(place: int) -> None:
    events = [*EVENTS, LAST]
    for other in _mangled(events[place]):
        stream = OpenAiResponses().stream(target())
        data = _data([*events[:place], other, *events[place + 1 :]])
        try:
            reply = fold([*stream.feed(data), *stream.close()])
        except ProviderFailure:
            continue
        assert msgspec.json.decode(msgspec.json.encode(reply))["choices"]


def test_a_stream_cut_anywhere_ends_early() -> None:
    data = _data([*EVENTS, LAST])
    for end in range(0, len(data) - 2, 7):
        stream = OpenAiResponses().stream(target())
        with pytest.raises(ProviderFailure, match="ended early"):
            fold([*stream.feed(data[:end]), *stream.close()])


RECORDED = [planned for planned in replay.plan() if planned.api == "responses"]


@pytest.mark.parametrize("planned", [one for one in RECORDED if one.skipped], ids=lambda planned: planned.id)
def test_hosts_without_this_wire_are_understood_too(planned: replay.Planned) -> None:
    recording = planned.load()
    expected = inverse.expected(recording)
    host = Target(planned.provider, inverse.model_facts(recording), "https://host.example/v1")
    for piece_bytes in (0, replay.PIECE_BYTES):
        outcome = replay.understood(recording, OpenAiResponses(), host, piece_bytes)
        assert replay.as_expected(outcome, expected) == expected


def _recorded_turns() -> Iterator[tuple[str, list[Members]]]:
    for planned in RECORDED:
        answer = planned.load()["response"]
        if answer["status"] != 200:
            continue
        whole = answer["body"] if "body" in answer else inverse.last(answer)
        if whole.get("output"):
            yield planned.id, whole["output"]


@pytest.mark.parametrize(("recording_id", "output"), list(_recorded_turns()))
def test_recorded_encrypted_reasoning_goes_back_unchanged(recording_id: str, output: list[Members]) -> None:
    turn = json.loads(msgspec.json.encode(parsed(output).choices[0].message))

    back = rendered(call(messages=[*HELLO, turn]))["input"][1:]

    kept = [item for item in output if item["type"] in ITEMS]
    kept = [item for item in kept if item["type"] != "reasoning" or "encrypted_content" in item or item.get("content")]
    assert [json.dumps(item) for item in back if "id" in item] == [json.dumps(item) for item in kept]
