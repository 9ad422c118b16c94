"""Providers by name: the name is the file's, and only the file that is asked for is imported."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from gateway.providers.contract import Provider

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NOT_PROVIDERS = frozenset({"contract", "lookup", "wire"})


@cache
def has_provider(name: str) -> bool:
    """Whether `gateway.providers.<name>` is a provider, without importing it."""
    if _NAME.fullmatch(name) is None or name in _NOT_PROVIDERS:
        return False
    return find_spec(f"gateway.providers.{name}") is not None


@cache
def provider_named(name: str) -> Provider:
    """Raises LookupError for a name that is not a provider's."""
    if not has_provider(name):
        raise LookupError(f"no provider is named {name!r}")
    provider = import_module(f"gateway.providers.{name}").PROVIDER
    if not isinstance(provider, Provider):
        raise TypeError(f"gateway.providers.{name} exports no PROVIDER")
    return provider
