"""What the front port knows of the request in hand, for the patches further down the same call."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Exchange:
    """One HTTP exchange at the edge. The patches fill in who answered it."""

    client_ip: str
    host: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answered_by_function: bool = False


CURRENT: ContextVar[Exchange | None] = ContextVar("local_stack_exchange", default=None)
"""Unset for requests that did not come through the front port."""


def mark_answered_by_function() -> None:
    """What goes back is the function's own answer: the edge leaves it as it is."""
    exchange = CURRENT.get()
    if exchange is not None:
        exchange.answered_by_function = True
