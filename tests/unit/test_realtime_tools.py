"""Tools of a realtime session in three forms, and their names on the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.gts.naming import Names
from gateway.model.errors import GatewayError
from gateway.model.realtime import FunctionTool, NamedTool, ProviderEvent, SessionUpdate
from gateway.pipeline.realtime_read import read_event
from gateway.pipeline.realtime_tools import in_own_names, to_functions
from tests.fakes import MemoryTypes

POINT = "gts.x.geo.base.point.v1~"
PLACE = "/session/tools/0/schema_id"
SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": f"gts://{POINT}",
    "type": "object",
    "properties": {"x": {"type": "number"}},
}


async def resolved(event: dict[str, Any]) -> tuple[Any, Names]:
    read = read_event(json.dumps(event).encode())
    assert isinstance(read, ProviderEvent)
    return await to_functions(read, "acme", MemoryTypes(deployed={POINT: SCHEMA}))


async def test_three_forms_become_functions_and_are_called_by_the_client_s_names() -> None:
    inline = {**SCHEMA, "$id": "gts://gts.x.geo.base.line.v1~", "description": "A line"}
    tools = [
        {"type": "function", "name": "plain", "description": "Plain", "parameters": {"type": "object"}},
        {"type": "reference", "schema_id": POINT},
        {"type": "inline_gts", "schema": inline},
    ]
    choice = {"type": "function", "name": POINT}
    event, names = await resolved({"type": "session.update", "session": {"tools": tools, "tool_choice": choice}})
    assert isinstance(event, SessionUpdate)
    assert isinstance(event.session.tools, list)
    found = [tool for tool in event.session.tools if isinstance(tool, FunctionTool)]
    assert len(found) == 3
    assert found[0] == FunctionTool(name="plain", description="Plain", parameters={"type": "object"})
    assert found[1].parameters is not None
    assert found[1].parameters["properties"] == {"x": {"type": "number"}}
    assert event.session.tool_choice == NamedTool(name=found[1].name, type="function")
    assert "." not in found[1].name
    assert names.back(found[1].name) == POINT

    call = {"id": "i", "type": "function_call", "name": found[1].name}
    done = {"type": "response.function_call_arguments.done", "name": found[1].name}
    assert in_own_names(done, names)["name"] == POINT
    assert in_own_names({"type": "conversation.item.done", "item": call}, names)["item"]["name"] == POINT
    response = in_own_names({"type": "response.done", "response": {"output": [call, {"type": "message"}]}}, names)
    assert [one.get("name") for one in response["response"]["output"]] == [POINT, None]
    session = in_own_names({"type": "session.updated", "session": {"tools": [call]}}, names)
    assert session["session"]["tools"][0]["name"] == POINT
    assert call["name"] == found[1].name


async def test_the_tools_of_one_response_too() -> None:
    event, names = await resolved(
        {"type": "response.create", "response": {"tools": [{"type": "reference", "schema_id": POINT}]}}
    )
    assert names.back(event.response.tools[0].name) == POINT
    item = {"type": "function_call", "name": POINT, "arguments": "{}", "call_id": "c"}
    created, _ = await resolved({"type": "conversation.item.create", "item": item})
    assert created.item.name == event.response.tools[0].name


@pytest.mark.parametrize(
    ("tool", "code", "pointer"),
    [
        (
            {"type": "reference", "schema_id": "gts.x.geo.base.gone.v1~"},
            "schema_not_found",
            "/session/tools/0/schema_id",
        ),
        ({"type": "reference", "schema_id": "nonsense"}, "validation_error", "/session/tools/0/schema_id"),
    ],
)
async def test_what_is_not_registered_is_named(tool: dict[str, Any], code: str, pointer: str) -> None:
    with pytest.raises(GatewayError) as refused:
        await resolved({"type": "session.update", "session": {"tools": [tool]}})
    assert refused.value.code == code
    assert [detail.pointer for detail in refused.value.details] == [pointer]
    assert str(refused.value.param).startswith("session.tools")
    assert f"'{refused.value.param}'" in refused.value.message


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.update", "session": {"instructions": "Hi"}},
        {"type": "response.create"},
        {"type": "input_audio_buffer.commit"},
    ],
)
async def test_what_has_no_tools_stays_as_it_is(event: dict[str, Any]) -> None:
    assert await resolved(event) == (read_event(json.dumps(event).encode()), Names())
    assert in_own_names({"type": "error", "name": "x"}, Names()) == {"type": "error", "name": "x"}
