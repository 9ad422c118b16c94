"""`additionalModelRequestFields`: what Converse has no member for, in the words of the model's own API.

Which words a model understands is a fact of the catalog (`ModelFacts.dialect`). Sources (2026-11):
anthropic  https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html
nova       https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html,
           https://docs.aws.amazon.com/nova/latest/nova2-userguide/request-response-schema.html
openai     https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html
"""

from __future__ import annotations

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.wire.anthropic_render import BUDGET_SHARE, DEFAULT_MAX_TOKENS, EFFORTS, MIN_BUDGET_TOKENS

NOVA_EFFORTS = OPENAI_EFFORTS = ("low", "medium", "high")
UNLIMITED_NOVA_EFFORT = "high"


def output_limit_tokens(call: ChatCall, model: ModelFacts) -> int | None:
    """What the call asks for; a budget of reasoning has to be a part of a known limit, so then there is always one."""
    asked = call.output_limit_tokens
    if asked is None and model.reasoning_by == "budget" and call.reasoning_effort not in (None, "none"):
        return model.max_output_tokens or DEFAULT_MAX_TOKENS
    return asked


def additional_fields(call: ChatCall, model: ModelFacts) -> Json:
    """Raises CapabilityNotSupported for what the model cannot be told."""
    return {**_top_k(call, model), **_parallel(call, model), **_reasoning(call, model)}


def _top_k(call: ChatCall, model: ModelFacts) -> Json:
    if call.top_k is None:
        return {}
    if model.dialect == "anthropic" and model.sampling:
        return {"top_k": call.top_k}
    if model.dialect == "nova":
        return {"inferenceConfig": {"topK": call.top_k}}
    raise CapabilityNotSupported(f"{model.id} does not let top_k be set", param="top_k")


def _parallel(call: ChatCall, model: ModelFacts) -> Json:
    """Several calls at once are the default. `type` has to be there unless `toolConfig.toolChoice` brings it.

    Sources: https://github.com/BerriAI/litellm/pull/34347, https://github.com/BerriAI/litellm/issues/36536
    """
    if call.parallel_tool_calls is not False or not call.tools or call.tool_choice == "none":
        return {}
    if model.dialect != "anthropic":
        raise CapabilityNotSupported(
            f"{model.id} cannot be kept to one tool call at a time", param="parallel_tool_calls"
        )
    kind = {"type": "auto"} if call.tool_choice in (None, "auto") else {}
    return {"tool_choice": {**kind, "disable_parallel_tool_use": True}}


def _reasoning(call: ChatCall, model: ModelFacts) -> Json:
    """`reasoning_effort`; "none" is the default of most models that can do without."""
    effort = call.reasoning_effort
    if effort is None:
        return {}
    if effort == "none" and effort not in model.reasoning_efforts:
        if model.dialect == "openai" and model.reasoning_by is not None:
            raise CapabilityNotSupported(f"{model.id} always reasons", param="reasoning_effort")
        return {"thinking": {"type": "disabled"}} if model.reasons == "unless_told" else {}
    if model.dialect == "anthropic" and model.reasoning_by == "budget":
        return {"thinking": {"type": "enabled", "budget_tokens": _budget_tokens(call, model, effort)}}
    if model.dialect == "anthropic" and model.reasoning_by == "effort":
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": _known(effort, model, EFFORTS)}}
    if model.dialect == "nova" and model.reasoning_by == "effort":
        return {"reasoningConfig": _nova_reasoning(call, model, effort)}
    if model.dialect == "openai" and model.reasoning_by == "effort":
        return {"reasoning_effort": _known(effort, model, OPENAI_EFFORTS)}
    raise CapabilityNotSupported(f"{model.id} cannot be told how much to reason", param="reasoning_effort")


def _known(effort: str, model: ModelFacts, usual: tuple[str, ...]) -> str:
    levels = model.reasoning_efforts or usual
    if effort not in levels:
        raise CapabilityNotSupported(f"{model.id} reasons at: {', '.join(levels)}", param="reasoning_effort")
    return effort


def _budget_tokens(call: ChatCall, model: ModelFacts, effort: str) -> int:
    limit_tokens = output_limit_tokens(call, model) or DEFAULT_MAX_TOKENS
    if limit_tokens <= MIN_BUDGET_TOKENS:
        raise CapabilityNotSupported(
            f"{model.id} reasons only within an output limit above {MIN_BUDGET_TOKENS} tokens", param="reasoning_effort"
        )
    return max(MIN_BUDGET_TOKENS, int(limit_tokens * BUDGET_SHARE[effort]))


def _nova_reasoning(call: ChatCall, model: ModelFacts, effort: str) -> Json:
    """At the highest effort Nova takes neither a limit nor sampling parameters."""
    if _known(effort, model, NOVA_EFFORTS) == UNLIMITED_NOVA_EFFORT:
        asked = {
            "max_tokens": call.output_limit_tokens,
            "temperature": call.temperature,
            "top_p": call.top_p,
            "top_k": call.top_k,
        }
        for param, value in asked.items():
            if value is not None:
                raise CapabilityNotSupported(f"{model.id} takes no {param} when it reasons at {effort}", param=param)
    return {"type": "enabled", "maxReasoningEffort": effort}
