"""Errors of Amazon Bedrock, as an HTTP answer and in the middle of a stream.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (2026-11).
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.wire.eventstream import Message
from gateway.providers.wire.failures import failure

STATUS = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
"""The HTTP status of an error that comes in a stream."""

OUR_KEYS = ("ExpiredToken", "InvalidClientTokenId", "InvalidSignature", "UnrecognizedClient")
"""How the codes of keys begin that are unknown, or not good any more, with whatever status:
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
"""
OUR_CREDENTIALS = ("AccessDenied", "IncompleteSignature", "NotAuthorized", "OptInRequired", "RequestExpired")
OUR_QUOTA = ("ServiceQuotaExceeded", "Throttling")
UNKNOWN_MODEL = "model identifier is invalid"
"""Codes and words of a 400 that does not speak of what the client wrote: it is told apart from a wrong request."""

_ARN = re.compile(r"arn:aws[\w-]*:\S+")


class ErrorBody(Struct, frozen=True):
    message: str | None = None
    capital_message: str | None = msgspec.field(name="Message", default=None)
    type: str | None = msgspec.field(name="__type", default=None)


_ERROR = msgspec.json.Decoder(ErrorBody)


def failure_of(response: HttpResponse, provider: str) -> ProviderFailure:
    """The header `x-amzn-errortype` names the code, or the body's `__type`; each with or without a namespace."""
    error = _read(response.body)
    code = _bare(response.headers.get("x-amzn-errortype") or error.type or "") or None
    return _failure(response.status, response.headers, code, error, provider)


def failure_in(message: Message, provider: str) -> ProviderFailure:
    """What a message of the type "exception" or "error" means; an error without a known name is a 500."""
    headers = message.headers
    name = str(headers.get(":exception-type") or headers.get(":error-code") or "")
    code = name[:1].upper() + name[1:] or None
    return _failure(STATUS.get(code or "", 500), {}, code, _read(message.payload), provider)


def _failure(
    status: int, headers: dict[str, str], code: str | None, error: ErrorBody, provider: str
) -> ProviderFailure:
    reason = error.message or error.capital_message
    if status in (400, 403) and (code or "").startswith(OUR_KEYS):
        status = 401
    elif status == 400:
        status = _refined(code or "", reason or "")
    answer = HttpResponse(status, headers)
    return failure(provider, answer, code=code, reason=_ARN.sub("[removed]", reason) if reason else None)


def _refined(code: str, reason: str) -> int:
    if UNKNOWN_MODEL in reason:
        return 404
    if code.startswith(OUR_QUOTA):
        return 429
    return 403 if code.startswith(OUR_CREDENTIALS) else 400


def _read(body: bytes) -> ErrorBody:
    try:
        return _ERROR.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ErrorBody()


def _bare(name: str) -> str:
    """Without the rest of `ValidationException:http://internal.amazon.com/` or `com.amazon.coral.service#Name`."""
    return name.partition(":")[0].rpartition("#")[2]
