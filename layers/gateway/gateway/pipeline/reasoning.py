"""Does the model reason in this call, and what does that mean for its tools? Answered from the catalog."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gateway.model.chat import ChatCall
from gateway.pipeline.route import ChatRoute

ELSEWHERE = ("reasoning", "thinking_config", "generationConfig", "additionalModelRequestFields")
"""Members of `provider_options` that may turn reasoning on or off in the provider's own words."""


def reasons(call: ChatCall, route: ChatRoute) -> bool | None:
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
    if (effort := options.get("reasoning_effort", call.reasoning_effort)) is not None:
        return bool(effort != "none")
    return None if facts.reasons is None else facts.reasons == "unless_told"


def takes_forced_tools(call: ChatCall, route: ChatRoute) -> bool | None:
    """None when that is not known."""
    if route.facts.forced_tools == "always":
        return True
    does_reason = reasons(call, route)
    if does_reason is False:
        return True
    return False if does_reason and route.facts.forced_tools == "without_reasoning" else None


def by_the_api_for_tools(call: ChatCall, route: ChatRoute) -> ChatRoute:
    """The route of a call with tools, where the model's usual API refuses them while it reasons."""
    api = route.facts.tools_api
    if api is None or not call.tools or reasons(call, route) is False:
        return route
    return replace(route, facts=msgspec.structs.replace(route.facts, api=api), wire=route.provider.wires[api])
