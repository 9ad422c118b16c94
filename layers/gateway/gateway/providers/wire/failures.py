"""From a provider's HTTP status to the gateway's error. Status decides; the wire adds its code and reason."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from math import inf

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import (
    ProviderError,
    ProviderFailure,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefusedSize,
    ProviderRejected,
    ProviderTimeout,
)
from gateway.model.usage import TokenUsage

MAX_REASON_CHARS = 500
MAX_DIGITS, MAX_WAIT_S = 12, 86_400
PASSES = frozenset({429, 503, 529})
"""Statuses that say that nothing was done, because too much was asked for at the moment."""
MAY_PASS = frozenset({408, 409})
OUR_KEY = re.compile(r"Incorrect(?: |%20)API(?: |%20)key(?: |%20)provided", re.IGNORECASE)
"""How xAI's 400 to a wrong key begins, which speaks of no request: https://github.com/openai/codex/issues/1352"""
_CODE = re.compile(r"(?!sk-|key|Bearer|AIza|gsk_|Authorization)[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PRIVATE = re.compile(
    r"https?://\S+"
    r"|\bBearer\s+\S+"
    r"|\barn:[\w-]+:\S+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|\[?(?:[0-9a-fA-F]{1,4}:){3,}[0-9a-fA-F:.]*\]?"
    r"|\b[A-Za-z][\w-]*(?:\.[\w-]+)*:\d{2,5}\b"
    r"|\b\d{12}\b"
    r"|(?<![\w.])/(?:srv|var|opt|home|root|etc|usr|tmp|mnt|data|app|models)(?:/[\w.-]+)+"
    r"|\bprojects/[^\s'\"`]+"
    r"|\b(?:sk|pk|rk|gsk|xai|pplx|org|proj|req|user|key|AIza)[-_][\w-]{6,}"
    r"|\bAIza[\w-]{10,}"
    r"|[\w.+-]+@[\w-]+\.[\w.]+"
    r"|\b(?:[\w-]+\.)+(?:com|org|net|ai|io|dev|app|cloud|internal|local|corp|lan|svc)\b"
    r"|\b[A-Za-z0-9_-]{32,}\b"
)


def public_reason(text: str) -> str:
    """What a provider says of the client's own request, without addresses, hosts, accounts and keys."""
    return _PRIVATE.sub("[removed]", text)[:MAX_REASON_CHARS]


def retry_after_s(headers: dict[str, str]) -> int | None:
    """Whole seconds the provider asks to wait, rounded up; None when it names none."""
    seconds = _seconds_to_wait(headers)
    return None if seconds is None else int(-(-seconds // 1))


def ask_again_s(status: int, headers: dict[str, str]) -> float | None:
    """When the same may be asked again: where the status says that nothing was done because of what passes, or the
    provider says so itself, by the header that the SDKs of OpenAI and Anthropic obey.
    """
    should_retry = headers.get("x-should-retry", "").lower()
    passes = status in PASSES or (status in MAY_PASS and should_retry == "true")
    return _seconds_to_wait(headers) if passes and should_retry != "false" else None


def _seconds_to_wait(headers: dict[str, str]) -> float | None:
    """By `retry-after-ms`, or by `retry-after`, of which a date is counted from the one of the answer.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds.isdecimal() and len(milliseconds) <= MAX_DIGITS:
        return min(int(milliseconds) / 1000, float(MAX_WAIT_S))
    waits = headers.get("retry-after", "")
    try:
        seconds = float(waits)
    except ValueError:
        seconds = _seconds_between(headers.get("date", ""), waits)
    return max(0.0, seconds) if seconds < MAX_WAIT_S else None


def _seconds_between(since: str, until: str) -> float:
    """Infinite where either is no date."""
    try:
        return (parsedate_to_datetime(until) - parsedate_to_datetime(since)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return inf


def broke_off(provider: str, reason: str, charged: TokenUsage | None) -> ProviderError:
    """For an answer that the provider says it could not finish, with what it used all the same."""
    error = ProviderError(f"{provider} broke off its answer.", provider_code=reason)
    error.charged = charged
    return error


def failure(
    provider: str, response: HttpResponse, *, code: str | None, reason: str | None, param: str | None = None
) -> ProviderFailure:
    """The error for an answer with this status, by which the provider says itself that it did nothing.

    `reason` reaches the client only where the provider speaks of the client's own request (400, 422); of everything
    else it learns `code` at most. 401 and 403 are our credentials' fault, not the client's; 401 says that another
    credential may be let in.
    """
    failed = _by_status(provider, response, code, reason, param)
    failed.is_refusal = True
    failed.ask_again_s = ask_again_s(response.status, response.headers)
    return failed


def _by_status(
    provider: str, response: HttpResponse, code: str | None, reason: str | None, param: str | None
) -> ProviderFailure:
    status = response.status
    if status == 400 and reason and OUR_KEY.match(reason):
        status = 401
    code = code if code is not None and _CODE.fullmatch(code) else None
    wait_s = retry_after_s(response.headers)
    if status in (400, 422):
        said = f": {public_reason(reason)}" if reason else ""
        return ProviderRejected(f"{provider} refused the request{said}", param=param, provider_code=code)
    if status == 404:
        return ProviderLacksModel(f"{provider} does not offer this model", param="model", provider_code=code)
    if status == 413:
        return ProviderRefusedSize(f"The request is too large for {provider}", provider_code=code)
    if status == 408:
        return ProviderTimeout(f"{provider} gave up waiting", phase="total")
    if status == 429:
        return ProviderRateLimited(
            f"{provider} limits the rate of the gateway's account", provider_code=code, retry_after_s=wait_s
        )
    if status in (401, 403):
        refused = ProviderError(f"{provider} refused the gateway's credentials", provider_code=code)
        refused.refuses_credential = status == 401
        return refused
    return ProviderError(f"{provider} failed with status {status}", provider_code=code, retry_after_s=wait_s)


def without_model(failed: ProviderFailure, of: str = "files") -> ProviderFailure:
    """The same of an address that serves no model: what is missing there is the address itself, the API `of` that."""
    if isinstance(failed, ProviderLacksModel):
        return ProviderError(f"The provider's API for {of} is not there", provider_code=failed.provider_code)
    return failed
