"""OpenAI's response object as a normalised reply.

Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.reply import Chunk, ChunkChoice, Delta, FinishReason, Reply
from gateway.model.units import SERVER_TOOLS, UnitName, unit_name
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.failures import broke_off
from gateway.providers.wire.openai_chat_failure import interruption
from gateway.providers.wire.openai_chat_parse import objects, seconds, text
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_usage import provider_cost, token_usage
from gateway.providers.wire.openai_responses_answer import Answer

TOLD_BY_FINISH_REASON = (None, "max_output_tokens", "content_filter")
FAULTS_OF_THE_REQUEST = ("invalid_prompt", "image", "_policy", "data_residency")
"""Words in the `code` of a response that failed because of what was asked.

Source: https://platform.openai.com/docs/api-reference/responses/object#responses/object-error (2026-11)
"""

PAID_ITEMS = {"code_interpreter": "code_interpreter", "file_search": "file_search", "image_generation": "image_gen"}
"""Tools that are charged beside tokens, by the items that they leave, as `tool_usage` calls them.

Source: https://developers.openai.com/api/docs/pricing#built-in-tools (2026-11)
"""


class WireResponse(msgspec.Struct):
    """Members are read only where they have the documented type."""

    id: Any = None
    created_at: Any = None
    model: Any = None
    status: Any = None
    output: Any = None
    usage: Any = None
    error: Any = None
    incomplete_details: Any = None
    service_tier: Any = None
    tool_usage: Any = None
    content_filters: Any = None


_decoder = msgspec.json.Decoder(WireResponse)


def decoded(data: bytes | msgspec.Raw, target: Target) -> WireResponse:
    """Raises ProviderError (502)."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{target.provider} sent something that is not a response.") from None


def reply(response: HttpResponse, target: Target, quirks: Quirks) -> Reply:
    """Raises ProviderFailure for a response that failed or has not finished, and for a body that is none."""
    return reply_of(decoded(response.body, target), target, quirks)


def reply_of(whole: WireResponse, target: Target, quirks: Quirks) -> Reply:
    """Raises ProviderFailure for a response that failed or has not finished."""
    check(whole, target, quirks)
    if not isinstance(whole.output, list):
        raise ProviderError(f"{target.provider} answered without output.")
    answer = Answer(target.provider)
    return fold([opening(whole), *unstreamed(whole, answer), ending(whole, answer, quirks)])


def check(whole: WireResponse, target: Target, quirks: Quirks) -> None:
    """Raises ProviderFailure unless the response is complete, or as complete as its limits allow."""
    if whole.error:
        raise broken(whole.error, target, quirks)
    if whole.status in ("queued", "in_progress"):
        raise ProviderError(f"{target.provider} has only begun its answer.", provider_code=whole.status)
    if whole.status in ("failed", "cancelled"):
        raise broke_off(target.provider, whole.status, _usage(whole, quirks))


def broken(error: Any, target: Target, quirks: Quirks) -> ProviderFailure:
    """The meaning of the error of a failed response, which has a code but no HTTP status."""
    if isinstance(error, dict) and any(word in text(error.get("code")) for word in FAULTS_OF_THE_REQUEST):
        error = {"status": 400, **error}
    return interruption(error, target, quirks)


def opening(whole: WireResponse) -> Chunk:
    """Who answers."""
    return Chunk(
        choices=[ChunkChoice(index=0, delta=Delta(role="assistant"))],
        id=text(whole.id),
        created_s=seconds(whole.created_at),
        model=text(whole.model),
        service_tier=text(whole.service_tier) or None,
    )


def unstreamed(whole: WireResponse, answer: Answer) -> list[Chunk]:
    """What the output says, where no events have said it."""
    told = [answer.done(index, item) for index, item in enumerate(objects(whole.output) or ())]
    return [Chunk(choices=[choice]) for choice in told if choice is not None]


def ending(whole: WireResponse, answer: Answer, quirks: Quirks) -> Chunk:
    delta = Delta(reasoning_details=answer.rest())
    return Chunk(
        choices=[ChunkChoice(index=0, delta=delta, finish_reason=_finish_reason(whole, answer))],
        usage=_usage(whole, quirks),
        service_tier=text(whole.service_tier) or None,
        extra=_extra(whole, quirks) or None,
    )


def _finish_reason(whole: WireResponse, answer: Answer) -> FinishReason:
    """A refusal in words is "stop", as in OpenAI's chat completions; an answer cut for any reason has "length"."""
    if whole.status == "incomplete":
        return "content_filter" if _cut_by(whole) == "content_filter" else "length"
    return "tool_calls" if answer.calls else "stop"


def _cut_by(whole: WireResponse) -> Any:
    return whole.incomplete_details.get("reason") if isinstance(whole.incomplete_details, dict) else None


def _usage(whole: WireResponse, quirks: Quirks) -> TokenUsage | None:
    """The figures of chat completions under other names."""
    raw = whole.usage
    if not isinstance(raw, dict) or not ("input_tokens" in raw or "output_tokens" in raw):
        return None
    renamed = {
        "prompt_tokens": raw.get("input_tokens"),
        "completion_tokens": raw.get("output_tokens"),
        "total_tokens": raw.get("total_tokens"),
        "prompt_tokens_details": raw.get("input_tokens_details"),
        "completion_tokens_details": raw.get("output_tokens_details"),
    }
    usage = token_usage({**raw, **renamed}, quirks)
    return msgspec.structs.replace(usage, units=_units(whole)) if usage else None


def _units(whole: WireResponse) -> dict[UnitName, int]:
    """Of other tools than searches either the figures are told or the items that they left; none has a price here."""
    searches, counts = _searches(whole), _tool_usage(whole)
    units = {"web_searches": searches} if searches else {}
    for name, figures in counts.items():
        if name != "web_search":
            counted = _positive(figures.get("total_tokens")) or sum(map(_positive, figures.values()))
            units[unit_name(SERVER_TOOLS, name)] = counted
    for item in objects(whole.output) or ():
        name = text(item.get("type")).removesuffix("_call")
        if name in PAID_ITEMS and PAID_ITEMS[name] not in counts:
            tool = unit_name(SERVER_TOOLS, PAID_ITEMS[name])
            units[tool] = units.get(tool, 0) + 1
    return units


def _searches(whole: WireResponse) -> int:
    """Those that are billed: as counted by the provider, else its searches; opening a page that was found is free.

    Source: https://developers.openai.com/api/docs/guides/tools-web-search#output-and-citations (2026-11)
    """
    used = whole.tool_usage.get("web_search") if isinstance(whole.tool_usage, dict) else None
    if isinstance(used, dict) and isinstance(used.get("num_requests"), int):
        return max(0, int(used["num_requests"]))
    items = [item for item in objects(whole.output) or () if item.get("type") == "web_search_call"]
    actions = [item.get("action") for item in items]
    return sum(not isinstance(action, dict) or action.get("type") in (None, "search") for action in actions)


def _extra(whole: WireResponse, quirks: Quirks) -> Json:
    """What chat completions have no member for: another reason to stop early, use of paid tools, the price."""
    kept: Json = {name: value for name in quirks.extra if (value := getattr(whole, name))}
    kept |= provider_cost(whole.usage, quirks)
    if (reason := _cut_by(whole)) not in TOLD_BY_FINISH_REASON:
        kept["incomplete_reason"] = reason
    if used := _tool_usage(whole):
        kept["tool_usage"] = used
    return kept


def _tool_usage(whole: WireResponse) -> dict[str, Json]:
    """Of tools that did anything."""
    tools = whole.tool_usage if isinstance(whole.tool_usage, dict) else {}
    return {name: used for name, used in tools.items() if isinstance(used, dict) and any(map(_positive, used.values()))}


def _positive(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
