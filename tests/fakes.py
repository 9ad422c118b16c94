"""A world in memory. The same suite in tests/ports holds these and the real adapters to the same behaviour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.model.catalog import ModelFacts
from gateway.model.errors import ProviderError
from gateway.model.http import Credential, HttpRequest, HttpResponse
from gateway.model.secret import Secret
from gateway.model.tenant import Principal
from gateway.ports import World


@dataclass
class MemoryKeys:
    """Principals by key hash."""

    held: dict[str, Principal] = field(default_factory=dict)
    finds: int = 0

    async def find(self, key_hash: str) -> Principal | None:
        self.finds += 1
        return self.held.get(key_hash)


@dataclass
class MemoryCredentials:
    held: dict[str, Credential] = field(default_factory=dict)

    async def find(self, provider: str) -> Credential:
        if provider not in self.held:
            raise ProviderError(f"No credential for {provider} is available.")
        return self.held[provider]


@dataclass
class MemoryCatalog:
    held: dict[str, dict[str, ModelFacts]]

    def find(self, provider: str, model: str) -> ModelFacts | None:
        return self.held.get(provider, {}).get(model)

    def providers_of(self, model: str) -> list[str]:
        return [provider for provider, models in self.held.items() if model in models]

    def models(self) -> Iterable[tuple[str, ModelFacts]]:
        return [(provider, facts) for provider, models in self.held.items() for facts in models.values()]


@dataclass
class ScriptedIncoming:
    """Gives its parts one by one; a part that is an exception is raised, one that is callable is awaited first."""

    status: int
    headers: dict[str, str]
    parts: list[Any]

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            if callable(part):
                await part()
            else:
                yield part

    async def whole(self) -> HttpResponse:
        return HttpResponse(self.status, self.headers, b"".join([part async for part in self.chunks()]))


@dataclass
class ScriptedOutbound:
    """Answers every request with `answer`; keeps what was sent, and how many answers are still open."""

    answer: ScriptedIncoming | Exception
    sent: list[HttpRequest] = field(default_factory=list)
    still_open: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest) -> AsyncIterator[ScriptedIncoming]:
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.still_open += 1
        try:
            yield self.answer
        finally:
            self.still_open -= 1


@dataclass
class ListRecords:
    written: list[dict[str, Any]] = field(default_factory=list)
    on_write: Callable[[], None] | None = None

    def write(self, record: dict[str, Any]) -> None:
        self.written.append(record)
        if self.on_write is not None:
            self.on_write()


@dataclass
class ManualClock:
    """Stands still until moved."""

    unix_s: float = 1_790_000_000.0
    running_s: float = 100.0

    def now_s(self) -> float:
        return self.unix_s

    def monotonic_s(self) -> float:
        return self.running_s


def world_of(outbound: ScriptedOutbound, keys: MemoryKeys, catalog: MemoryCatalog) -> World:
    """A world whose only provider is reached through `outbound`."""
    credential = Credential(Secret("provider-key"))
    return World(
        keys=keys,
        credentials=MemoryCredentials(dict.fromkeys(catalog.held, credential)),
        catalog=catalog,
        outbound=outbound,
        records=ListRecords(),
        clock=ManualClock(),
    )
