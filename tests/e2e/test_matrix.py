"""Every cell of the matrix, whole and streamed: what the provider receives, what the client gets, or who refuses it.

The official SDK speaks to the deployed gateway; the simulators tell what reached them.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import httpx
import openai
import pytest

from gateway.model.media_type import DOCX
from local.simulators.media import CLIP, NOTES, PAPER, PICTURE, SOUND, WORD
from tests.e2e.conftest import Gateway
from tests.e2e.forms import Json, Media, Result, Tool
from tests.e2e.matrix import CELLS, ROWS, Row, refusal

pytestmark = pytest.mark.stack

ADD = Tool(
    "add",
    "Adds two numbers",
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
)
LOOKUP = Tool("lookup", "Finds a town", {"type": "object", "properties": {"town": {"type": "string"}}})
TOOLS = [{"type": "function", "function": tool._asdict()} for tool in (ADD, LOOKUP)]
ONE_CALL = 'call add {"a": 1, "b": 2}'
CALLS: list[tuple[str, Json]] = [("add", {"a": 1, "b": 2}), ("lookup", {"town": "Oslo"}), ("add", {"a": 3, "b": 4})]
THREE_CALLS = "\n".join(f"call {name} {json.dumps(arguments)}" for name, arguments in CALLS)
REPLY = Tool("reply", "Give the reply by calling this.", {})
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
    },
    "required": ["name"],
}
NESTED = {
    "type": "object",
    "properties": {
        "kind": {"const": "town"},
        "mayor": {"$ref": "#/$defs/Person", "description": "Who governs it.", "examples": [{"name": "Kari"}]},
    },
    "required": ["kind", "mayor"],
    "$defs": {"Person": PERSON},
}
SIMULATED_SIGNATURE = re.compile(r"c2ltdWxhdGVk\d{8}|gAAAAsim\d{8}")
REASONING_TOKENS = 7
MANY_TOKENS = 4000


def media(content_type: str, data: bytes, name: str = "") -> Media:
    return Media(content_type, base64.b64encode(data).decode(), name)


SENT = {
    "image": [media("image/png", PICTURE + b"\0" * number) for number in (1, 2, 3)],
    "document": [media("application/pdf", PAPER, "paper.pdf")],
    "text": [media("application/json", NOTES, "notes.json")],
    "word": [media(DOCX, WORD, "letter.docx")],
    "audio": [media("audio/wav", SOUND)],
    "video": [media("video/mp4", CLIP)],
}
PARTS: dict[str, Callable[[Media], Json]] = {
    "image": lambda sent: {"type": "image_url", "image_url": {"url": sent.data_url}},
    "document": lambda sent: {"type": "file", "file": {"file_data": sent.data_url, "filename": sent.name}},
    "text": lambda sent: {"type": "file", "file": {"file_data": sent.data_url, "filename": sent.name}},
    "word": lambda sent: {"type": "file", "file": {"file_data": sent.data_url, "filename": sent.name}},
    "audio": lambda sent: {"type": "input_audio", "input_audio": {"data": sent.content, "format": sent.subtype}},
    "video": lambda sent: {"type": "video", "url": sent.data_url},
}


class Reply(NamedTuple):
    """`message`: as the SDK gives it and takes it back."""

    message: Any
    finish_reason: str
    usage: Any

    @property
    def said(self) -> Json:
        found: Json = self.message.to_dict()
        return found


class Gate:
    """The gateway through the official SDK, and what has reached the providers since `begin`."""

    def __init__(self, sdk: openai.OpenAI, control: httpx.Client) -> None:
        self._sdk, self._control = sdk, control

    def begin(self) -> None:
        self._control.delete("/_sim/requests").raise_for_status()

    def received(self) -> list[Json]:
        found: list[Json] = self._control.get("/_sim/requests?method=POST").raise_for_status().json()["requests"]
        return found

    def ask(self, row: Row, *, stream: bool, **members: Any) -> Reply:
        wanted = {"model": row.name, **members}
        if not stream:
            whole = self._sdk.chat.completions.create(**wanted)
            return Reply(whole.choices[0].message, whole.choices[0].finish_reason, whole.usage)
        with self._sdk.chat.completions.stream(**wanted) as chunks:
            final = chunks.get_final_completion()
        return Reply(final.choices[0].message, final.choices[0].finish_reason, final.usage)


@pytest.fixture(scope="module")
def gate(gateway: Gateway) -> Iterator[Gate]:
    if not gateway.simulators:
        pytest.skip("looks into the provider simulators, which only the local stack has")
    with (
        openai.OpenAI(base_url=gateway.http, api_key=gateway.api_key, max_retries=0, timeout=60) as sdk,
        httpx.Client(base_url=gateway.simulators) as control,
    ):
        yield Gate(sdk, control)


def only_body(gate: Gate, row: Row, stream: bool) -> Json:
    """Of the one request that was made: to the row's provider and model, for a whole or a streamed answer."""
    (request,) = gate.received()
    assert (request["provider"], request["status"]) == (row.provider, 200)
    assert (bool(request["body"].get("stream")) or "tream" in request["path"]) is stream
    assert row.model in (request["model"], request["body"].get("model"), *request["path"].split("/"))
    body: Json = request["body"]
    return body


def check_tools(gate: Gate, row: Row, stream: bool) -> None:
    reply = gate.ask(row, stream=stream, messages=user(ONE_CALL), tools=TOOLS)
    body = only_body(gate, row, stream)
    assert body.items() >= row.form.tools([ADD, LOOKUP]).items()
    assert body[row.form.conversation] == [row.form.user(ONE_CALL)]
    check_calls(reply, CALLS[:1])


def check_parallel_tools(gate: Gate, row: Row, stream: bool) -> None:
    reply = gate.ask(row, stream=stream, messages=user(THREE_CALLS), tools=TOOLS, parallel_tool_calls=True)
    assert only_body(gate, row, stream)[row.form.conversation] == [row.form.user(THREE_CALLS)]
    check_calls(reply, CALLS)


def check_calls(reply: Reply, wanted: list[tuple[str, Json]]) -> None:
    calls = reply.said["tool_calls"]
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls] == wanted
    assert len({call["id"] for call in calls}) == len(wanted)
    assert {call["type"] for call in calls} == {"function"}
    assert reply.finish_reason == "tool_calls"


def check_tool_results(gate: Gate, row: Row, stream: bool) -> None:
    reply = gate.ask(row, stream=stream, messages=user(THREE_CALLS), tools=TOOLS)
    check_results(gate, row, stream, THREE_CALLS, reply)


def check_results(gate: Gate, row: Row, stream: bool, text: str, reply: Reply, **members: Any) -> None:
    """The results go back in another order than the calls came in: their ids say whose they are."""
    results = [
        Result(call["id"], call["function"]["name"], f"{call['function']['name']} gave {number}")
        for number, call in enumerate(reply.said["tool_calls"])
    ][::-1]
    sent = [{"role": "tool", "tool_call_id": result.call_id, "content": result.text} for result in results]
    gate.begin()
    messages = [*user(text), reply.message, *sent]
    second = gate.ask(row, stream=stream, messages=messages, tools=TOOLS, **members)
    history = [row.form.user(text), *row.form.called(reply.said), *row.form.results(results)]
    assert only_body(gate, row, stream)[row.form.conversation] == history
    assert second.said["content"] == f"Tool said: {' '.join(result.text for result in row.form.ordered(results))}"
    assert second.finish_reason == "stop"


def check_structured_output(gate: Gate, row: Row, stream: bool) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "town", "strict": True, "schema": SCHEMA}}
    reply = gate.ask(row, stream=stream, messages=user("Name a town."), response_format=wanted)
    body = only_body(gate, row, stream)
    way = (stream and row.streamed_schema) or row.schema
    if way == "native":
        assert row.form.schema(body) == SCHEMA
    elif way == "tool":
        assert body.items() >= row.form.forced(REPLY._replace(parameters=SCHEMA)).items()
    else:
        assert body[row.form.conversation][0]["role"] == "system"
        assert json.dumps(SCHEMA, separators=(",", ":")) in body[row.form.conversation][0]["content"]
    assert json.loads(reply.said["content"]) == {"name": "string", "people": 1}
    assert reply.said.get("tool_calls") is None
    assert reply.finish_reason == "stop"


def check_media(gate: Gate, row: Row, stream: bool, kind: str) -> None:
    sent = SENT[kind]
    content = [{"type": "text", "text": "Look"}, *(PARTS[kind](one) for one in sent)]
    reply = gate.ask(row, stream=stream, messages=[{"role": "user", "content": content}])
    expected = [getattr(row.form, kind)(one) for one in sent]
    assert only_body(gate, row, stream)[row.form.conversation] == [row.form.user("Look", *expected)]
    if any("text" in part for part in expected):
        assert sent[0].words in reply.said["content"]
        return
    noted = re.findall(r"\[(\w+) [^ ]+ (\d+) bytes\]", reply.said["content"])
    family = "document" if kind in ("text", "word") else kind
    assert noted == [(family, str(len(base64.b64decode(one.content)))) for one in sent]


def check_reasoning(gate: Gate, row: Row, stream: bool) -> None:
    """Over a turn with tool calls, where the model has tools: that is when providers insist on what they signed."""
    has_tools = refusal(row, "tools") is None
    text = f"{THREE_CALLS if has_tools else 'Think'} [[reasoning_tokens={REASONING_TOKENS}]]"
    asks = {"extra_body": {**row.asks, "max_tokens": MANY_TOKENS}}
    tools = {"tools": TOOLS} if has_tools else {}
    reply = gate.ask(row, stream=stream, messages=user(text), **tools, **asks)
    check_reasoned(row, reply)
    if has_tools:
        check_results(gate, row, stream, text, reply, **asks)
    else:
        gate.begin()
        gate.ask(row, stream=stream, messages=[*user(text), reply.message, *user("More")], **asks)
        history = [row.form.user(text), row.form.said(reply.said["content"]), row.form.user("More")]
        assert only_body(gate, row, stream)[row.form.conversation] == history


def check_reasoned(row: Row, reply: Reply) -> None:
    """What the client gets of it. `check_results` sees to it that the provider gets back what it wants."""
    details, calls = reply.said.get("reasoning_details"), reply.said.get("tool_calls")
    shown = reply.said.get("reasoning_content") or ""
    assert shown.startswith("Considering: ") is (row.reasoning not in ("encrypted", "counted"))
    signed = SIMULATED_SIGNATURE.search(json.dumps([details, calls]))
    assert bool(signed) is (row.reasoning in ("signed", "encrypted"))
    if row.reasoning == "blocks":
        assert details
    if row.reasoning == "counted":
        assert reply.usage.completion_tokens_details.reasoning_tokens == REASONING_TOKENS


def user(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


CHECKS: dict[str, Callable[[Gate, Row, bool], None]] = {
    "tools": check_tools,
    "parallel_tools": check_parallel_tools,
    "tool_results": check_tool_results,
    "structured_output": check_structured_output,
    "reasoning": check_reasoning,
    **{kind: partial(check_media, kind=kind) for kind in SENT},
}


WITH_TOOLS = ("tools", "parallel_tools", "tool_results", "reasoning")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_cell(gate: Gate, row: Row, cell: str, stream: bool) -> None:
    gate.begin()
    refused = refusal(row, cell)
    if cell in WITH_TOOLS:
        row = dataclasses.replace(row, form=row.tools_form or row.form)
    elif cell == "word":
        row = dataclasses.replace(row, form=row.word_form or row.form)
    if refused is None:
        CHECKS[cell](gate, row, stream)
        return
    with pytest.raises(openai.BadRequestError) as caught:
        CHECKS[cell](gate, row, stream)
    assert isinstance(caught.value.body, dict)
    assert (caught.value.code, caught.value.body["param"]) == ("capability_not_supported", refused.param)
    assert row.model in caught.value.body["message"]
    assert gate.received() == []


LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")
LACKING = [
    (row, level)
    for row in ROWS
    for level in LEVELS
    if row.facts.reasoning_efforts and level not in row.facts.reasoning_efforts
]


@pytest.mark.parametrize(("row", "level"), LACKING, ids=lambda value: value if isinstance(value, str) else value.name)
def test_a_level_of_reasoning_that_a_model_lacks_is_refused_by_name(gate: Gate, row: Row, level: str) -> None:
    gate.begin()
    with pytest.raises(openai.BadRequestError) as caught:
        gate.ask(row, stream=False, messages=user("Think"), reasoning_effort=level)
    assert isinstance(caught.value.body, dict)
    assert (caught.value.code, caught.value.body["param"]) == ("capability_not_supported", "reasoning_effort")
    assert gate.received() == []


def test_a_conversation_goes_on_anywhere(gate: Gate) -> None:
    """Each model gets what the one before it began, ids, signatures and reasoning, and a user who goes on."""
    rows = [row for row in ROWS if refusal(row, "tool_results") is None]
    for before, row in zip(rows, rows[1:] + rows[:1], strict=True):
        asks = {"extra_body": before.asks, "max_tokens": MANY_TOKENS} if refusal(before, "reasoning") is None else {}
        begun = gate.ask(before, stream=False, messages=user(THREE_CALLS), tools=TOOLS, **asks).message
        results = [{"role": "tool", "tool_call_id": call.id, "content": "Done"} for call in begun.tool_calls]
        messages = [*user(THREE_CALLS), begun, *results, *user("Go on")]
        for tools in ({"tools": TOOLS}, {}):
            assert gate.ask(row, stream=False, messages=messages, **tools).finish_reason == "stop", (before, row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_schema_as_libraries_write_it(gate: Gate, row: Row) -> None:
    """With definitions, words beside references, constants, and a member that leads back: of a reply and of a tool."""
    wanted = {"type": "json_schema", "json_schema": {"name": "town", "schema": NESTED}}
    reply = gate.ask(row, stream=False, messages=user("Name a town."), response_format=wanted)
    found = json.loads(reply.said["content"])
    assert (found["kind"], found["mayor"]["name"]) == ("town", "string")
    if refusal(row, "tools") is None:
        tool = {"type": "function", "function": {"name": "add", "parameters": NESTED}}
        called = gate.ask(row, stream=False, messages=user('call add {"kind": "town"}'), tools=[tool])
        check_calls(called, [("add", {"kind": "town"})])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_schema_beside_tools(gate: Gate, row: Row, stream: bool) -> None:
    """The model may still call, and what it says in the end is held to the schema."""
    if refusal(row, "tools") is not None:
        pytest.skip("takes no tools")
    wanted = {"type": "json_schema", "json_schema": {"name": "town", "strict": True, "schema": SCHEMA}}
    asks: Json = {"tools": TOOLS, "response_format": wanted}
    called = gate.ask(row, stream=stream, messages=user(ONE_CALL), **asks)
    check_calls(called, CALLS[:1])
    result = {"role": "tool", "tool_call_id": called.said["tool_calls"][0]["id"], "content": "3"}
    reply = gate.ask(row, stream=stream, messages=[*user(ONE_CALL), called.message, result], **asks)
    assert json.loads(reply.said["content"]) == {"name": "string", "people": 1}
    assert reply.finish_reason == "stop"
