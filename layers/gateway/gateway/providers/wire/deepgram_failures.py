"""Deepgram's errors: `{"err_code", "err_msg"}`, or `{"category", "message", "details"}`.

Source: https://developers.deepgram.com/docs/errors (2026-11)
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.contract import Target
from gateway.providers.wire.failures import failure


class ErrorBody(Struct):
    err_code: str | None = None
    err_msg: str | None = None
    category: str | None = None
    message: str | None = None
    details: str | None = None


_ERROR = msgspec.json.Decoder(ErrorBody)


def failure_of(response: HttpResponse, target: Target) -> ProviderFailure:
    try:
        error = _ERROR.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        error = ErrorBody()
    code, reason = error.err_code or error.category, error.err_msg or error.details or error.message
    return failure(target.provider, response, code=code, reason=reason)
