"""Parameters of a request that stand in its URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from gateway.model.chat import Json
from gateway.providers.wire.options import with_options


def query_of(parameters: Json, options: Json | None, provider: str, reserved: frozenset[str]) -> str:
    """With its "?". A list is a parameter for each item. Raises CapabilityNotSupported (400) for a reserved option."""
    together = with_options(parameters, options, provider, reserved)
    pairs = [(name, _text(one)) for name, value in together.items() for one in _each(value)]
    return f"?{urlencode(pairs)}"


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
