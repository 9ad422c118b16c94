"""Why a session of voice ends that nobody has closed; of the tree in `errors.py`. Told as events."""

from __future__ import annotations

from gateway.model.errors import GatewayError


class SessionExpired(GatewayError):
    """Its longest time is over, or nobody has said anything for long. Another session may be begun."""

    status, code, type, retryable = 408, "session_expired", "invalid_request_error", True


class SlowConsumer(GatewayError):
    """The client takes less than it is told, and is further behind than could be of use."""

    status, code, type, retryable = 408, "slow_consumer", "invalid_request_error", True
