"""The Type Registry of tenants: /v1/types."""

from gateway.entry.types import types_handler

handler = types_handler()
