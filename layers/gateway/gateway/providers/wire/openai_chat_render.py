"""A normalised chat call as the body of OpenAI's chat completions.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

import msgspec

from gateway.model.chat import ChatCall, FunctionTool, Json, NamedToolChoice, ResponseFormat, Tool, ToolChoice
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.wire.lacking import (
    NEUTRAL,
    lacking,
    metadata_to_send,
    refuse,
    refuse_metadata,
    refuse_no_reasoning,
    refuse_obfuscation,
)
from gateway.providers.wire.openai_chat_messages import messages
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_replay import with_reasoning
from gateway.providers.wire.options import with_options

PLAIN = (
    *("temperature", "top_p", "top_k", "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("logprobs", "top_logprobs", "parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier"),
    *("modalities", "audio", "prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store"),
)
_encoder = msgspec.json.Encoder()


def request_body(call: ChatCall, target: Target, quirks: Quirks) -> bytes:
    """Raises CapabilityNotSupported (400) for what this provider or model cannot honour."""
    body: Json = {"model": target.model.id, "messages": messages(call.messages, target.provider, quirks)}
    body |= _plain(call, target, quirks)
    if call.output_limit_tokens is not None:
        body[target.model.output_limit_field] = call.output_limit_tokens
    if call.tools:
        body["tools"] = [_tool(tool, position, target, quirks) for position, tool in enumerate(call.tools)]
    options = call.options_for(target.provider)
    if call.tool_choice is not None and (call.tools or "tools" in options or call.tool_choice not in ("auto", "none")):
        body |= _tool_choice(call.tool_choice, target, quirks)
    if call.response_format is not None:
        body["response_format"] = _response_format(call.response_format, target, quirks)
    if target.model.tagged_thoughts and not quirks.untagged_by & options.keys():
        body |= quirks.thoughts_apart
    body |= _attribution(call, target, quirks)
    if call.stream is not None:
        body |= _stream(call, target, quirks)
    body = with_options(body, options, target.provider, quirks.reserved)
    return _encoder.encode(with_reasoning(body) if target.model.demands_reasoning else body)


def _plain(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """The parameters that are sent as they are."""
    refuse(call, (name for name in PLAIN if name in quirks.lacks), target.provider)
    members: Json = {
        quirks.renames.get(name, name): value
        for name in PLAIN
        if name not in quirks.lacks and (value := getattr(call, name)) is not None
    }
    if call.reasoning_effort == "none" and quirks.reasoning_off:
        del members[quirks.renames.get("reasoning_effort", "reasoning_effort")]
        members |= quirks.reasoning_off
    else:
        refuse_no_reasoning(call, target.model)
    if quirks.stop_as_list and isinstance(call.stop, str):
        members["stop"] = [call.stop]
    for name in ("temperature", "top_p"):
        if name in members and not target.model.sampling:
            raise CapabilityNotSupported(f"The model {target.model.id} does not take '{name}'.", param=name)
    return members


def _tool(tool: Tool, position: int, target: Target, quirks: Quirks) -> FunctionTool:
    param = f"tools[{position}]"
    if "tools" in quirks.lacks:
        raise lacking(target.provider, "tools", "tools")
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools are supported.", param=f"{param}.type")
    if tool.cache_control is not None and not quirks.cache_control:
        raise lacking(target.provider, f"{param}.cache_control", "'cache_control'")
    return tool


def _tool_choice(choice: ToolChoice, target: Target, quirks: Quirks) -> Json:
    if "tool_choice" in quirks.lacks:
        if choice in NEUTRAL["tool_choice"]:
            return {}
        raise lacking(target.provider, "tool_choice", "'tool_choice'")
    if isinstance(choice, NamedToolChoice):
        return {"tool_choice": choice}
    return {"tool_choice": quirks.tool_choices.get(choice, choice)}


def _response_format(wanted: ResponseFormat, target: Target, quirks: Quirks) -> ResponseFormat:
    kind = str(wanted.__struct_config__.tag)
    if kind not in quirks.formats:
        raise lacking(target.provider, "response_format.type", f"response_format '{kind}'")
    return wanted


def _attribution(call: ChatCall, target: Target, quirks: Quirks) -> Json:
    """`user` and `metadata.conversation_id` are the gateway's own too, so a provider without them is no refusal."""
    members: Json = {}
    if call.user is not None and "user" not in quirks.lacks:
        members["user"] = call.user
    if "metadata" in quirks.lacks:
        refuse_metadata(call, target.provider)
    if metadata := metadata_to_send(call):
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
        else:
            refuse_obfuscation(call, target.provider)
    return {"stream": True, "stream_options": options} if options else {"stream": True}
