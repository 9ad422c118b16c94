"""What a provider caused; the rest of the tree is in errors.py.

ProviderFailure
├── ProviderRejected            400 validation_error            no    it refuses the request itself
├── ProviderLacksModel          404 model_not_found             no    it does not know the model
├── ProviderRefusedSize         413 payload_too_large           no    the request is too large for it
├── ProviderRateLimited         429 rate_limited                yes   level "provider"
├── ProviderBusy                503 overloaded                  yes   as many calls as it may have are under way
├── ProviderError               502 provider_error              yes
│   └── ProviderGone            502 provider_error              yes   what it made is not there any more
├── CircuitOpen                 503 circuit_open                yes   it is not asked for a while
└── ProviderTimeout             504 provider_timeout            no    phase "ttft" or "total"
"""

from __future__ import annotations

from typing import Any, Literal

from gateway.model.errors import GatewayError
from gateway.model.usage import TokenUsage

BUSY_S = 1.0


class ProviderFailure(GatewayError):
    """Base of what a provider caused. `is_refusal`: whether it says itself that it did not do what it was asked, which
    costs nothing. `charged`: what an answer that it broke off or withheld cost all the same, where it told.
    `blames_request`: whether it finds the request itself wrong, so that nobody else is asked.
    `refuses_credential`: whether it does not know the credential, or not any more; another may be let in.
    `ask_again_s`: after how many seconds it says that the same may be asked again, None where it does not.
    """

    is_refusal: bool = True
    blames_request: bool = False
    refuses_credential: bool = False
    ask_again_s: float | None = None
    charged: TokenUsage | None = None


class ProviderRejected(ProviderFailure):
    """The provider calls the request itself wrong (its 400 or 422)."""

    blames_request = True
    status, code, type = 400, "validation_error", "invalid_request_error"


class ProviderLacksModel(ProviderFailure):
    """The provider does not know the model, or not for our account."""

    status, code, type = 404, "model_not_found", "invalid_request_error"


class ProviderRefusedSize(ProviderFailure):
    """The request is larger than the provider takes."""

    blames_request = True
    status, code, type = 413, "payload_too_large", "invalid_request_error"


class ProviderRateLimited(ProviderFailure):
    """The provider's own limit on our account, not a limit of the tenant."""

    status, code, type, retryable = 429, "rate_limited", "rate_limit_error", True

    def facts(self) -> dict[str, Any]:
        return {"level": "provider"}


class ProviderBusy(ProviderFailure):
    """As many calls are under way as its owner lets it have at a time: it is not asked."""

    status, code, type, retryable = 503, "overloaded", "api_error", True
    ask_again_s = BUSY_S

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_s=int(BUSY_S))


class ProviderError(ProviderFailure):
    """The provider failed, refused our credentials, could not be reached, or spoke nonsense."""

    status, code, type, retryable = 502, "provider_error", "api_error", True
    is_refusal = False


class ProviderGone(ProviderError):
    """What the provider was making, or had made, is not there any more: asking for it again is in vain."""


class CircuitOpen(ProviderFailure):
    """The provider failed so often that it is not asked for a while, so this costs nothing."""

    status, code, type, retryable = 503, "circuit_open", "api_error", True

    def __init__(self, provider: str, retry_after_s: int) -> None:
        message = f"{provider} has failed again and again, and is asked again in {retry_after_s} s."
        super().__init__(message, retry_after_s=retry_after_s)


def is_gone(status: int) -> bool:
    """Whether an answer with this HTTP status says that for good. All others may pass, a wrong key's too."""
    return status in (404, 410)


class ProviderTimeout(ProviderFailure):
    """Phase "ttft": no content in time. Phase "total": not finished in time. The provider may have charged."""

    status, code, type = 504, "provider_timeout", "timeout_error"
    is_refusal = False

    def __init__(self, message: str, *, phase: Literal["ttft", "total"]) -> None:
        super().__init__(message)
        self.phase = phase

    def facts(self) -> dict[str, Any]:
        return {"phase": self.phase}
