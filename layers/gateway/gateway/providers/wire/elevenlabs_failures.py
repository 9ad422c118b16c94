"""ElevenLabs' errors: `{"detail": {"status", "message"}}`, or FastAPI's list of violations.

Source: https://elevenlabs.io/docs/eleven-api/resources/errors (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure, ProviderRejected
from gateway.providers.contract import Target
from gateway.providers.wire.failures import failure, public_reason


class Complaint(Struct):
    status: str | None = None
    code: str | None = None
    message: str | None = None


class Violation(Struct):
    loc: list[Any] = []
    msg: str | None = None


class ErrorBody(Struct):
    detail: Complaint | list[Violation] | str | None = None


_ERROR = msgspec.json.Decoder(ErrorBody)
_OF_A_VOICE = ("voice_not_found", "invalid_uid", "voice_does_not_exist")


def failure_of(response: HttpResponse, target: Target) -> ProviderFailure:
    """A voice that is not there has status 404 or 400, and is the request's own mistake."""
    try:
        detail = _ERROR.decode(response.body).detail
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        detail = None
    if isinstance(detail, list):
        first = detail[0] if detail else Violation()
        param = ".".join(str(step) for step in first.loc if step not in ("body", "query", "path")) or None
        return failure(target.provider, response, code="validation_error", reason=first.msg, param=param)
    if not isinstance(detail, Complaint):
        return failure(target.provider, response, code=None, reason=detail)
    code = detail.status or detail.code
    if code in _OF_A_VOICE and response.status in (400, 404):
        reason = public_reason(detail.message or "there is no such voice")
        return ProviderRejected(f"{target.provider} refused the request: {reason}", param="voice", provider_code=code)
    return failure(target.provider, response, code=code, reason=detail.message)
