"""A call's three forms of tools made one, and its schemas whole, before any provider sees them.

- `{"type": "function"}`: OpenAI's form.
- `{"type": "reference", "schema_id"}`: a registered type, whose schema is that of the arguments, or a registered
  instance that describes a function.
- `{"type": "inline_gts", "schema"}`: either of the two, given on the spot.

Schemas of every form, and those of the reply, may refer to registered types by `gts://`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from gateway.gts.bundle import bundle, is_object
from gateway.gts.definition import Definition, Unusable, inline_definition, registered_definition
from gateway.gts.ids import SCHEME, MalformedId, newest_minor, parse
from gateway.gts.naming import Names, provider_name
from gateway.gts.refusal import refusal
from gateway.gts.schema import (
    TOO_FAR,
    TOO_LARGE_TOGETHER,
    Reach,
    defects,
    reach,
    refers_to_types,
    survey,
)
from gateway.model.chat import (
    AssistantMessage,
    ChatCall,
    Function,
    FunctionTool,
    InlineGtsTool,
    Json,
    JsonSchemaFormat,
    Message,
    NamedToolChoice,
    ReferenceTool,
    ResponseFormat,
    Tool,
    ToolCall,
    ToolMessage,
)
from gateway.model.errors import Detail
from gateway.model.json_schema import MAX_BYTES
from gateway.model.schema_parts import Endless, has_place, places, pointer, unending

MAX_CALL_BYTES = 2 * 1024 * 1024
_NONE: Mapping[str, Json] = MappingProxyType({})


def needed_ids(call: ChatCall, schemas: Mapping[str, Json] = _NONE) -> set[str]:
    """The registered ids that the call needs, directly or not, and that `schemas`, the documents by id, lacks.

    To be asked again with what was found, until nothing new comes: found documents refer to others.
    """
    surveyed = survey(schemas)
    needed: set[str] = set()
    for schema in _given_schemas(call):
        needed |= reach(schema, surveyed).missing.keys()
    for tool in call.tools or ():
        if isinstance(tool, ReferenceTool):
            with suppress(MalformedId, Unusable):  # which resolve_tools will tell
                found = _registered(tool.schema_id, schemas)
                needed |= {tool.schema_id} if found is None else reach(found[1].parameters, surveyed).missing.keys()
    return needed


def resolve_tools(call: ChatCall, schemas: Mapping[str, Json]) -> tuple[ChatCall, Names]:
    """The call with function tools only, under names that every provider takes, and schemas without `gts://`.

    Names in the history and in `tool_choice` follow. `schemas`: the registered documents by id, as far as they exist.
    Raises InvalidRequest (400) when an id, a schema or a name cannot be used, SchemaNotFound (422) when all that is
    missing is not registered; either names every place.
    """
    resolver = _Resolver(schemas)
    tools = None if call.tools is None else [resolver.tool(tool, f"/tools/{n}") for n, tool in enumerate(call.tools)]
    response_format = resolver.response_format(call.response_format)
    response_schema = resolver.response_schema(call.response_schema)
    resolver.raise_for_failures()
    resolved = replace(
        call,
        tools=tools,
        messages=[_renamed(message) for message in call.messages],
        response_format=response_format,
        response_schema=response_schema,
    )
    if isinstance(choice := call.tool_choice, NamedToolChoice):
        named = replace(choice.function, name=provider_name(choice.function.name))
        resolved = replace(resolved, tool_choice=replace(choice, function=named))
    return resolved, Names(resolver.own_names, resolver.used)


class _Resolver:
    """Goes through everything before it complains."""

    def __init__(self, schemas: Mapping[str, Json]) -> None:
        self._schemas, self._surveyed = schemas, survey(schemas)
        self._size_bytes = 0
        self._unusable: list[Detail] = []
        self._missing: list[Detail] = []
        self._taken: dict[str, str] = {}
        self.used: dict[str, str] = {}

    @property
    def own_names(self) -> dict[str, str]:
        return {safe: own for safe, own in self._taken.items() if safe != own}

    def tool(self, tool: Tool, at: str) -> Tool:
        if isinstance(tool, FunctionTool):
            return self._function_tool(tool, at)
        definition = self._inline(tool, at) if isinstance(tool, InlineGtsTool) else self._reference(tool, at)
        if definition is None:
            return tool
        registered = isinstance(tool, ReferenceTool)
        where = f"{at}/schema_id" if registered else f"{at}/schema{definition.pointer}"
        parameters = self._parameters(definition.parameters, where, registered=registered)
        name = self._name(definition.name, f"{at}/schema_id" if registered else f"{at}/schema")
        return FunctionTool(function=Function(name=name, description=definition.description, parameters=parameters))

    def response_format(self, wanted: ResponseFormat | None) -> ResponseFormat | None:
        if not isinstance(wanted, JsonSchemaFormat) or (schema := wanted.json_schema.schema) is None:
            return wanted
        whole = self._whole_if_it_refers(schema, "/response_format/json_schema/schema")
        return wanted if whole is schema else replace(wanted, json_schema=replace(wanted.json_schema, schema=whole))

    def response_schema(self, wanted: Json | None) -> Json | None:
        if wanted is None:
            return None
        if isinstance(inner := wanted.get("json_schema"), dict):
            return {**wanted, "json_schema": self._whole_if_it_refers(inner, "/response_schema/json_schema")}
        return self._whole_if_it_refers(wanted, "/response_schema")

    def raise_for_failures(self) -> None:
        if (error := refusal(self._unusable, self._missing)) is not None:
            raise error

    def _function_tool(self, tool: FunctionTool, at: str) -> FunctionTool:
        function = tool.function
        name = self._name(function.name, f"{at}/function/name")
        parameters = function.parameters
        if parameters is not None and refers_to_types(parameters):
            parameters = self._parameters(parameters, f"{at}/function/parameters")
        if name == function.name and parameters is function.parameters:
            return tool
        return replace(tool, function=replace(function, name=name, parameters=parameters))

    def _inline(self, tool: InlineGtsTool, at: str) -> Definition | None:
        try:
            return inline_definition(tool.schema)
        except Unusable as error:
            self._unusable.append(Detail(f"{at}/schema{error.pointer}", str(error)))
            return None

    def _reference(self, tool: ReferenceTool, at: str) -> Definition | None:
        at = f"{at}/schema_id"
        try:
            found = _registered(tool.schema_id, self._schemas)
        except (MalformedId, Unusable) as error:
            self._unusable.append(Detail(at, str(error)))
            return None
        if found is None:
            self._missing.append(Detail(at, f"{tool.schema_id} is not registered"))
            return None
        used_id, definition = found
        if used_id != tool.schema_id:
            self.used[tool.schema_id] = used_id
        return definition

    def _name(self, own: str, at: str) -> str:
        safe = provider_name(own)
        if safe in self._taken:
            self._unusable.append(Detail(at, f"'{self._taken[safe]}' is the name of another tool already"))
        self._taken[safe] = own
        return safe

    def _parameters(self, schema: Json, at: str, *, registered: bool = False) -> Json:
        """What providers want: the schema of an object, with its properties."""
        whole = self._whole(schema, at, registered=registered)
        if not is_object(whole):
            self._unusable.append(Detail(at, "a tool's arguments are an object, and this schema is not one's"))
        return {"properties": {}, **whole, "type": "object"}

    def _whole_if_it_refers(self, schema: Json, at: str) -> Json:
        return self._whole(schema, at) if refers_to_types(schema) else schema

    def _whole(self, schema: Json, at: str, *, registered: bool = False) -> Json:
        """The schema with all it refers to. One that cannot be had is noted, and stands for itself."""
        found = list(defects(schema, "" if registered else at))
        if registered:
            found = [Detail(at, f"{detail.reason}, at '{detail.pointer}' of the schema") for detail in found]
        if not found:
            reached = reach(schema, self._surveyed)
            self._missing += _missing_at(at, schema, reached.missing, registered)
            found = list(self._excess(reached, at))
            if not found and not reached.missing:
                whole = bundle(schema, self._schemas)
                found = [_endless(endless, schema, at)] if (endless := unending(whole)) else []
                schema = whole
        self._unusable += found
        return schema

    def _excess(self, reached: Reach, at: str) -> Iterator[Detail]:
        self._size_bytes += reached.size_bytes
        if reached.too_far:
            yield Detail(at, TOO_FAR)
        if reached.size_bytes > MAX_BYTES:
            yield Detail(at, TOO_LARGE_TOGETHER)
        elif self._size_bytes > MAX_CALL_BYTES:
            yield Detail(at, f"the schemas of a request have at most {MAX_CALL_BYTES} bytes with all they refer to")


def _missing_at(at: str, schema: Json, missing: Mapping[str, str | None], registered: bool) -> Iterator[Detail]:
    for type_id, by in missing.items():
        if by is not None or registered:
            yield Detail(at, f"{type_id}, which {by or 'it'} refers to, is not registered")
            continue
        for place in places(schema):
            if place.schema.get("$ref") == SCHEME + type_id:
                yield Detail(at + pointer((*place.path, "$ref")), f"{type_id} is not registered")


def _given_schemas(call: ChatCall) -> Iterator[Json]:
    """The schemas in the call itself that refer to registered types; those that are too large will be refused."""
    for schema in _all_schemas(call):
        if refers_to_types(schema) and len(msgspec.json.encode(schema)) <= MAX_BYTES:
            yield schema


def _all_schemas(call: ChatCall) -> Iterator[Json]:
    for tool in call.tools or ():
        if isinstance(tool, FunctionTool) and tool.function.parameters is not None:
            yield tool.function.parameters
        elif isinstance(tool, InlineGtsTool):
            try:
                yield inline_definition(tool.schema).parameters
            except Unusable:
                continue
    if isinstance(call.response_format, JsonSchemaFormat) and call.response_format.json_schema.schema is not None:
        yield call.response_format.json_schema.schema
    if call.response_schema is not None:
        inner = call.response_schema.get("json_schema")
        yield inner if isinstance(inner, dict) else call.response_schema


def _registered(schema_id: str, schemas: Mapping[str, Json]) -> tuple[str, Definition] | None:
    """The id that serves, and what is registered there. Raises MalformedId and Unusable."""
    gts_id = parse(schema_id)
    used_id = schema_id if schema_id in schemas else newest_minor(gts_id, schemas)
    if used_id is None:
        return None
    return used_id, registered_definition(schema_id, schemas[used_id], is_type=gts_id.is_type)


def _renamed(message: Message) -> Message:
    """With the names of its calls as the provider knows them."""
    if isinstance(message, AssistantMessage) and message.tool_calls:
        calls = [_renamed_call(call) for call in message.tool_calls]
        return message if calls == message.tool_calls else replace(message, tool_calls=calls)
    if isinstance(message, ToolMessage) and message.name:
        return replace(message, name=provider_name(message.name))
    return message


def _renamed_call(call: ToolCall) -> ToolCall:
    return replace(call, function=replace(call.function, name=provider_name(call.function.name)))


def _endless(endless: Endless, schema: Json, at: str) -> Detail:
    """At the part that leads back, unless that is of a type and not of what the client wrote."""
    return Detail(at + pointer(endless.path if has_place(schema, endless.path) else ()), endless.reason)
