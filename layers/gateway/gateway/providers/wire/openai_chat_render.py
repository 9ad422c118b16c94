"""A normalised chat call as the body of OpenAI's chat completions.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.model.chat import ChatCall, FunctionTool, Json, NamedToolChoice, ResponseFormat, Tool, ToolChoice
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.wire.openai_chat_messages import messages
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.options import with_options

PLAIN = (
    *("temperature", "top_p", "top_k", "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("logprobs", "top_logprobs", "parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier"),
    *("modalities", "audio", "prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store"),
)
# What happens anyway where a parameter does not exist: asking for it is honoured by not sending it.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "tool_choice": ("auto",),
}
# Metadata that is addressed to the gateway (attribution of usage), not to a provider.
GATEWAY_METADATA = frozenset({"conversation_id"})

_encoder = msgspec.json.Encoder()


def request_body(call: ChatCall, target: Target, quirks: Quirks) -> bytes:
    """Raises CapabilityNotSupported (400) for what this provider or model cannot honour."""
    body: Json = {"model": target.model.id, "messages": messages(call.messages, target.provider, quirks)}
    body |= _plain(call, target, quirks)
    if call.output_limit_tokens is not None:
        body[target.model.output_limit_field] = call.output_limit_tokens
    if call.tools is not None:
        body["tools"] = [_tool(tool, position, target, quirks) for position, tool in enumerate(call.tools)]
    if call.tool_choice is not None:
        body |= _tool_choice(call.tool_choice, target, quirks)
    if call.response_format is not None:
        body["response_format"] = _response_format(call.response_format, target, quirks)
    body |= _attribution(call, target, quirks)
    if call.stream is not None:
        body |= _stream(call, target, quirks)
    options = call.provider_options.get(target.provider)
    return _encoder.encode(with_options(body, options, target.provider, quirks.reserved))


def lacking(target: Target, param: str, what: str) -> CapabilityNotSupported:
    return CapabilityNotSupported(f"{target.provider} does not support {what}.", param=param)


def _plain(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """The parameters that are sent as they are."""
    members: Json = {}
    for name in PLAIN:
        value = getattr(call, name)
        if value is None:
            continue
        if name in quirks.lacks:
            if value not in NEUTRAL.get(name, ()):
                raise lacking(target, name, f"'{name}'")
        else:
            members[quirks.renames.get(name, name)] = value
    if quirks.stop_as_list and isinstance(call.stop, str):
        members["stop"] = [call.stop]
    for name in ("temperature", "top_p"):
        if name in members and not target.model.sampling:
            raise CapabilityNotSupported(f"The model {target.model.id} does not take '{name}'.", param=name)
    return members


def _tool(tool: Tool, position: int, target: Target, quirks: Quirks) -> FunctionTool:
    param = f"tools[{position}]"
    if "tools" in quirks.lacks:
        raise lacking(target, "tools", "tools")
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools are supported.", param=f"{param}.type")
    if tool.cache_control is not None and not quirks.cache_control:
        raise lacking(target, f"{param}.cache_control", "'cache_control'")
    return tool


def _tool_choice(choice: ToolChoice, target: Target, quirks: Quirks) -> Json:
    if "tool_choice" in quirks.lacks:
        if choice in NEUTRAL["tool_choice"]:
            return {}
        raise lacking(target, "tool_choice", "'tool_choice'")
    if isinstance(choice, NamedToolChoice):
        return {"tool_choice": choice}
    return {"tool_choice": quirks.tool_choices.get(choice, choice)}


def _response_format(wanted: ResponseFormat, target: Target, quirks: Quirks) -> ResponseFormat:
    kind = str(wanted.__struct_config__.tag)
    if kind not in quirks.formats:
        raise lacking(target, "response_format.type", f"response_format '{kind}'")
    return wanted


def _attribution(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """`user` and `metadata.conversation_id` are the gateway's own too, so a provider without them is no refusal."""
    members: Json = {}
    if call.user is not None and "user" not in quirks.lacks:
        members["user"] = call.user
    metadata = {name: value for name, value in (call.metadata or {}).items() if name not in GATEWAY_METADATA}
    if metadata and "metadata" in quirks.lacks:
        raise lacking(target, "metadata", "'metadata'")
    if metadata:
        members["metadata"] = metadata
    return members


def _stream(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """Usage is asked for in every stream, whether the client wants to see it or not."""
    if not call.stream:
        return {"stream": False}
    options: Json = {"include_usage": True} if quirks.stream_usage else {}
    if call.stream_options is not None and call.stream_options.include_obfuscation is not None:
        if quirks.obfuscation:
            options["include_obfuscation"] = call.stream_options.include_obfuscation
        elif call.stream_options.include_obfuscation:
            raise lacking(target, "stream_options.include_obfuscation", "obfuscated streams")
    return {"stream": True, "stream_options": options} if options else {"stream": True}
