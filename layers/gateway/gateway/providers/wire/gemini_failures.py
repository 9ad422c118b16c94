"""Google's errors: `{"error": {code, message, status, details}}`, in a list when a stream was asked for without SSE.

Sources: https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193 (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.wire.failures import failure

BAD_KEY = ("API_KEY_INVALID", "API_KEY_EXPIRED")
NO_RIGHT = ("API_KEY_SERVICE_BLOCKED", "CREDENTIALS_MISSING")
OUR_ACCOUNT = ("location is not supported", "billing")
"""Words of a 400 FAILED_PRECONDITION that speaks of the gateway's own account, not of the request."""


class ErrorBody(Struct, frozen=True):
    """`code`: the HTTP status. `details`: google.rpc messages, told apart by `@type`."""

    code: int | None = None
    message: str | None = None
    status: str | None = None
    details: list[Json] | None = None

    @property
    def reason(self) -> str | None:
        return next((said for said in self._said("reason") if said), None)

    @property
    def retry_delay(self) -> str | None:
        """Seconds, as RetryInfo has them: "34.5s" without its unit."""
        return next((said.removesuffix("s") for said in self._said("retryDelay")), None)

    def _said(self, member: str) -> Iterator[str]:
        for detail in self.details or ():
            if isinstance(value := detail.get(member), str):
                yield value


class ErrorEnvelope(Struct, frozen=True):
    error: ErrorBody


_ENVELOPE = msgspec.json.Decoder(ErrorEnvelope | list[ErrorEnvelope])


def failure_of(response: HttpResponse, provider: str) -> ProviderFailure:
    """The reason in `details` becomes the provider's code, else `status`. RetryInfo counts as a Retry-After header."""
    error = _error_in(response.body) or ErrorBody()
    status, headers = response.status, response.headers
    if status == 400:
        status = 401 if error.reason in BAD_KEY else 403 if _is_ours(error) else 400
    if error.retry_delay is not None and "retry-after" not in headers:
        headers = {**headers, "retry-after": error.retry_delay}
    answer = HttpResponse(status, headers, response.body)
    return failure(provider, answer, code=error.reason or error.status, reason=error.message)


def failure_in(body: bytes, provider: str) -> ProviderFailure | None:
    """The failure that an error object inside a 2xx answer or stream means, None when `body` is none."""
    error = _error_in(body)
    return failure_of(HttpResponse(error.code or 500, {}, body), provider) if error else None


def _error_in(body: bytes) -> ErrorBody | None:
    try:
        envelope: ErrorEnvelope | list[ErrorEnvelope] = _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    first = next(iter(envelope), None) if isinstance(envelope, list) else envelope
    return first.error if first else None


def _is_ours(error: ErrorBody) -> bool:
    message = (error.message or "").lower()
    return error.reason in NO_RIGHT or (
        error.status == "FAILED_PRECONDITION" and any(words in message for words in OUR_ACCOUNT)
    )
