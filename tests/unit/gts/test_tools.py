"""Three forms of tools in, one out; names there and back."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gateway.gts.gather import MAX_DOCUMENTS, MAX_TOTAL_BYTES, gather
from gateway.gts.naming import Names, provider_name
from gateway.gts.tools import needed_ids, resolve_tools
from gateway.model.chat import ChatCall, FunctionTool, Json
from gateway.model.errors import GatewayError, InvalidRequest, SchemaNotFound
from gateway.model.json_schema import MAX_BYTES
from gateway.model.reply import Chunk, Reply

POINT, PLACE = "gts.x.geo.base.point.v1~", "gts.x.geo.base.place.v1.2~"
OLDER, OPEN = "gts.x.geo.base.place.v1.1~", "gts.x.geo.base.place.v1~"
LOOKUP = "gts.x.faas.core.func.v1~x.geo.tools.lookup.v1"
TYPES: dict[str, Json] = {
    POINT: {"$id": f"gts://{POINT}", "type": "object", "properties": {"lat": {"type": "number"}}},
    PLACE: {
        "$id": f"gts://{PLACE}",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Place",
        "type": "object",
        "properties": {"at": {"$ref": f"gts://{POINT}"}},
        "required": ["at"],
    },
    OLDER: {"$id": f"gts://{OLDER}", "type": "object"},
    LOOKUP: {"id": LOOKUP, "description": "Looks a place up", "params": {"$ref": f"gts://{POINT}"}, "returns": None},
}
SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def call(*tools: Any, **members: Any) -> ChatCall:
    messages = members.pop("messages", [{"role": "user", "content": "Hi"}])
    return msgspec.convert({"model": "m", "messages": messages, "tools": list(tools) or None, **members}, ChatCall)


def reference(schema_id: str) -> Json:
    return {"type": "reference", "schema_id": schema_id}


def inline(schema: Json) -> Json:
    return {"type": "inline_gts", "schema": schema}


def function(name: str, parameters: Json | None = None) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def resolved(*tools: Any, types: Mapping[str, Json] = TYPES) -> tuple[list[Any], Names]:
    outcome, names = resolve_tools(call(*tools), types)
    assert all(isinstance(tool, FunctionTool) for tool in outcome.tools or ())
    return [tool.function for tool in outcome.tools or () if isinstance(tool, FunctionTool)], names


def refused(*tools: Any, types: Mapping[str, Json] = TYPES, **members: Any) -> GatewayError:
    with pytest.raises((InvalidRequest, SchemaNotFound)) as caught:
        resolve_tools(call(*tools, **members), types)
    return caught.value


def test_a_function_tool_goes_on_as_it_came() -> None:
    before = call(function("get_weather", {"$schema": "x", "allOf": [{"x-gts-final": 1}]}), function("Other-1"))
    after, names = resolve_tools(before, {})
    assert after == before
    assert names == Names()


def test_a_call_without_tools_goes_on_as_it_came() -> None:
    assert resolve_tools(call(), {}) == (call(), Names())
    assert needed_ids(call()) == set()


def test_a_type_is_the_schema_of_the_arguments() -> None:
    (tool,), names = resolved(reference(PLACE))
    assert tool.name == provider_name(PLACE)
    assert tool.description == "Place"
    assert tool.parameters == {
        "title": "Place",
        "type": "object",
        "properties": {"at": {"$ref": f"#/$defs/{provider_name(POINT)}"}},
        "required": ["at"],
        "$defs": {provider_name(POINT): {"type": "object", "properties": {"lat": {"type": "number"}}}},
    }
    assert names.back(tool.name) == PLACE
    assert names.used == {}


@pytest.mark.parametrize("member", ["params", "inputSchema", "parameters"])
def test_an_instance_describes_a_function(member: str) -> None:
    types = {**TYPES, LOOKUP: {"id": LOOKUP, "title": "Lookup", member: {"properties": {"a": {"type": "string"}}}}}
    (tool,), names = resolved(reference(LOOKUP), types=types)
    assert (tool.name, tool.description) == (provider_name(LOOKUP), "Lookup")
    assert tool.parameters == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert names.back(tool.name) == LOOKUP


def test_the_arguments_of_a_described_function_may_be_a_reference_or_none() -> None:
    (tool,), _ = resolved(reference(LOOKUP))
    assert tool.parameters == {"type": "object", "properties": {"lat": {"type": "number"}}}
    (tool,), _ = resolved(reference(LOOKUP), types={LOOKUP: {"id": LOOKUP, "params": None}})
    assert tool.parameters == {"type": "object", "properties": {}}
    assert tool.description is None


def test_an_open_minor_version_means_the_newest_under_the_name_that_was_asked_for() -> None:
    (tool,), names = resolved(reference(OPEN))
    assert tool.name == provider_name(OPEN)
    assert tool.parameters is not None
    assert tool.parameters["required"] == ["at"]
    assert (names.back(tool.name), names.used) == (OPEN, {OPEN: PLACE})


def test_an_exact_id_comes_before_a_newer_minor_version() -> None:
    types = {**TYPES, OPEN: {"$id": f"gts://{OPEN}", "description": "exact"}}
    (tool,), names = resolved(reference(OPEN), types=types)
    assert (tool.description, names.used) == ("exact", {})


def test_a_reference_between_schemas_is_exact() -> None:
    error = refused(function("f", {"$ref": f"gts://{OPEN}"}))
    assert isinstance(error, SchemaNotFound)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"$id": "gts://gts.a.b.c.d.v1~", "type": "object"}, "gts://gts.a.b.c.d.v1~"),
        ({"$schema": "x", "$id": "gts://gts.a.b.c.d.v1~", "params": 1}, "gts://gts.a.b.c.d.v1~"),
        ({"title": "get_weather", "properties": {}}, "get_weather"),
        ({"title": "Get the weather"}, "Get the weather"),
        ({"json_schema": {"title": "wrapped"}}, "wrapped"),
        ({"$id": "gts://gts.a.b.c.d.v1~e.f.g.h.v1", "params": {}}, "gts://gts.a.b.c.d.v1~e.f.g.h.v1"),
        ({"id": "gts.a.b.c.d.v1~e.f.g.h.v1", "inputSchema": None}, "gts.a.b.c.d.v1~e.f.g.h.v1"),
        ({"title": "described", "params": {"type": "object"}, "returns": {}}, "described"),
    ],
)
def test_an_inline_schema_has_a_name(schema: Json, name: str) -> None:
    (tool,), names = resolved(inline(schema))
    assert SAFE.fullmatch(tool.name)
    assert names.back(tool.name) == name
    assert tool.parameters is not None
    assert tool.parameters["type"] == "object"


def test_an_inline_schema_may_refer_to_registered_types_and_itself() -> None:
    me = "gts.a.b.c.d.v1~"
    schema = {"$id": f"gts://{me}", "properties": {"at": {"$ref": f"gts://{POINT}"}, "me": {"$ref": f"gts://{me}"}}}
    assert needed_ids(call(inline(schema))) == {POINT}
    (tool,), _ = resolved(inline(schema))
    assert tool.parameters is not None
    assert tool.parameters["properties"]["me"] == {"$ref": "#"}


def test_every_schema_of_a_call_may_refer_to_types() -> None:
    ref = {"$ref": f"gts://{POINT}"}
    whole = {"type": "object", "properties": {"lat": {"type": "number"}}}
    json_schema = {"name": "n", "schema": {"items": ref}}
    before = call(
        function("f", ref),
        response_format={"type": "json_schema", "json_schema": json_schema},
        response_schema={"json_schema": ref},
    )
    assert needed_ids(before) == {POINT}
    after, _ = resolve_tools(before, TYPES)
    plain = msgspec.to_builtins(after)
    assert plain["tools"][0]["function"]["parameters"] == whole
    point = provider_name(POINT)
    assert plain["response_format"]["json_schema"]["schema"] == {
        "items": {"$ref": f"#/$defs/{point}"},
        "$defs": {point: whole},
    }
    assert plain["response_schema"] == {"json_schema": whole}
    assert resolve_tools(call(response_schema=ref), TYPES)[0].response_schema == whole


async def test_needed_ids_follow_what_was_found() -> None:
    asked: list[set[str]] = []

    async def find(wanted: set[str]) -> dict[str, Json]:
        asked.append(wanted)
        return {PLACE: TYPES[PLACE]} if OPEN in wanted else {key: TYPES[key] for key in wanted if key in TYPES}

    wanted = call(reference(OPEN), reference("gts.no.such.thing.here.v1~"), reference("nonsense"), function("f"))
    found = await gather(lambda known: needed_ids(wanted, known), find)
    assert found == {PLACE: TYPES[PLACE], POINT: TYPES[POINT]}
    assert asked == [{OPEN, "gts.no.such.thing.here.v1~"}, {POINT}]


async def test_a_call_does_not_fetch_without_end() -> None:
    async def find(wanted: set[str]) -> dict[str, Json]:
        raise AssertionError("it must not come to this")

    tools = [reference(f"gts.x.y.z.t{number}.v1~") for number in range(MAX_DOCUMENTS + 1)]
    with pytest.raises(InvalidRequest, match=str(MAX_DOCUMENTS)):
        await gather(lambda known: needed_ids(call(*tools), known), find)


def test_everything_that_is_not_registered_is_told_at_once() -> None:
    missing = "gts.no.such.thing.here.v1~"
    broken = {**TYPES, POINT: {"items": {"$ref": f"gts://{missing}"}}}
    error = refused(
        reference(missing),
        reference(PLACE),
        inline({"title": "t", "properties": {"a": {"$ref": f"gts://{missing}"}}}),
        function("f", {"$ref": f"gts://{POINT}"}),
        types=broken,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"$ref": f"gts://{missing}"}}},
    )
    assert isinstance(error, SchemaNotFound)
    assert (error.status, error.code, error.param) == (422, "schema_not_found", "tools[0].schema_id")
    via = f"{missing}, which {POINT} refers to, is not registered"
    assert [(detail.pointer, detail.reason) for detail in error.details] == [
        ("/tools/0/schema_id", f"{missing} is not registered"),
        ("/tools/1/schema_id", via),
        ("/tools/2/schema/properties/a/$ref", f"{missing} is not registered"),
        ("/tools/3/function/parameters", via),
        ("/response_format/json_schema/schema/$ref", f"{missing} is not registered"),
    ]


@pytest.mark.parametrize(
    ("tool", "pointer", "reason"),
    [
        (reference("weather"), "/tools/0/schema_id", "begins with 'gts.'"),
        (reference(f"gts://{PLACE}"), "/tools/0/schema_id", "without gts://"),
        (reference("gts.x.geo.*"), "/tools/0/schema_id", "a pattern"),
        (inline({"type": "object"}), "/tools/0/schema", "needs a title"),
        (inline({"$id": "gts.a.b.c.d.v1~"}), "/tools/0/schema/$id", "gts://<GTS id>"),
        (inline({"$id": 7}), "/tools/0/schema/$id", "gts://<GTS id>"),
        (inline({"$id": "gts://gts.a.b.c.v1~"}), "/tools/0/schema/$id", "is not <vendor>"),
        (inline({"id": "gts.a.b.c.d.v1", "params": {}}), "/tools/0/schema/id", "type to the left"),
        (inline({"id": "gts.a.b.c.d.v1~e.f.g.h.v1"}), "/tools/0/schema", "describes no function"),
        (inline({"json_schema": {"title": "t", "params": 1}}), "/tools/0/schema/json_schema/params", "not a schema"),
        (inline({"title": "t", "type": "string"}), "/tools/0/schema", "arguments are an object"),
        (inline({"title": "t", "allOf": [{"type": "array"}]}), "/tools/0/schema", "arguments are an object"),
        (
            inline({"title": "t", "properties": {"a": {"$ref": "x"}}}),
            "/tools/0/schema/properties/a/$ref",
            "#/<pointer>",
        ),
        (inline({"title": "t", "properties": [1]}), "/tools/0/schema/properties", "not schemas by name"),
        (inline({"title": "t", "not": {"$ref": "#"}}), "/tools/0/schema/not", "without an end"),
        (inline({"title": "t", "x": "y" * MAX_BYTES}), "/tools/0/schema", "larger than"),
        (function("f", {"$ref": "gts://gts.a~"}), "/tools/0/function/parameters/$ref", "is not <vendor>"),
    ],
)
def test_what_cannot_be_used_is_named(tool: Json, pointer: str, reason: str) -> None:
    error = refused(tool)
    assert (error.status, error.code) == (400, "validation_error")
    assert [detail.pointer for detail in error.details] == [pointer]
    assert reason in error.details[0].reason
    assert needed_ids(call(tool)) == set()


def test_a_registered_document_that_is_no_tool_is_named_by_its_place_in_the_request() -> None:
    types: dict[str, Json] = {
        LOOKUP: {"id": LOOKUP, "name": "no function"},
        POINT: {"type": "string"},
        PLACE: {"allOf": 1},
    }
    error = refused(reference(LOOKUP), reference(POINT), reference(PLACE), types=types)
    assert [detail.pointer for detail in error.details] == [f"/tools/{n}/schema_id" for n in range(3)]
    assert "'/allOf' of the schema" in error.details[2].reason


def test_wrong_comes_before_missing_and_both_are_told() -> None:
    error = refused(reference("gts.no.such.thing.here.v1~"), reference("nonsense"))
    assert isinstance(error, InvalidRequest)
    assert [detail.pointer for detail in error.details] == ["/tools/1/schema_id", "/tools/0/schema_id"]
    assert "1 more" in error.message


def test_what_is_too_large_with_all_it_refers_to_is_refused() -> None:
    half = {"properties": {"a": {"description": "a" * (MAX_BYTES // 2)}}}
    types = {f"gts.a.b.c.t{n}.v1~": half for n in range(2)}
    schema = {"title": "t", "properties": {f"p{n}": {"$ref": f"gts://{key}"} for n, key in enumerate(types)}}
    assert "with all it refers to" in refused(inline(schema), types=types).message


def test_the_schemas_of_a_call_are_not_too_large_together() -> None:
    big = {"gts.a.b.c.big.v1~": {"description": "a" * (MAX_BYTES - 200)}}
    tools = [inline({"title": f"t{n}", "properties": {"a": {"$ref": "gts://gts.a.b.c.big.v1~"}}}) for n in range(9)]
    assert len(resolved(*tools[:8], types=big)[0]) == 8
    assert "of a request" in refused(*tools, types=big).message


async def test_a_call_does_not_fetch_too_much() -> None:
    async def find(wanted: set[str]) -> dict[str, Json]:
        return {type_id: {"description": "a" * 250_000} for type_id in wanted}

    tools = [reference(f"gts.x.y.z.t{number}.v1~") for number in range(9)]
    assert len(await gather(lambda known: needed_ids(call(*tools[:8]), known), find)) == 8
    with pytest.raises(InvalidRequest, match=str(MAX_TOTAL_BYTES)):
        await gather(lambda known: needed_ids(call(*tools), known), find)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (function("f"), function("f")),
        (reference(PLACE), reference(PLACE)),
        (reference(PLACE), inline({**TYPES[PLACE]})),
        (function("t"), inline({"title": "t"})),
        (function(provider_name(PLACE)), reference(PLACE)),
    ],
)
def test_two_tools_do_not_share_a_name(one: Json, other: Json) -> None:
    error = refused(one, other)
    assert error.code == "validation_error"
    assert error.details[0].pointer.startswith("/tools/1/")
    assert "name of another tool" in error.message


def test_names_in_the_history_and_the_choice_follow() -> None:
    history = [
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": PLACE, "arguments": "{"}}]},
        {"role": "tool", "tool_call_id": "1", "name": PLACE, "content": "there"},
        {"role": "assistant", "tool_calls": [{"id": "2", "function": {"name": "plain", "arguments": "{}"}}]},
        {"role": "user", "name": PLACE, "content": PLACE},
    ]
    choice = {"type": "function", "function": {"name": f"gts://{PLACE}"}}
    before = call(reference(PLACE), messages=history, tool_choice=choice)
    after, _ = resolve_tools(before, TYPES)
    plain = msgspec.to_builtins(after)
    safe = provider_name(PLACE)
    assert plain["messages"][0]["tool_calls"][0]["function"] == {"name": safe, "arguments": "{"}
    assert plain["messages"][1]["name"] == safe
    assert after.messages[2:] == before.messages[2:]
    assert plain["tool_choice"]["function"]["name"] == safe


def test_a_history_can_go_on_without_its_tools() -> None:
    """The name is computed from the id alone: nothing needs to be registered, or remembered."""
    history = [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": PLACE, "arguments": "{}"}}]}]
    after, _ = resolve_tools(call(messages=history), {})
    assert msgspec.to_builtins(after)["messages"][0]["tool_calls"][0]["function"]["name"] == provider_name(PLACE)


@pytest.mark.parametrize(
    ("own", "safe"),
    [
        ("get_weather", "get_weather"),
        ("A-1", "A-1"),
        ("x" * 64, "x" * 64),
        ("gts.x.test5.events.type.v1~", "type_de567dcc"),
        ("gts://gts.x.test5.events.type.v1~", "type_de567dcc"),
        ("gts.gateway.api.tools.function.v1~gateway.example.weather.forecast.v1", "forecast_99001d2e"),  # docs/tools.md
        ("gts.x.test5.events.type.v1~abc.app._.custom_event.v1.2", "custom_event_c7f8cca7"),
    ],
)
def test_a_name_for_providers(own: str, safe: str) -> None:
    assert provider_name(own) == safe


def test_any_text_has_a_safe_name_of_its_own() -> None:
    chance = random.Random(3)  # noqa: S311 - the same texts every time
    names = {"".join(chance.choice("aZ0_-. ~é:/") for _ in range(chance.randrange(1, 130))) for _ in range(3_000)}
    safe = {name: provider_name(name) for name in names}
    assert all(SAFE.fullmatch(name) for name in safe.values())
    assert all(provider_name(name) == name for name in safe.values())
    assert len(set(safe.values())) == len(names)


def test_a_function_tool_with_a_name_that_not_every_provider_takes_comes_back_under_it() -> None:
    (tool,), names = resolved(function("files.read: a", {"type": "object"}))
    assert tool.name.startswith("files_read__a_")
    assert names.back(tool.name) == "files.read: a"


def test_replies_and_chunks_get_the_consumers_names_back() -> None:
    (tool, _), names = resolved(reference(PLACE), function("plain"))
    calls = [
        {"id": str(n), "function": {"name": name, "arguments": "{"}} for n, name in enumerate([tool.name, "plain"])
    ]
    message = {"content": None, "tool_calls": calls}
    reply = msgspec.convert({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}, Reply)
    back = names.in_reply(reply)
    assert [call.function.name for call in back.choices[0].message.tool_calls or ()] == [PLACE, "plain"]
    first = {"index": 0, "id": "1", "type": "function", "function": {"name": tool.name, "arguments": ""}}
    rest = {"index": 0, "function": {"arguments": '{"a"'}}
    chunk = msgspec.convert({"choices": [{"index": 0, "delta": {"tool_calls": [first, rest]}}]}, Chunk)
    pieces = names.in_chunk(chunk).choices[0].delta.tool_calls or []
    assert [msgspec.to_builtins(piece) for piece in pieces] == [
        {**first, "function": {"name": PLACE, "arguments": ""}},
        rest,
    ]
    text = msgspec.convert({"choices": [{"index": 0, "delta": {"content": "a"}}]}, Chunk)
    assert names.in_chunk(text) is text
    assert Names().in_reply(reply) is reply


WORDS = [
    *("$ref", "$id", "$schema", "$defs", "allOf", "anyOf", "not", "if", "then", "properties", "items", "required"),
    *("type", "title", "params", "additionalProperties", "dependencies", "prefixItems", "x-gts-final", "json_schema"),
]
ATOMS = [
    None,
    True,
    False,
    0,
    "",
    "a",
    "object",
    "string",
    f"gts://{POINT}",
    "gts://gts.no.such.t.v1~",
    "#",
    "#/$defs/a",
]


def random_json(chance: random.Random, depth: int) -> Any:
    if depth == 0 or chance.random() < 0.25:
        return chance.choice(ATOMS)
    if chance.random() < 0.3:
        return [random_json(chance, depth - 1) for _ in range(chance.randrange(3))]
    return {chance.choice(WORDS): random_json(chance, depth - 1) for _ in range(chance.randrange(5))}


def test_whatever_a_schema_is_it_is_resolved_or_refused() -> None:
    chance = random.Random(5)  # noqa: S311 - the same schemas every time
    outcomes = {True: 0, False: 0}
    for _ in range(4_000):
        drawn = random_json(chance, 4)
        schema = {"title": "t", **drawn} if isinstance(drawn, dict) else {"title": "t", "properties": {"a": drawn}}
        tools = call(inline(schema) if chance.random() < 0.5 else function("f", schema))
        needed_ids(tools, TYPES)
        try:
            resolved_call, _ = resolve_tools(tools, TYPES)
        except (InvalidRequest, SchemaNotFound) as error:
            assert error.details
            outcomes[False] += 1
        else:
            msgspec.json.encode(resolved_call)
            outcomes[True] += 1
    assert min(outcomes.values()) > 300


@pytest.mark.parametrize("name", ["21st_magic_component", "-dash", "9.test"])
def test_a_name_begins_with_what_gemini_takes_and_is_mapped_back(name: str) -> None:
    called = provider_name(name)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", called)
    assert Names({called: name}).back(called) == name
    assert provider_name("_fine-Name9") == "_fine-Name9"
