"""What a request is refused with because its Idempotency-Key came before; of the tree in `errors.py`."""

from __future__ import annotations

from typing import Any

from gateway.model.errors import GatewayError


class IdempotencyConflict(GatewayError):
    """The Idempotency-Key came before, with another body or with a request that is not answered twice.

    `first_request_id`: of the request that has it, None where nobody keeps that.
    """

    status, code, type = 409, "idempotency_conflict", "invalid_request_error"

    def __init__(
        self,
        message: str = "This Idempotency-Key came before with another request.",
        *,
        first_request_id: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, param="Idempotency-Key", retry_after_s=retry_after_s)
        self.first_request_id = first_request_id

    def facts(self) -> dict[str, Any]:
        return {} if self.first_request_id is None else {"first_request_id": self.first_request_id}


class RequestRunning(IdempotencyConflict):
    """The first request with that Idempotency-Key has not ended: another answer comes later."""

    def __init__(self, message: str, retry_after_s: int, *, first_request_id: str | None = None) -> None:
        super().__init__(message, first_request_id=first_request_id, retry_after_s=retry_after_s)
        self.retryable = True
