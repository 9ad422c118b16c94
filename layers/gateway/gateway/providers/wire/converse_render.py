"""From a normalised call to the body of a Converse request.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, FunctionTool, Json, JsonObjectFormat, JsonSchemaFormat, NamedToolChoice, Tool
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.wire.converse_content import Blocks, Conversation, cache_point, in_words
from gateway.providers.wire.converse_dialects import additional_fields, output_limit_tokens
from gateway.providers.wire.lacking import metadata_to_send, refuse, refuse_obfuscation
from gateway.providers.wire.strict_tools import StrictTools
from gateway.providers.wire.thinking_turn import in_the_turn

TOOL_CHOICES = {"auto": "auto", "required": "any"}
SERVICE_TIERS = ("default", "flex", "priority", "reserved")

LACKS = (
    *("n", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "verbosity"),
    *("modalities", "audio", "prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store"),
)


def request_body(call: ChatCall, model: ModelFacts, options: Json) -> Json:
    """`options` are not merged yet, only looked at for tools of their own.

    Raises CapabilityNotSupported for a parameter that the API or the model cannot honour.
    """
    refuse(call, LACKS, "Bedrock")
    refuse_obfuscation(call, "Bedrock")
    conversation = Conversation(call.messages, model)
    body: Json = {"messages": conversation.turns}
    if conversation.system:
        body["system"] = conversation.system
    if config := _inference_config(call, model):
        body["inferenceConfig"] = config
    if config := _tool_config(call, model):
        body["toolConfig"] = config
    elif conversation.has_tools and "toolConfig" not in options:
        body["messages"] = in_words(conversation.turns)
    fields = additional_fields(call, model)
    if model.dialect == "anthropic" and "thinking" not in options.get("additionalModelRequestFields", {}):
        fields = _in_the_turn(fields, conversation.turns, model)
    if fields:
        body["additionalModelRequestFields"] = fields
    if text_format := _text_format(call):
        body["outputConfig"] = {"textFormat": text_format}
    if call.service_tier not in (None, "auto"):
        body["serviceTier"] = {"type": _service_tier(str(call.service_tier))}
    if metadata := metadata_to_send(call):
        body["requestMetadata"] = metadata
    return body


def _inference_config(call: ChatCall, model: ModelFacts) -> Json:
    asked: Json = {"temperature": call.temperature, "top_p": call.top_p}
    for param, value in asked.items():
        if value is not None and not model.sampling:
            raise CapabilityNotSupported(f"{model.id} does not let {param} be set", param=param)
    if (call.temperature or 0) > 1:
        raise CapabilityNotSupported("Bedrock takes a temperature of 0 to 1", param="temperature")
    config: Json = {
        "maxTokens": output_limit_tokens(call, model),
        "temperature": call.temperature,
        "topP": call.top_p,
        "stopSequences": call.stop_sequences or None,
    }
    return {name: value for name, value in config.items() if value is not None}


def _tool_config(call: ChatCall, model: ModelFacts) -> Json:
    """Bedrock has no choice "none": the tools are left out instead."""
    choice = call.tool_choice
    if choice == "none":
        return {}
    config: Json = {}
    if call.tools:
        strict = StrictTools(call, model)
        config["tools"] = [
            block for position, tool in enumerate(call.tools) for block in _tool(tool, f"tools[{position}]", strict)
        ]
    if isinstance(choice, NamedToolChoice):
        config["toolChoice"] = {"tool": {"name": choice.function.name}}
    elif choice == "required" or (choice == "auto" and call.tools and call.parallel_tool_calls is not False):
        config["toolChoice"] = {TOOL_CHOICES[choice]: {}}
    return config


def _tool(tool: Tool, where: str, strict: StrictTools) -> list[Json]:
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools can be sent to Bedrock", param=where)
    function = tool.function
    spec: Json = {"name": function.name}
    if function.description:
        spec["description"] = function.description
    schema, is_strict = strict.schema(function)
    spec["inputSchema"] = {"json": schema}
    if is_strict:
        spec["strict"] = True
    return [{"toolSpec": spec}, *([cache_point(tool.cache_control)] if tool.cache_control is not None else [])]


def _in_the_turn(fields: Json, turns: Blocks, model: ModelFacts) -> Json:
    told = {name: value for name, value in fields.items() if name == "thinking"}
    others = {name: value for name, value in fields.items() if name != "thinking"}
    return {**others, **in_the_turn(told, turns, model, _is_thought, _is_result)}


def _is_thought(block: Json) -> bool:
    return "reasoningContent" in block


def _is_result(block: Json) -> bool:
    return "toolResult" in block


def _service_tier(tier: str) -> str:
    if tier not in SERVICE_TIERS:
        raise CapabilityNotSupported(f"Bedrock has no service tier {tier!r}", param="service_tier")
    return tier


def _text_format(call: ChatCall) -> Json | None:
    """Native structured output; the schema goes as text.

    Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    """
    wanted = call.response_format
    if isinstance(wanted, JsonObjectFormat):
        raise CapabilityNotSupported("Bedrock gives JSON only by a schema: use json_schema", param="response_format")
    if not isinstance(wanted, JsonSchemaFormat):
        return None
    named = wanted.json_schema
    if named.schema is None:
        raise CapabilityNotSupported("Bedrock needs the schema itself", param="response_format.json_schema.schema")
    definition: Json = {"name": named.name, "schema": msgspec.json.encode(named.schema).decode()}
    if named.description is not None:
        definition["description"] = named.description
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}
