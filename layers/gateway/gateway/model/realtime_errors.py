"""Why a session of voice ends that nobody has closed; of the tree in `errors.py`. Told as events."""

from __future__ import annotations

from typing import Any

from gateway.model.errors import GatewayError


class SessionExpired(GatewayError):
    """Its longest time is over, or nobody has said anything for long. Another session may be begun."""

    status, code, type, retryable = 408, "session_expired", "invalid_request_error", True


class SlowConsumer(GatewayError):
    """The client takes less than it is told, and is further behind than could be of use."""

    status, code, type, retryable = 408, "slow_consumer", "invalid_request_error", True


class SpokenTooFast(GatewayError):
    """The client says more in a time than one connection may. Another session may be begun, and spoken to slower."""

    status, code, type, retryable = 429, "rate_limited", "rate_limit_error", True

    def __init__(self, unit: str, per_s: int, burst: int) -> None:
        super().__init__(f"A connection takes {per_s:,} {unit} a second, and {burst:,} at once; this one sends more.")

    def facts(self) -> dict[str, Any]:
        return {"level": "gateway"}
