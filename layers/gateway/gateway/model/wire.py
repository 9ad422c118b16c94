"""Base of every structure that crosses the API: frozen, by keyword, unset members left out when encoded."""

from __future__ import annotations

from msgspec import Struct


class Inbound(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a client sends: an unknown member is an error that names it."""


class Outbound(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gateway sends."""
