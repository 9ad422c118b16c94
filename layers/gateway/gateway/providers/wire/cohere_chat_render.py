"""From a normalised call to the body of Cohere's chat API. Source: https://docs.cohere.com/reference/chat (2026-11)."""

from __future__ import annotations

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import (
    ChatCall,
    FunctionTool,
    Json,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedToolChoice,
    TextFormat,
    Tool,
)
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.wire.cohere_chat_messages import messages
from gateway.providers.wire.lacking import lacking, refuse, refuse_metadata, refuse_obfuscation
from gateway.providers.wire.options import with_options

SAME_MEANING = {
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logprobs": "logprobs",
}
BOUNDS = {"top_p": (0.01, 0.99), "top_k": (0, 500), "presence_penalty": (0, 1), "frequency_penalty": (0, 1)}
MAX_STOP_SEQUENCES = 5
LACKS = (
    *("n", "logit_bias", "top_logprobs", "parallel_tool_calls", "verbosity", "service_tier", "modalities", "audio"),
    *("prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store"),
)
TOOL_CHOICES = {"none": "NONE", "required": "REQUIRED"}

BUDGET_SHARE = {"minimal": 0.1, "low": 0.2, "medium": 0.5}
"""The part of the output limit to think with. From "high" on there is no budget, which is Cohere's default."""
DEFAULT_LIMIT_TOKENS = 4096

_encoder = msgspec.json.Encoder()


def request_body(call: ChatCall, target: Target) -> bytes:
    """Raises CapabilityNotSupported (400) for what this API or model cannot honour."""
    _refuse_unknown(call, target)
    body: Json = {"model": target.model.id, "messages": messages(call.messages)}
    body |= _sampling(call, target)
    if call.output_limit_tokens is not None:
        body["max_tokens"] = call.output_limit_tokens
    if call.stop_sequences:
        body["stop_sequences"] = call.stop_sequences
    body |= _tools(call) | _response_format(call) | _thinking(call, target.model)
    if call.stream is not None:
        body["stream"] = call.stream
    return _encoder.encode(with_options(body, call.options_for(target.provider), target.provider))


def _refuse_unknown(call: ChatCall, target: Target) -> None:
    refuse(call, LACKS, target.provider)
    refuse_metadata(call, target.provider)
    refuse_obfuscation(call, target.provider)
    if len(call.stop_sequences) > MAX_STOP_SEQUENCES:
        raise lacking(target.provider, "stop", f"more than {MAX_STOP_SEQUENCES} stop sequences")


def _sampling(call: ChatCall, target: Target) -> Json:
    asked = {name: value for name in SAME_MEANING if (value := getattr(call, name)) is not None}
    for name, (least, most) in BOUNDS.items():
        if name in asked and not least <= asked[name] <= most:
            raise lacking(target.provider, name, f"'{name}' below {least} or above {most}")
    for name in ("temperature", "top_p", "top_k"):
        if name in asked and not target.model.sampling:
            raise CapabilityNotSupported(f"The model {target.model.id} does not take '{name}'.", param=name)
    return {SAME_MEANING[name]: value for name, value in asked.items()}


def _tools(call: ChatCall) -> Json:
    """There is no word for one forced tool: it is offered alone and a call of some tool required."""
    tools, choice = call.tools or [], call.tool_choice
    members: Json = {}
    rendered = [_tool(tool, f"tools[{position}]") for position, tool in enumerate(tools)]
    if isinstance(choice, NamedToolChoice):
        rendered = [tool for tool in rendered if tool["function"]["name"] == choice.function.name]
        members["tool_choice"] = "REQUIRED"
    elif choice in TOOL_CHOICES:
        members["tool_choice"] = TOOL_CHOICES[str(choice)]
    if rendered:
        members["tools"] = rendered
    if any(isinstance(tool, FunctionTool) and tool.function.strict for tool in tools):
        members["strict_tools"] = True  # for all of them or for none
    return members


def _tool(tool: Tool, where: str) -> Json:
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools can be sent to Cohere.", param=f"{where}.type")
    if tool.cache_control is not None:
        raise CapabilityNotSupported("Cohere takes no cache marks.", param=f"{where}.cache_control")
    function: Json = {"name": tool.function.name}
    if tool.function.description is not None:
        function["description"] = tool.function.description
    function["parameters"] = tool.function.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _response_format(call: ChatCall) -> Json:
    """Neither with tools nor, as Cohere itself will say, with documents.

    Source: https://docs.cohere.com/docs/structured-outputs
    """
    wanted = call.response_format
    if wanted is None or isinstance(wanted, TextFormat):
        return {}
    if call.tools:
        raise CapabilityNotSupported("Cohere gives JSON only without tools.", param="response_format")
    if isinstance(wanted, JsonObjectFormat):
        return {"response_format": {"type": "json_object"}}
    schema, description = _schema_of(wanted)
    if description is not None:
        schema = {"description": description, **schema}
    return {"response_format": {"type": "json_object", "json_schema": schema}}


def _schema_of(wanted: JsonSchemaFormat) -> tuple[Json, str | None]:
    if wanted.json_schema.schema is None:
        raise CapabilityNotSupported("Cohere needs the schema itself.", param="response_format.json_schema.schema")
    return wanted.json_schema.schema, wanted.json_schema.description


def _thinking(call: ChatCall, model: ModelFacts) -> Json:
    """Source: https://docs.cohere.com/docs/reasoning (it is on, without a budget, unless it is turned off)."""
    effort = call.reasoning_effort
    if effort is None or (effort == "none" and model.reasoning_by is None):
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if model.reasoning_by is None:
        raise CapabilityNotSupported(f"{model.id} is not known to think.", param="reasoning_effort")
    if model.reasoning_efforts and effort not in model.reasoning_efforts:
        levels = ", ".join(model.reasoning_efforts)
        raise CapabilityNotSupported(f"{model.id} reasons at: {levels}.", param="reasoning_effort")
    thinking: Json = {"type": "enabled"}
    if model.reasoning_by == "budget" and effort in BUDGET_SHARE:
        limit_tokens = call.output_limit_tokens or model.max_output_tokens or DEFAULT_LIMIT_TOKENS
        thinking["token_budget"] = max(1, int(limit_tokens * BUDGET_SHARE[effort]))
    return {"thinking": thinking}
