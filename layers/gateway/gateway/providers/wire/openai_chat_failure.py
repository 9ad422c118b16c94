"""Errors in OpenAI's shape and in those its imitators use, whole or in the middle of a stream."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.contract import Target
from gateway.providers.wire.failures import failure
from gateway.providers.wire.openai_chat_quirks import Quirks

RESPONSE_SCHEMA = "response_format.json_schema"
_CONTEXT = re.compile(r"Invalid schema for [^:]{1,200}: In context=\(([^)]{0,2000})\)")
_STEP = re.compile(r"""(['"])((?:(?!\1).){1,256})\1""")
_SHORT_CODE = re.compile(r"[A-Za-z][\w-]{0,63}|\d{1,6}")
_STATUS_BY_WORD = (
    (("rate_limit", "too_many_requests", "quota"), 429),
    (("overloaded", "unavailable"), 503),
    (("timeout",), 408),
    (("authentication", "api_key", "permission"), 401),
    (("not_found",), 404),
    (("invalid_request", "bad_request", "validation", "context_length"), 400),
)


class Complaint(msgspec.Struct, frozen=True):
    """What an error object says. `status`: the HTTP status it names, if any."""

    code: str | None = None
    reason: str | None = None
    param: str | None = None
    status: int | None = None


def refusal(response: HttpResponse, target: Target, quirks: Quirks) -> ProviderFailure:
    """The meaning of an answer that is not 2xx."""
    said = complaint(_loosely(response.body), quirks)
    return failure(target.provider, response, code=said.code, reason=said.reason, param=said.param)


def interruption(body: Any, target: Target, quirks: Quirks) -> ProviderFailure:
    """The meaning of an error inside a 2xx answer or stream, whose own status is all there is.

    `body`: the object with the error, or the bytes of an event that is called so.
    """
    said = complaint(_loosely(body) if isinstance(body, bytes) else body, quirks)
    response = HttpResponse(said.status or _status_of(said.code), {})
    return failure(target.provider, response, code=said.code, reason=said.reason, param=said.param)


def _loosely(data: bytes) -> Any:
    """None for what is no JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def complaint(body: Any, quirks: Quirks) -> Complaint:
    """Reads OpenAI's `error` object; a bare one, as Mistral and Cerebras send; an `error` or `detail` that is a text,
    as xAI and Mistral send; FastAPI's `detail` list; and all of these in a list of one, as Google sends.
    """
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return Complaint(reason=body if isinstance(body, str) else None)
    error = body.get("error", body)
    if not isinstance(error, dict):
        error = {**body, "message": error}
    message = error.get("message") or error.get("detail")
    if isinstance(message, dict):
        message = message.get("detail") or message.get("message")
    param = error.get("param")
    if isinstance(message, list):
        message, param = _first_violation(message)
    renamed = {theirs: ours for ours, theirs in quirks.renames.items()}
    param = renamed.get(param, param) if isinstance(param, str) and param else None
    return Complaint(
        code=_code(error),
        reason=message if isinstance(message, str) else None,
        param=_within_schema(param, message) if isinstance(message, str) else param,
        status=_status(error),
    )


def _within_schema(param: str | None, message: str) -> str | None:
    """OpenAI names the place in a schema in its sentence only: "Invalid schema for response_format 'City': In
    context=('properties', 'name'), …".

    Sources: https://github.com/moeru-ai/xsai/issues/202, https://github.com/mavam/pi-web-providers/issues/14
    """
    found = _CONTEXT.match(message)
    if found is None or param is None:
        return param
    root = f"{RESPONSE_SCHEMA}.schema" if param in ("response_format", "text.format.schema") else param
    steps = [step for _, step in _STEP.findall(found[1])]
    return root + "".join(f"[{step}]" if step.isdecimal() else f".{step}" for step in steps)


def _first_violation(violations: list[Any]) -> tuple[str | None, str | None]:
    """Source: https://fastapi.tiangolo.com/tutorial/handling-errors/#requestvalidationerror-vs-validationerror"""
    first = violations[0] if violations and isinstance(violations[0], dict) else {}
    place = first.get("loc") if isinstance(first.get("loc"), list) else []
    path = ".".join(str(step) for step in place or [] if step != "body")
    reason = first.get("msg")
    return (reason if isinstance(reason, str) else None), path or None


def _code(error: Json) -> str | None:
    """The provider's short code: a word before a number, never a sentence."""
    candidates = [str(value) for value in (error.get("code"), error.get("type")) if type(value) in (str, int)]
    short = [value for value in candidates if _SHORT_CODE.fullmatch(value)]
    return next((value for value in short if not value.isdecimal()), short[0] if short else None)


def _status(error: Json) -> int | None:
    for name in ("status_code", "status", "code"):
        value = error.get(name)
        if isinstance(value, str) and value.isdecimal():
            value = int(value[:4])
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None


def _status_of(code: str | None) -> int:
    """For an error that names no status; 500 when its code says nothing either."""
    word = (code or "").lower()
    return next((status for words, status in _STATUS_BY_WORD if any(part in word for part in words)), 500)
