"""From a normalised call to the body of a generateContent request.

Source: https://ai.google.dev/api/generate-content (2026-11).
"""

from __future__ import annotations

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, FunctionTool, Json, JsonObjectFormat, JsonSchemaFormat, NamedToolChoice, Tool
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.wire.gemini_contents import Conversation
from gateway.providers.wire.gemini_schema import gemini_schema
from gateway.providers.wire.lacking import refuse, refuse_metadata, refuse_obfuscation
from gateway.providers.wire.options import with_options

TOOL_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
SERVICE_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}

LEVELS = ("minimal", "low", "medium", "high")
BUDGET_TOKENS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Google's own translation of `reasoning_effort`: https://ai.google.dev/gemini-api/docs/openai#thinking"""

SAME_MEANING = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
LACKS = (
    *("logit_bias", "parallel_tool_calls", "verbosity", "audio", "prediction", "web_search_options"),
    *("prompt_cache_key", "safety_identifier"),
)


def request_body(call: ChatCall, target: Target, *, files_root: str, call_ids: bool) -> Json:
    """`files_root`: the URL below which an uploaded file `files/<id>` lies. `call_ids`: as in `Gemini`.

    Raises CapabilityNotSupported for a parameter that the API or the model cannot honour.
    """
    refuse(call, LACKS, "Gemini")
    refuse_metadata(call, "Gemini")
    refuse_obfuscation(call, "Gemini")
    conversation = Conversation(call.messages, target, files_root=files_root, call_ids=call_ids)
    body: Json = {"contents": conversation.contents}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    if call.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool, at) for at, tool in enumerate(call.tools)]}]
    if (mode := _tool_mode(call)) is not None:
        body["toolConfig"] = {"functionCallingConfig": mode}
    if config := _generation(call, target.model):
        body["generationConfig"] = config
    if call.service_tier not in (None, "auto"):
        body["serviceTier"] = _service_tier(str(call.service_tier))
    if call.store is not None:
        body["store"] = call.store
    return with_options(body, call.options_for(target.provider), target.provider)


def _generation(call: ChatCall, model: ModelFacts) -> Json:
    config: Json = {there: value for name, there in SAME_MEANING.items() if (value := getattr(call, name)) is not None}
    if not model.sampling:
        for name in ("temperature", "top_p", "top_k"):
            if SAME_MEANING[name] in config:
                raise CapabilityNotSupported(f"{model.id} does not let {name} be set", param=name)
    if call.output_limit_tokens is not None:
        config["maxOutputTokens"] = call.output_limit_tokens
    if call.stop_sequences:
        config["stopSequences"] = call.stop_sequences
    if call.logprobs:
        config["responseLogprobs"] = True
    if call.top_logprobs:
        config["logprobs"] = call.top_logprobs
    if call.modalities:
        config["responseModalities"] = [modality.upper() for modality in call.modalities]
    return config | _response_format(call) | _thinking(call, model)


def _response_format(call: ChatCall) -> Json:
    """A schema goes out as the JSON Schema that Gemini knows; its name has no place, its description goes into it.

    Source: https://ai.google.dev/gemini-api/docs/structured-output
    """
    wanted = call.response_format
    if isinstance(wanted, JsonObjectFormat):
        return {"responseMimeType": "application/json"}
    if not isinstance(wanted, JsonSchemaFormat):
        return {}
    schema, description = wanted.json_schema.schema, wanted.json_schema.description
    if schema is None:
        raise CapabilityNotSupported("Gemini needs the schema itself", param="response_format.json_schema.schema")
    if description is not None:
        schema = {"description": description, **schema}
    return {"responseMimeType": "application/json", "responseJsonSchema": gemini_schema(schema)}


def _thinking(call: ChatCall, model: ModelFacts) -> Json:
    """`reasoning_effort` in the one of two ways that the model knows, with readable thoughts in the answer.

    Gemini 2.5 thinks by a budget of tokens, Gemini 3 and later at a level and cannot be told not to think.
    Source: https://ai.google.dev/gemini-api/docs/thinking
    """
    effort = call.reasoning_effort
    if effort is None or (effort == "none" and "reasoning" not in model.capabilities and model.reasoning_by is None):
        return {}
    if model.reasoning_by is None:
        raise CapabilityNotSupported(f"{model.id} is not known to take a reasoning effort", param="reasoning_effort")
    by_level = model.reasoning_by == "effort"
    efforts = model.reasoning_efforts or (LEVELS if by_level else tuple(BUDGET_TOKENS))
    if effort not in efforts or (not by_level and effort not in BUDGET_TOKENS):
        raise CapabilityNotSupported(f"{model.id} reasons at: {', '.join(efforts)}", param="reasoning_effort")
    if by_level:
        return {"thinkingConfig": {"thinkingLevel": effort.upper(), "includeThoughts": True}}
    budget = {"thinkingBudget": BUDGET_TOKENS[effort]}
    return {"thinkingConfig": budget if effort == "none" else {**budget, "includeThoughts": True}}


def _service_tier(tier: str) -> str:
    if tier not in SERVICE_TIERS:
        raise CapabilityNotSupported(f"Gemini has no service tier {tier!r}", param="service_tier")
    return SERVICE_TIERS[tier]


def _declaration(tool: Tool, position: int) -> Json:
    """`parametersJsonSchema` takes JSON Schema; the older `parameters` only a dialect of OpenAPI 3.0.

    Source: https://ai.google.dev/api/caching#FunctionDeclaration
    """
    if not isinstance(tool, FunctionTool):
        raise CapabilityNotSupported("Only function tools can be sent to Gemini", param=f"tools[{position}].type")
    if tool.cache_control is not None:
        raise CapabilityNotSupported("Gemini takes no cache marks", param=f"tools[{position}].cache_control")
    function = tool.function
    declaration: Json = {"name": function.name}
    if function.description is not None:
        declaration["description"] = function.description
    if function.parameters is not None:
        declaration["parametersJsonSchema"] = gemini_schema(function.parameters)
    return declaration


def _tool_mode(call: ChatCall) -> Json | None:
    """`strict` is Gemini's mode VALIDATED; a forced call (ANY) keeps to the schema anyway.

    Source: https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes
    """
    choice = call.tool_choice
    if isinstance(choice, NamedToolChoice):
        return {"mode": "ANY", "allowedFunctionNames": [choice.function.name]}
    strict = any(isinstance(tool, FunctionTool) and tool.function.strict for tool in call.tools or ())
    if strict and choice in (None, "auto"):
        return {"mode": "VALIDATED"}
    return None if choice is None else {"mode": TOOL_MODES[choice]}
