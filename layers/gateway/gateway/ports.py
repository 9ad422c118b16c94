"""What the pipeline needs of the world. `adapters` fulfil it, `entry.wiring` chooses which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.model.catalog import ModelFacts
from gateway.model.http import Credential, HttpRequest, HttpResponse
from gateway.model.tenant import Principal


class Keys(Protocol):
    async def find(self, key_hash: str) -> Principal | None:
        """The holder of the key with this SHA-256 (hex), whatever its state; None when there is none.

        Always fresh. Raises AdmissionUnavailable (503) when the store does not answer in time.
        """
        ...


class Credentials(Protocol):
    async def find(self, provider: str) -> Credential:
        """The gateway's credential for a provider, cached for minutes. Raises ProviderError (502) without one."""
        ...


class Catalog(Protocol):
    def find(self, provider: str, model: str) -> ModelFacts | None:
        """Facts of a model as its provider names it."""
        ...

    def providers_of(self, model: str) -> list[str]:
        """The providers a bare model id can mean: one when it is unambiguous."""
        ...

    def models(self) -> Iterable[tuple[str, ModelFacts]]:
        """Every (provider, model) that can be called."""
        ...


class Incoming(Protocol):
    """An answer whose head has come. Reading raises ProviderError (502) when the connection breaks."""

    status: int
    headers: dict[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed."""
        ...

    async def whole(self) -> HttpResponse:
        """The rest of the body, bounded in size."""
        ...


class Outbound(Protocol):
    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        """Sends the request. Raises ProviderError (502) when no connection or no head comes."""
        ...


class Records(Protocol):
    def write(self, record: dict[str, Any]) -> None:
        """One finished request: facts and figures, never content. Never raises."""
        ...


class Clock(Protocol):
    def now_s(self) -> float:
        """Unix seconds."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start, for durations and deadlines."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    keys: Keys
    credentials: Credentials
    catalog: Catalog
    outbound: Outbound
    records: Records
    clock: Clock
