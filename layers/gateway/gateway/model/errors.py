"""Every error the gateway answers with: one tree; on the wire OpenAI's shape plus some members.

GatewayError                     status code                      retryable
├── InvalidRequest                  400 validation_error            no
│   ├── CapabilityNotSupported      400 capability_not_supported    no
│   ├── PriceUnknown                400 price_unknown               no    money is limited, the model has no known price
│   └── UnreadableBody              400 validation_error            no
├── InvalidApiKey                   401 invalid_api_key             no
├── InvalidSignature                401 invalid_signature           no
├── BudgetExceeded                  402 budget_exceeded             no    level, window, what is left
├── ModelNotApproved                403 model_not_approved          no
├── RequestBlocked                  403 request_blocked             no    a hook said no
├── ResponseBlocked                 403 response_blocked            no    a hook said no to the reply; usage counted
├── ScopeMissing                    403 scope_missing               no
├── TenantDisabled                  403 tenant_disabled             no
├── ModelNotFound                   404 model_not_found             no
├── FileNotFound                    404 file_not_found              no
├── JobNotFound                     404 job_not_found               no
├── BatchNotFound                   404 batch_not_found             no
├── TypeNotFound                    404 schema_not_found            no
├── RequestNotFound                 404 request_not_found           no    nothing is recorded of it
├── TenantNotFound                  404 tenant_not_found            no    these three and Conflict, PreconditionFailed:
├── UserNotFound                    404 user_not_found              no    of the administration (admin_errors.py)
├── KeyNotFound                     404 key_not_found               no
├── RouteNotFound                   404 not_found                   no
├── MethodNotAllowed                405 method_not_allowed          no
├── SessionExpired                  408 session_expired             yes   these two: realtime_errors.py
├── SlowConsumer                    408 slow_consumer               yes
├── IdempotencyConflict             409 idempotency_conflict        no    these two: idempotency_errors.py
│   └── RequestRunning              409 idempotency_conflict        yes   the first request with that key still runs
├── Conflict                        409 conflict                    no    it is there already, or not in that state
├── JobCancelled                    409 job_cancelled               no
├── JobExpired                      410 job_expired                 no
├── ModelDeprecated                 410 model_deprecated            no
├── PreconditionFailed              412 precondition_failed         no    If-Match names another version
├── PayloadTooLarge                 413 payload_too_large           no
├── UnsupportedMediaType            415 unsupported_media_type      no
├── MediaNotFound                   422 media_not_found             no
├── SchemaNotFound                  422 schema_not_found            no    every id that is missing
├── ReplyBreaksSchema               422 validation_error            no    usage counted, raw text given
├── RateLimited                     429 rate_limited                yes   level "tenant" or "user"
├── SpokenTooFast                   429 rate_limited                yes   level "gateway": realtime_errors.py
├── InternalError                   500 internal_error              yes
├── JobInterrupted                  500 job_interrupted             no    its worker died, a provider may be paid
├── ProviderFailure                 (base of what a provider caused: provider_errors.py)
├── AdmissionUnavailable            503 admission_unavailable       yes   keys or limits cannot be checked
├── HookUnavailable                 503 hook_unavailable            yes   a hook has to agree and did not (no if paid)
└── StorageUnavailable              503 storage_unavailable         yes   files, types or usage cannot be read or stored
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from msgspec import Struct

from gateway.model.money import usd_text as _usd


class Detail(Struct, frozen=True):
    """One violation. `pointer`: RFC 6901 JSON pointer into the request or the reply. `reason`: what is wrong there."""

    pointer: str
    reason: str


class GatewayError(Exception):
    """Base of the tree; `status`, `code`, `type` and `retryable` are facts of the class.

    A single error may differ from its class in `retryable`. `usage`: what the request cost all the same.
    `attempts`: the calls to providers, where there were several. `left_out`: models that could not be asked.
    `provider_code` is the provider's own short code (never its message, host or body).
    `retry_after_s` becomes the Retry-After header.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "api_error"
    retryable: bool = False
    usage: Any = None
    attempts: Any = None
    left_out: Any = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        provider_code: str | None = None,
        details: tuple[Detail, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.provider_code = provider_code
        self.details = details
        self.retry_after_s = retry_after_s

    def facts(self) -> dict[str, Any]:
        """Extra members of the wire object that only some classes have."""
        return {}

    def wire(self, request_id: str) -> dict[str, Any]:
        """The object a client receives: `{"error": {...}}`."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "code": self.code,
                "param": self.param,
                "request_id": request_id,
                "retryable": self.retryable,
                "provider_code": self.provider_code,
                "details": [{"pointer": detail.pointer, "reason": detail.reason} for detail in self.details],
                **self.facts(),
                **({} if self.usage is None else {"usage": self.usage}),
                **({} if self.attempts is None else {"attempts": self.attempts}),
                **({} if self.left_out is None else {"left_out": self.left_out}),
            }
        }


class InvalidRequest(GatewayError):
    """The request breaks the API's contract; `param` names the field."""

    status, code, type = 400, "validation_error", "invalid_request_error"


class CapabilityNotSupported(InvalidRequest):
    """The request asks the chosen model for something it cannot do; `param` names what."""

    code = "capability_not_supported"


class PriceUnknown(InvalidRequest):
    """Money is limited here, and what the model costs is not known; a tenant's setting can allow it all the same."""

    code = "price_unknown"


class UnreadableBody(InvalidRequest):
    """The body is not JSON or not a JSON object."""


class InvalidApiKey(GatewayError):
    """No key, an unknown key, or one that is revoked or expired: `reason`, which the client is not told."""

    status, code, type = 401, "invalid_api_key", "authentication_error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidSignature(GatewayError):
    """Whoever sent a message did not sign it as its provider does, or did so long ago. Why is not told."""

    status, code, type = 401, "invalid_signature", "authentication_error"

    def __init__(self) -> None:
        super().__init__("The message is not signed by the provider, or not now.")


class BudgetExceeded(GatewayError):
    """The most this request can cost does not fit what is left of a budget.

    `level`: "tenant" or "user". `window`: "day" or "month". `models`: the pattern that the budget is for.
    Money in nano-USD. `resets_at_s`: Unix seconds.
    """

    status, code, type = 402, "budget_exceeded", "insufficient_quota"

    def __init__(
        self, level: str, window: str, models: str, *, limit: int, remaining: int, needed: int, resets_at_s: int
    ) -> None:
        of = "" if models == "*" else f" for {models}"
        where = ", but in no one of the shards that it is spread over" if needed <= remaining else ""
        super().__init__(
            f"The {level}'s budget of {_usd(limit)} USD a {window}{of} has {_usd(remaining)} USD left{where}; "
            f"this request may cost up to {_usd(needed)} USD."
        )
        self._facts = {
            "level": level,
            "window": window,
            "models": models,
            "limit_usd": _usd(limit),
            "remaining_usd": _usd(remaining),
            "needed_usd": _usd(needed),
            "resets_at": datetime.fromtimestamp(resets_at_s, UTC).isoformat().replace("+00:00", "Z"),
        }

    def facts(self) -> dict[str, Any]:
        return self._facts


class ModelNotApproved(GatewayError):
    """The model exists, but the tenant or the key may not use it."""

    status, code, type = 403, "model_not_approved", "permission_error"


class RequestBlocked(GatewayError):
    """A hook refused the request; `hook` is its id, the message its reason."""

    status, code, type = 403, "request_blocked", "permission_error"

    def __init__(self, reason: str, *, hook: str, details: tuple[Detail, ...] = ()) -> None:
        super().__init__(reason, details=details)
        self.hook = hook

    def facts(self) -> dict[str, Any]:
        return {"hook": self.hook}


class ResponseBlocked(RequestBlocked):
    """A hook refused the reply, which is paid."""

    code = "response_blocked"

    def facts(self) -> dict[str, Any]:
        return {"hook": self.hook, "usage": self.usage}


class ScopeMissing(GatewayError):
    """The key is good, but not for this."""

    status, code, type = 403, "scope_missing", "permission_error"


class TenantDisabled(GatewayError):
    """The key is good, its tenant or its user is switched off."""

    status, code, type = 403, "tenant_disabled", "permission_error"


class ModelNotFound(GatewayError):
    """No alias, `provider/model` or unambiguous bare id of that name."""

    status, code, type = 404, "model_not_found", "invalid_request_error"


class FileNotFound(GatewayError):
    """The tenant has no such file, or has it no longer."""

    status, code, type = 404, "file_not_found", "invalid_request_error"


class JobNotFound(GatewayError):
    """The tenant has no such job, or it is forgotten."""

    status, code, type = 404, "job_not_found", "invalid_request_error"


class BatchNotFound(GatewayError):
    """The tenant has no such batch, or it is forgotten."""

    status, code, type = 404, "batch_not_found", "invalid_request_error"


class TypeNotFound(GatewayError):
    """No type of that id is registered, by the tenant or with the gateway."""

    status, code, type = 404, "schema_not_found", "invalid_request_error"


class RequestNotFound(GatewayError):
    """Nothing is recorded of a request of that id in this tenant: yet, any more, or ever."""

    status, code, type = 404, "request_not_found", "invalid_request_error"


class RouteNotFound(GatewayError):
    """No such path."""

    status, code, type = 404, "not_found", "invalid_request_error"


class MethodNotAllowed(GatewayError):
    """The path exists, the method does not."""

    status, code, type = 405, "method_not_allowed", "invalid_request_error"


class JobExpired(GatewayError):
    """The job's result was kept as long as promised, and is gone."""

    status, code, type = 410, "job_expired", "invalid_request_error"


class JobCancelled(GatewayError):
    """The job was cancelled before it had a result."""

    status, code, type = 409, "job_cancelled", "invalid_request_error"


class ModelDeprecated(GatewayError):
    """The provider has shut the model down."""

    status, code, type = 410, "model_deprecated", "invalid_request_error"


class PayloadTooLarge(GatewayError):
    """The body is larger than the function takes, or its media are larger than the gateway or the provider takes."""

    status, code, type = 413, "payload_too_large", "invalid_request_error"


class UnsupportedMediaType(GatewayError):
    """The body's Content-Type is not one the route reads."""

    status, code, type = 415, "unsupported_media_type", "invalid_request_error"


class MediaNotFound(GatewayError):
    """What a media part points at could not be read; `param` names the part."""

    status, code, type = 422, "media_not_found", "invalid_request_error"


class SchemaNotFound(GatewayError):
    """A tool or schema of the request refers to what is not registered; `details` names every place."""

    status, code, type = 422, "schema_not_found", "invalid_request_error"


class ReplyBreaksSchema(GatewayError):
    """The reply is not what the request's schema asks for. `raw_text`: what it said."""

    status, code, type = 422, "validation_error", "invalid_request_error"

    def __init__(self, message: str, *, raw_text: str, details: tuple[Detail, ...]) -> None:
        super().__init__(message, param="response_format", details=details)
        self.raw_text = raw_text

    def facts(self) -> dict[str, Any]:
        return {"stage": "response", "raw_text": self.raw_text, "usage": self.usage}


class RateLimited(GatewayError):
    """A rate of the tenant or of the user is used up. `kind`: which; `limit`: in its unit; `models`: its pattern."""

    status, code, type, retryable = 429, "rate_limited", "rate_limit_error", True

    def __init__(self, level: str, kind: str, models: str, *, limit: int, remaining: int, retry_after_s: int) -> None:
        of = "" if models == "*" else f" for {models}"
        super().__init__(
            f"The {level}'s limit of {limit} {kind.replace('_', ' ')}{of} is reached.", retry_after_s=retry_after_s
        )
        self._facts = {"level": level, "limit_kind": kind, "models": models, "limit": limit, "remaining": remaining}

    def facts(self) -> dict[str, Any]:
        return self._facts


class InternalError(GatewayError):
    """A defect of the gateway; the cause is in its log under the request id, never in the reply."""

    retryable = True


class JobInterrupted(GatewayError):
    """A job's worker died while a provider was asked, or nothing more came of it: it may be paid, nobody asks again."""

    code = "job_interrupted"


class AdmissionUnavailable(GatewayError):
    """Keys or limits cannot be checked in time: nothing passes unchecked. `took_nothing`: it is known that nothing was
    held, where a write that was not answered may have been carried out.
    """

    status, code, type, retryable = 503, "admission_unavailable", "api_error", True

    def __init__(self, message: str, *, took_nothing: bool = False) -> None:
        super().__init__(message)
        self.took_nothing = took_nothing


class HookUnavailable(GatewayError):
    """A hook that has to agree did not. `is_paid`: a reply is there, so a retry would pay again."""

    status, code, type, retryable = 503, "hook_unavailable", "api_error", True

    def __init__(self, message: str, *, hook: str, is_paid: bool = False) -> None:
        super().__init__(message)
        self.hook = hook
        self.retryable = not is_paid

    def facts(self) -> dict[str, Any]:
        return {"hook": self.hook, "usage": self.usage}


class StorageUnavailable(GatewayError):
    """What the gateway keeps things in could not be reached."""

    status, code, type, retryable = 503, "storage_unavailable", "api_error", True
