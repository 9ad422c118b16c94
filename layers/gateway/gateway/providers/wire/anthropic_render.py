"""From a normalised call to the body of an Anthropic Messages request.

Source: https://platform.claude.com/docs/en/api/messages/create (2026-11).
"""

from __future__ import annotations

from typing import Any

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, FunctionTool, Json, JsonObjectFormat, JsonSchemaFormat, NamedToolChoice, Tool
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.wire.anthropic_content import Blocks, conversation
from gateway.providers.wire.anthropic_replay import THOUGHTS
from gateway.providers.wire.lacking import refuse, refuse_metadata, refuse_obfuscation
from gateway.providers.wire.strict_tools import StrictTools
from gateway.providers.wire.thinking_turn import in_the_turn

DEFAULT_MAX_TOKENS = 4096
"""`max_tokens` is mandatory. Sent when neither the client nor the catalog knows a limit: every model allows it."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
MIN_BUDGET_TOKENS = 1024
BUDGET_SHARE = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.95}
"""The part of `max_tokens` that a model which thinks by budget may spend on thinking; at least MIN_BUDGET_TOKENS."""

SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
TOOL_CHOICES = {"none": "none", "auto": "auto", "required": "any"}
NO_TOOL = {"type": "none"}

LACKS = (
    *("n", "seed", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "logit_bias", "modalities"),
    *("audio", "prediction", "web_search_options", "prompt_cache_key", "store", "verbosity"),
)


def request_body(call: ChatCall, model: ModelFacts, options: Json) -> Json:
    """The body without model and version. `options` are not merged yet, only looked at for tools of their own.

    Raises CapabilityNotSupported for a parameter that the API or the model cannot honour.
    """
    refuse(call, LACKS, "Anthropic")
    refuse_metadata(call, "Anthropic")
    refuse_obfuscation(call, "Anthropic")
    system, turns = conversation(call.messages, model.id)
    max_tokens = call.output_limit_tokens or model.max_output_tokens or DEFAULT_MAX_TOKENS
    body: Json = {"max_tokens": max_tokens, "messages": turns}
    if system:
        body["system"] = system
    if call.stop_sequences:
        if any(not stop.strip() for stop in call.stop_sequences):
            raise CapabilityNotSupported("Anthropic takes no blank stop sequences", param="stop")
        body["stop_sequences"] = call.stop_sequences
    if user := call.safety_identifier or call.user:
        body["metadata"] = {"user_id": user}
    if call.service_tier is not None:
        body["service_tier"] = _service_tier(call.service_tier)
    body |= _tools(call, model, turns, options)
    body |= _sampling(call, model)
    thinking = _thinking(call, model, max_tokens)
    body |= thinking if "thinking" in options else in_the_turn(thinking, turns, model, _is_thought, _is_result)
    if output_format := _output_format(call):
        body["output_config"] = {**body.get("output_config", {}), "format": output_format}
    return body


def _sampling(call: ChatCall, model: ModelFacts) -> Json:
    asked: dict[str, Any] = {
        name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(call, name)) is not None
    }
    if asked and not model.sampling:
        param = next(iter(asked))
        raise CapabilityNotSupported(f"{model.id} does not let {param} be set", param=param)
    if asked.get("temperature", 0) > 1:
        raise CapabilityNotSupported("Anthropic takes a temperature of 0 to 1", param="temperature")
    return asked


def _thinking(call: ChatCall, model: ModelFacts, max_tokens: int) -> Json:
    """`reasoning_effort` in the one of two ways that the model knows.

    Claude 4.6 and later think adaptively at a level; older ones by a budget, which has to be below `max_tokens`.
    Sources: https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking,
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking
    """
    effort = call.reasoning_effort
    if effort is None or (effort == "none" and model.reasoning_by is None):
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if model.reasoning_by == "effort":
        levels = model.reasoning_efforts or EFFORTS
        if effort not in levels:
            raise CapabilityNotSupported(f"{model.id} thinks at: {', '.join(levels)}", param="reasoning_effort")
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
    if model.reasoning_by is None:
        raise CapabilityNotSupported(f"{model.id} is not known to think", param="reasoning_effort")
    if max_tokens <= MIN_BUDGET_TOKENS:
        raise CapabilityNotSupported(
            f"{model.id} thinks only within an output limit above {MIN_BUDGET_TOKENS} tokens", param="reasoning_effort"
        )
    budget_tokens = max(MIN_BUDGET_TOKENS, int(max_tokens * BUDGET_SHARE[effort]))
    return {"thinking": {"type": "enabled", "budget_tokens": budget_tokens}}


def _is_thought(block: Json) -> bool:
    return block["type"] in THOUGHTS


def _is_result(block: Json) -> bool:
    return bool(block["type"] == "tool_result")


def _service_tier(tier: str) -> str:
    if tier not in SERVICE_TIERS:
        raise CapabilityNotSupported(f"Anthropic has no service tier {tier!r}", param="service_tier")
    return SERVICE_TIERS[tier]


def _tool(tool: Tool, where: str, strict: StrictTools) -> Json:
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools can be sent to Anthropic", param=where)
    function = tool.function
    block: Json = {"name": function.name}
    if function.description is not None:
        block["description"] = function.description
    block["input_schema"], is_strict = strict.schema(function)
    if is_strict:
        block["strict"] = True
    if tool.cache_control is not None:
        block["cache_control"] = tool.cache_control
    return block


def _tools(call: ChatCall, model: ModelFacts, turns: Blocks, options: Json) -> Json:
    """A conversation that has used tools is refused without any: it gets them by name, and none to choose.

    Source: https://github.com/BerriAI/litellm/pull/27620
    """
    members: Json = {}
    if call.tools:
        strict = StrictTools(call, model)
        members["tools"] = [_tool(tool, f"tools[{position}]", strict) for position, tool in enumerate(call.tools)]
    has_tools = bool(call.tools or options.get("tools"))
    if not has_tools and call.tool_choice in (None, "auto", "none") and (used := _tools_used(turns)):
        return {"tools": [{"name": name, "input_schema": {"type": "object"}} for name in used], "tool_choice": NO_TOOL}
    if choice := _tool_choice(call, has_tools=has_tools):
        members["tool_choice"] = choice
    return members


def _tools_used(turns: Blocks) -> list[str]:
    blocks = [block for turn in turns if isinstance(turn["content"], list) for block in turn["content"]]
    return list(dict.fromkeys(block["name"] for block in blocks if block["type"] == "tool_use"))


def _tool_choice(call: ChatCall, *, has_tools: bool) -> Json | None:
    choice, parallel = call.tool_choice, call.parallel_tool_calls
    if choice is None and (parallel is None or not has_tools):
        return None
    if isinstance(choice, NamedToolChoice):
        chosen: Json = {"type": "tool", "name": choice.function.name}
    else:
        chosen = {"type": TOOL_CHOICES[choice or "auto"]}
    if parallel is not None and choice != "none":
        chosen["disable_parallel_tool_use"] = not parallel
    return chosen


def _output_format(call: ChatCall) -> Json | None:
    """Native structured output; the schema's name has no place there, its description goes into the schema.

    Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
    """
    wanted = call.response_format
    if isinstance(wanted, JsonObjectFormat):
        raise CapabilityNotSupported("Anthropic gives JSON only by a schema: use json_schema", param="response_format")
    if not isinstance(wanted, JsonSchemaFormat):
        return None
    schema, description = wanted.json_schema.schema, wanted.json_schema.description
    if schema is None:
        raise CapabilityNotSupported("Anthropic needs the schema itself", param="response_format.json_schema.schema")
    if description is not None:
        schema = {"description": description, **schema}
    return {"type": "json_schema", "schema": schema}
