"""A structured reply is the same content, streamed or whole: no fence, and one call only."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.fence import Unfenced, unfenced
from gateway.pipeline.structured import expect
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import FIGURES, HELLO, event
from tests.unit.test_structured import GOOD, LOOSE, WAYS, call_with, route_of

END = b"data: " + json.dumps(FIGURES).encode() + b"\n\ndata: [DONE]\n\n"


def model(gateway: Gateway, *capabilities: str) -> None:
    facts = msgspec.structs.replace(FACTS, source="x", capabilities=(*capabilities, "streaming"))
    gateway.world.catalog.held["openai"]["gpt-4o"] = facts  # type: ignore[attr-defined]


async def whole(gateway: Gateway, message: dict[str, Any], finish_reason: str) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    gateway.answers(200, json.dumps({**FIGURES, "choices": [choice]}).encode())
    return (await gateway.chat({**HELLO, "response_schema": LOOSE})).json


async def streamed(gateway: Gateway, deltas: list[dict[str, Any]], finish_reason: str) -> tuple[str, Any]:
    """The content as a client puts it together, and the last event before the end."""
    gateway.answers(200, *(event(delta) for delta in deltas), event({}, finish_reason), END)
    events = (await gateway.chat({**HELLO, "response_schema": LOOSE, "stream": True})).events
    chunks = [chunk for chunk in events if isinstance(chunk, dict) and "choices" in chunk]
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    return said, [event for event in events if event != "[DONE]"][-1]


FENCED = [
    GOOD,
    f"```json\n{GOOD}\n```",
    f"\n\n```json\n{GOOD}\n```\n",
    f"```\r\n\n{GOOD}```",
    f"  {GOOD}\n ",
    f"```JSON\n{GOOD}",
]


@pytest.mark.parametrize("text", FENCED)
@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_a_fence_is_no_content_in_a_stream_either(gateway: Gateway, text: str, size: int) -> None:
    model(gateway)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    said, last = await streamed(gateway, [{"content": piece} for piece in pieces], "stop")
    assert "error" not in last
    assert said == GOOD
    reply = await whole(gateway, {"content": text}, "stop")
    assert reply["choices"][0]["message"]["content"] == GOOD


@pytest.mark.parametrize(
    "text", ["", " ", "`", "``", "```", "```json", "````", '"a ``` b"', "x ``", "```\n```", "```\n``"]
)
def test_every_cut_of_a_text_gives_the_same(text: str) -> None:
    for size in range(1, len(text) + 1):
        taken = Unfenced()
        pieces = [taken.take(text[start : start + size]) for start in range(0, len(text), size)]
        assert "".join(pieces) + taken.finish() == unfenced(text)


@pytest.mark.parametrize(
    ("text", "bare"),
    [('"a ``` b"', '"a ``` b"'), ("```json", "```json"), ("a `b`", "a `b`"), ("```\na `b`\n```", "a `b`")],
)
def test_what_is_no_fence_stays(text: str, bare: str) -> None:
    assert unfenced(text) == bare


def test_only_what_may_be_the_fence_waits() -> None:
    taken = Unfenced()
    assert [taken.take(piece) for piece in ("``", "`js", 'on\n{"a"', ": ", "1", "}", "\n", "```", "\n")] == [
        *("", "", '{"a"', ":", " 1", "}", "", "", ""),
    ]
    assert taken.finish() == ""


def call(index: int, arguments: str, *, begins: bool = True) -> dict[str, Any]:
    named = {"id": f"c{index}", "type": "function"} if begins else {}
    function = {"name": "reply", "arguments": arguments} if begins else {"arguments": arguments}
    return {"index": index, **named, "function": function}


OTHER = '{"city": "Rome"}'


@pytest.mark.parametrize(
    "deltas",
    [
        [{"tool_calls": [call(0, GOOD[:9])]}, {"tool_calls": [call(0, GOOD[9:], begins=False)]}],
        [{"tool_calls": [call(0, GOOD)]}, {"tool_calls": [call(1, OTHER)]}],
        [{"tool_calls": [call(0, GOOD), call(1, OTHER)]}],
        [
            {"tool_calls": [call(0, GOOD[:9])]},
            {"tool_calls": [call(1, OTHER)]},
            {"tool_calls": [call(0, GOOD[9:], begins=False)]},
        ],
        [{"content": "Here it is: "}, {"tool_calls": [call(0, GOOD)]}, {"content": " Done."}],
    ],
)
async def test_the_first_call_is_the_reply(gateway: Gateway, deltas: list[dict[str, Any]]) -> None:
    model(gateway, "tools")
    said, last = await streamed(gateway, deltas, "tool_calls")
    assert (said, last["choices"][0]["finish_reason"]) == (GOOD, "stop")
    message = {"content": "Here it is: ", "tool_calls": [call(0, GOOD), call(1, OTHER)]}
    choice = (await whole(gateway, message, "tool_calls"))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (GOOD, "stop")


async def test_words_in_place_of_the_call_are_the_reply(gateway: Gateway) -> None:
    model(gateway, "tools")
    assert (await streamed(gateway, [{"content": GOOD[:5]}, {"content": GOOD[5:]}], "stop"))[0] == GOOD
    _, last = await streamed(gateway, [{"content": "I cannot."}], "stop")
    assert last["error"]["raw_text"] == "I cannot."


@pytest.mark.parametrize(
    ("capabilities", "asked"), [(("tools", "streaming"), None), (("tools", "parallel_tools", "streaming"), False)]
)
def test_a_model_that_makes_several_calls_is_told_to_make_one(
    capabilities: tuple[str, ...], asked: bool | None
) -> None:
    route = route_of(WAYS["tool"])
    route = replace(route, facts=msgspec.structs.replace(route.facts, capabilities=capabilities))
    call, expectation = expect(call_with(response_schema=LOOSE), route)
    assert expectation is not None
    assert (expectation.way, call.parallel_tool_calls) == ("tool", asked)


def test_a_provider_without_a_word_for_one_call_is_not_told() -> None:
    way = dataclasses.replace(WAYS["tool"], provider="ollama", capabilities=("tools", "parallel_tools", "streaming"))
    assert expect(call_with(response_schema=LOOSE), route_of(way))[0].parallel_tool_calls is None
