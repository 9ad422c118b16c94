"""Does the model reason in this call, and can it then be made to call a tool? Answered from the catalog."""

from __future__ import annotations

from gateway.model.chat import ChatCall
from gateway.pipeline.route import Route

ELSEWHERE = ("reasoning", "reasoning_effort", "thinking_config", "generationConfig", "additionalModelRequestFields")
"""Members of `provider_options` that may turn reasoning on or off in the provider's own words."""


def reasons(call: ChatCall, route: Route) -> bool | None:
    """None when that is not known."""
    facts, options = route.facts, call.options_for(route.provider.name)
    if not facts.can("reasoning"):
        return False
    if facts.reasons == "always":
        return True
    if isinstance(thinking := options.get("thinking"), dict):
        return thinking.get("type") != "disabled"
    if any(name in options for name in ELSEWHERE):
        return None
    if call.reasoning_effort is not None:
        return call.reasoning_effort != "none"
    return None if facts.reasons is None else facts.reasons == "unless_told"


def takes_forced_tools(call: ChatCall, route: Route) -> bool | None:
    """None when that is not known."""
    if route.facts.forced_tools == "always":
        return True
    does_reason = reasons(call, route)
    if does_reason is False:
        return True
    return False if does_reason and route.facts.forced_tools == "without_reasoning" else None
