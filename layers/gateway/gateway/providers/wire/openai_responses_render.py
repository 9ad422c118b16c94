"""A normalised chat call as the body of OpenAI's responses.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11)
"""

from __future__ import annotations

import msgspec

from gateway.model.chat import (
    ChatCall,
    FunctionTool,
    Json,
    JsonSchemaFormat,
    NamedToolChoice,
    ResponseFormat,
    Tool,
)
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.wire.lacking import (
    lacking,
    metadata_to_send,
    refuse,
    refuse_metadata,
    refuse_no_reasoning,
    refuse_obfuscation,
)
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_render import PLAIN
from gateway.providers.wire.openai_responses_input import items
from gateway.providers.wire.options import with_options

PLACED = frozenset({"logprobs", "top_logprobs", "reasoning_effort", "verbosity", "web_search_options", "store"})
"""Parameters of chat completions that this API has too, but under another name or inside another member."""
ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
NOWHERE = Quirks().lacks
"""What OpenAI's chat completions lack as well."""
NO_PARAMETERS = {"type": "object", "properties": {}}

_encoder = msgspec.json.Encoder()


def request_body(call: ChatCall, target: Target, quirks: Quirks, *, background: bool = False) -> bytes:
    """Raises CapabilityNotSupported (400) for what this API, provider or model cannot honour."""
    _check(call, target, quirks)
    body: Json = {"model": target.model.id, "input": items(call.messages, target, quirks)}
    body |= _plain(call, quirks)
    body["store"] = bool(call.store)  # the API's own default is to keep everything for 30 days
    if background:
        body["background"] = True
    include = _include(call, target)
    if include:
        body["include"] = include
    if call.output_limit_tokens is not None:
        body["max_output_tokens"] = call.output_limit_tokens
    if call.logprobs and call.top_logprobs is not None:
        body["top_logprobs"] = call.top_logprobs
    if call.reasoning_effort is not None:
        body["reasoning"] = {"effort": call.reasoning_effort}
    if text := _text(call, quirks):
        body["text"] = text
    body |= _tools(call, target)
    body |= _attribution(call, target, quirks)
    body |= _stream(call, target, quirks)
    options = _with_include(call.options_for(target.provider), include)
    return _encoder.encode(with_options(body, options, target.provider, quirks.reserved))


def _check(call: ChatCall, target: Target, quirks: Quirks) -> None:
    lacks = [name for name in PLAIN if name in quirks.lacks]
    refuse(call, (name for name in lacks if name in NOWHERE), target.provider)
    refuse(call, lacks, target.provider, _when(call, target))
    if call.response_format is not None and (kind := _kind(call.response_format)) not in quirks.formats:
        raise lacking(target.provider, "response_format.type", f"response_format '{kind}'")
    refuse_no_reasoning(call, target.model)
    if not target.model.sampling:
        for name in ("temperature", "top_p"):
            if getattr(call, name) is not None:
                raise CapabilityNotSupported(f"The model {target.model.id} does not take '{name}'.", param=name)


def _when(call: ChatCall, target: Target) -> str:
    model = target.model
    if model.tools_api and call.tools:
        return (
            f" beside tools while {model.id} reasons: those go through Responses, which has no word for it, and with"
            " reasoning_effort 'none' through Chat Completions"
        )
    return f" for {model.id}, which is spoken to through Responses"


def _plain(call: ChatCall, quirks: Quirks) -> Json:
    """The parameters that are called the same."""
    values = ((name, getattr(call, name)) for name in PLAIN if name not in quirks.lacks and name not in PLACED)
    return {name: value for name, value in values if value is not None}


def _include(call: ChatCall, target: Target) -> list[str]:
    """Reasoning has to come back with the next turn, also where the reply is stored: what is stored belongs to an
    account that all tenants share. Models that do not reason refuse to encrypt it.

    Source: https://github.com/pydantic/pydantic-ai/issues/2865 ("Encrypted content is not supported with this model").
    """
    include = [ENCRYPTED_REASONING] if encrypts(target) else []
    return [*include, LOGPROBS] if call.logprobs else include


def encrypts(target: Target) -> bool:
    return target.model.reasoning_by is not None or "reasoning" in target.model.capabilities


def _text(call: ChatCall, quirks: Quirks) -> Json:
    text: Json = {} if call.response_format is None else {"format": _format(call.response_format)}
    if call.verbosity is not None and "verbosity" not in quirks.lacks:
        text["verbosity"] = call.verbosity
    return text


def _kind(wanted: ResponseFormat) -> str:
    return str(wanted.__struct_config__.tag)


def _format(wanted: ResponseFormat) -> ResponseFormat | Json:
    """A schema's members stand beside `type` instead of inside `json_schema`."""
    if not isinstance(wanted, JsonSchemaFormat):
        return wanted
    flat: Json = msgspec.to_builtins(wanted.json_schema)
    return {"type": "json_schema", **flat}


def _tools(call: ChatCall, target: Target) -> Json:
    members: Json = {}
    if call.tools is not None:
        members["tools"] = [_tool(tool, f"tools[{position}]", target) for position, tool in enumerate(call.tools)]
    if call.web_search_options is not None:
        members["tools"] = [*members.get("tools", ()), _web_search(call.web_search_options)]
    if isinstance(call.tool_choice, NamedToolChoice):
        members["tool_choice"] = {"type": "function", "name": call.tool_choice.function.name}
    elif call.tool_choice is not None:
        members["tool_choice"] = call.tool_choice
    return members


def _tool(tool: Tool, where: str, target: Target) -> Json:
    """`strict` is always said: left out, this API rewrites the schema and makes every member required.

    Source: https://platform.openai.com/docs/guides/function-calling#strict-mode (2026-11)
    """
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools are supported.", param=f"{where}.type")
    if tool.cache_control is not None:
        raise lacking(target.provider, f"{where}.cache_control", "'cache_control'")
    function = tool.function
    flat: Json = {"type": "function", "name": function.name, "parameters": function.parameters or NO_PARAMETERS}
    if function.description is not None:
        flat["description"] = function.description
    return {**flat, "strict": bool(function.strict)}


def _web_search(options: Json) -> Json:
    """What is a parameter of chat completions is a tool here, with a flat place.

    Source: https://platform.openai.com/docs/guides/tools-web-search (2026-11)
    """
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(inner := place.get("approximate"), dict):
        options = {**options, "user_location": {"type": "approximate", **inner}}
    return {"type": "web_search", **options}


def _attribution(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """`metadata.conversation_id` is addressed to the gateway."""
    members: Json = {} if call.user is None or "user" in quirks.lacks else {"user": call.user}
    if "metadata" in quirks.lacks:
        refuse_metadata(call, target.provider)
    metadata = metadata_to_send(call)
    return {**members, "metadata": metadata} if metadata else members


def _stream(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """Usage ends every stream without being asked for."""
    if call.stream is None:
        return {}
    wanted = call.stream_options.include_obfuscation if call.stream and call.stream_options is not None else None
    if wanted is None or (not quirks.obfuscation and not wanted):
        return {"stream": call.stream}
    if not quirks.obfuscation:
        refuse_obfuscation(call, target.provider)
    return {"stream": True, "stream_options": {"include_obfuscation": wanted}}


def _with_include(options: Json | None, include: list[str]) -> Json | None:
    """The options with what both sides want to have included."""
    asked = options.get("include") if options else None
    if not options or not include or not isinstance(asked, list):
        return options
    return {**options, "include": include + [value for value in asked if value not in include]}
