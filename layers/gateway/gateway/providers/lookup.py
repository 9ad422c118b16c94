"""Providers by name: the name is the file's, and only the file that is asked for is imported."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import gateway.providers
from gateway.providers.contract import Provider

if TYPE_CHECKING:
    from gateway.providers.contract.realtime import RealtimeWire

_NOT_PROVIDERS = frozenset({"contract", "lookup", "wire"})


@cache
def provider_names() -> frozenset[str]:
    """Of all providers that there are, without importing one."""
    return frozenset(module.name for module in iter_modules(gateway.providers.__path__)) - _NOT_PROVIDERS


def has_provider(name: str) -> bool:
    """Whether `gateway.providers.<name>` is a provider, without importing it."""
    return name in provider_names()


@cache
def provider_named(name: str) -> Provider:
    """Raises LookupError for a name that is not a provider's."""
    if not has_provider(name):
        raise LookupError(f"no provider is named {name!r}")
    provider = import_module(f"gateway.providers.{name}").PROVIDER
    if not isinstance(provider, Provider):
        raise TypeError(f"gateway.providers.{name} exports no PROVIDER")
    return provider


def realtime_wire(provider: Provider, api: str) -> RealtimeWire | None:
    """Loaded only now, for no other function should start later by what voices need. None: it has none of this name."""
    module = provider.realtime.get(api)
    if module is None:
        return None
    wire: RealtimeWire = import_module(f"gateway.providers.wire.{module}").WIRE
    return wire
