"""The gateway's error object for what the edge itself answers.

On AWS the template's GatewayResponses write it; here the front port does where none of them applies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EdgeError:
    """What the edge answers instead of a function."""

    status: int
    code: str
    type: str
    message: str
    retryable: bool = False

    def body(self, request_id: str) -> bytes:
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "code": self.code,
            "param": None,
            "request_id": request_id,
            "retryable": self.retryable,
            "provider_code": None,
            "details": [],
        }
        return json.dumps({"error": error}).encode()


UNKNOWN_ROUTE = EdgeError(404, "not_found", "invalid_request_error", "There is no such route.")
NOTHING_DEPLOYED = EdgeError(
    503, "overloaded", "api_error", "The local stack is running, but nothing is deployed into it yet.", retryable=True
)
TOO_LARGE = EdgeError(
    413,
    "payload_too_large",
    "invalid_request_error",
    (
        "The request is too large: no route takes more than 5 MiB of JSON or 4.4 MB of a form. "
        "Larger files go past the gateway: POST /v1/files with JSON {filename, content_type, bytes, purpose}, "
        "PUT the bytes to upload.url, POST /v1/files/{id}/complete, and the request names the file's id."
    ),
)

_BY_STATUS = {
    400: EdgeError(400, "validation_error", "invalid_request_error", "The request cannot be read."),
    401: EdgeError(401, "invalid_api_key", "authentication_error", "The request is not authorized."),
    403: EdgeError(403, "request_blocked", "permission_error", "The edge blocks the request."),
    404: UNKNOWN_ROUTE,
    413: TOO_LARGE,
    415: EdgeError(415, "unsupported_media_type", "invalid_request_error", "This route does not take that type."),
    429: EdgeError(429, "rate_limited", "rate_limit_error", "Too many requests at once.", retryable=True),
    503: EdgeError(503, "overloaded", "api_error", "There is no capacity for this request now.", retryable=True),
    504: EdgeError(504, "provider_timeout", "timeout_error", "The answer took longer than the gateway waits."),
}
_UNKNOWN_ROUTE_TYPE = "MissingAuthenticationTokenException"
"""How API Gateway calls a request that matches no route."""


def for_gateway_answer(status: int, error_type: str) -> EdgeError:
    """The error for an answer of API Gateway's own: by its x-amzn-ErrorType, else by its status."""
    if error_type == _UNKNOWN_ROUTE_TYPE:
        return UNKNOWN_ROUTE
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status < 500:
        return EdgeError(status, "validation_error", "invalid_request_error", "The request was refused.")
    return EdgeError(status, "internal_error", "api_error", "The gateway failed.", retryable=True)


def is_enveloped(body: bytes) -> bool:
    """Whether a body is an error object of ours already."""
    try:
        error = json.loads(body)["error"]
        return bool(error["code"]) and "retryable" in error
    except (ValueError, TypeError, KeyError):
        return False
