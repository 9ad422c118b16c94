"""Structured output: how the schema is asked for, and that the reply keeps to it.

A schema is given to the provider in its own words where it has some for this model ("native"), else as the one tool it
must call ("tool"), which many models cannot be made to do while they reason, else in a system message ("prompt").
Whichever way, the reply is validated here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.gts.naming import Names
from gateway.gts.refusal import refusal
from gateway.model.chat import (
    ChatCall,
    Function,
    FunctionTool,
    Json,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedFunction,
    NamedSchema,
    NamedToolChoice,
    SystemMessage,
)
from gateway.model.constrained_schema import constrained
from gateway.model.errors import InvalidRequest, ReplyBreaksSchema
from gateway.model.fence import unfenced
from gateway.model.json_schema import is_of_objects, is_strict, schema_violations, text_violations
from gateway.model.reply import Choice, Reply
from gateway.model.schema_dialect import modern
from gateway.pipeline.reasoning import takes_forced_tools
from gateway.pipeline.route import ChatRoute
from gateway.providers.contract import ANY_SCHEMA, CONSTRAINED_SCHEMA, ONE_CALL

TOOL_NAME = "reply"
ANY_OBJECT: Json = {"type": "object"}
_PROMPT = "Reply with one JSON value and nothing else: no explanation and no code fence."
_PROMPT_BESIDE_TOOLS = f"Call tools as you need them. When you have what you need: {_PROMPT}"
_SCHEMA = "It must satisfy this JSON Schema:"


class Expectation(msgspec.Struct, frozen=True):
    """What the reply must be, and the way it was asked for."""

    schema: Json
    way: Literal["native", "tool", "prompt"]

    def shaped(self, reply: Reply) -> Reply:
        """The reply with its JSON as content."""
        return msgspec.structs.replace(reply, choices=[self._shaped(choice) for choice in reply.choices])

    def check(self, reply: Reply) -> None:
        """Raises ReplyBreaksSchema (422)."""
        for choice in reply.choices:
            if not _is_of_another_kind(choice):
                self.check_text(choice.message.content or "")

    def _shaped(self, choice: Choice) -> Choice:
        if self.way == "tool":
            choice = _tool_call_as_content(choice)
        text = choice.message.content
        if text is None and not _is_of_another_kind(choice):
            text = ""
        if text is not None and self.way == "prompt":
            text = unfenced(text)
        return msgspec.structs.replace(choice, message=msgspec.structs.replace(choice.message, content=text))

    def check_text(self, text: str) -> None:
        """Raises ReplyBreaksSchema (422) with every violation."""
        if violations := text_violations(text, self.schema):
            raise ReplyBreaksSchema("The reply does not satisfy the schema.", raw_text=text, details=violations)


def expect(call: ChatCall, route: ChatRoute) -> tuple[ChatCall, Expectation | None]:
    """The call as the provider can honour its schema, and what to hold the reply against.

    Raises InvalidRequest (400) for a schema that is none, or two of them.
    """
    call = _one_spelling(call)
    wanted, formats = call.response_format, route.wire.formats(call, route.facts)
    if isinstance(wanted, JsonObjectFormat):
        schema, native = ANY_OBJECT, "json_object" in formats
    elif isinstance(wanted, JsonSchemaFormat):
        given = wanted.json_schema.schema or {}
        _check_schema(given, "/response_format/json_schema/schema")
        schema = modern(given)
        native = (asked := _in_its_words(schema, formats, route)) is not None
        if asked is not None and asked is not given:
            call = _with_schema(call, wanted, asked)
    else:
        return call, None
    if native:
        return call, Expectation(schema, "native")
    if _can_be_asked_by_tool(call, schema, route):
        is_single = ONE_CALL in formats and route.facts.can("parallel_tools")
        return _ask_by_tool(call, schema, _description(wanted), is_single=is_single), Expectation(schema, "tool")
    return _ask_by_prompt(call, schema, formats), Expectation(schema, "prompt")


def _one_spelling(call: ChatCall) -> ChatCall:
    """`response_schema`, bare or as {"json_schema": ...}, becomes a `response_format`."""
    if call.response_schema is None:
        return call
    if call.response_format is not None:
        raise InvalidRequest("response_schema and response_format say the same; send one.", param="response_schema")
    schema = call.response_schema.get("json_schema", call.response_schema)
    if not isinstance(schema, dict):
        raise InvalidRequest("A JSON Schema is an object.", param="response_schema.json_schema")
    _check_schema(schema, "/response_schema" if schema is call.response_schema else "/response_schema/json_schema")
    schema = modern(schema)
    named = NamedSchema(name="reply", schema=schema, strict=is_strict(schema) or None)
    return msgspec.structs.replace(call, response_schema=None, response_format=JsonSchemaFormat(json_schema=named))


def _check_schema(schema: Json, at: str) -> None:
    """Raises InvalidRequest (400) that names the first place that is wrong, and all of them in its details."""
    if (error := refusal(schema_violations(schema, at), ())) is not None:
        raise error


def _in_its_words(schema: Json, formats: frozenset[str], route: ChatRoute) -> Json | None:
    """The schema as the provider takes it; None when it has no words for schemas, or for this one."""
    if not route.facts.can("structured_output"):
        return None
    if "json_schema" in formats:
        return schema if ANY_SCHEMA in formats or is_of_objects(schema) else None
    return constrained(schema) if CONSTRAINED_SCHEMA in formats else None


def _with_schema(call: ChatCall, wanted: JsonSchemaFormat, schema: Json) -> ChatCall:
    named = msgspec.structs.replace(wanted.json_schema, schema=schema)
    return msgspec.structs.replace(call, response_format=JsonSchemaFormat(json_schema=named))


def _can_be_asked_by_tool(call: ChatCall, schema: Json, route: ChatRoute) -> bool:
    if call.tools or schema.get("type") != "object":
        return False
    return route.facts.is_known and route.facts.can("tools") and takes_forced_tools(call, route) is True


def _description(wanted: JsonObjectFormat | JsonSchemaFormat) -> str:
    said = wanted.json_schema.description if isinstance(wanted, JsonSchemaFormat) else None
    return f"Give the reply by calling this. {said or ''}".strip()


def _ask_by_tool(call: ChatCall, schema: Json, description: str, *, is_single: bool) -> ChatCall:
    """`is_single`: it is told to call it once; of several calls the first would be the reply."""
    function = Function(name=TOOL_NAME, description=description, parameters=schema)
    choice = NamedToolChoice(function=NamedFunction(name=TOOL_NAME))
    asked = msgspec.structs.replace(
        call, response_format=None, tools=[FunctionTool(function=function)], tool_choice=choice
    )
    return msgspec.structs.replace(asked, parallel_tool_calls=False) if is_single else asked


def _ask_by_prompt(call: ChatCall, schema: Json, formats: frozenset[str]) -> ChatCall:
    """A provider whose words end at `json_object` is asked for that as well, which it does not take beside tools."""
    words = _PROMPT_BESIDE_TOOLS if call.tools else _PROMPT
    demand = SystemMessage(content=f"{words} {_SCHEMA}\n{msgspec.json.encode(schema).decode()}")
    has_mode = "json_object" in formats and "json_schema" not in formats
    mode = JsonObjectFormat() if has_mode and not call.tools and schema.get("type") == "object" else None
    return msgspec.structs.replace(call, response_format=mode, messages=[demand, *call.messages])


def _tool_call_as_content(choice: Choice) -> Choice:
    calls = choice.message.tool_calls or []
    if not calls:
        return choice  # it answered in words: those are held against the schema
    message = msgspec.structs.replace(choice.message, content=calls[0].function.arguments, tool_calls=None)
    finish_reason = "stop" if choice.finish_reason == "tool_calls" else choice.finish_reason
    return msgspec.structs.replace(choice, message=message, finish_reason=finish_reason)


def _is_of_another_kind(choice: Choice) -> bool:
    """An answer that no schema is for; the client is told of it by its finish reason."""
    return bool(choice.message.refusal or choice.message.tool_calls or choice.finish_reason == "content_filter")


class Promise(msgspec.Struct, frozen=True):
    """What the client may expect of the reply: its own names for tools, and its schema kept."""

    names: Names
    expectation: Expectation | None = None

    @property
    def messages_added(self) -> int:
        """How many stand before the client's own."""
        return 1 if self.expectation is not None and self.expectation.way == "prompt" else 0

    def shaped(self, reply: Reply) -> Reply:
        """The reply in the client's own terms."""
        return self.names.in_reply(reply if self.expectation is None else self.expectation.shaped(reply))

    def check(self, reply: Reply) -> None:
        """Of a shaped reply. Raises ReplyBreaksSchema (422)."""
        if self.expectation is not None:
            self.expectation.check(reply)
