"""What tests of speech and transcripts stand on: a provider that answers in pieces, and what is seen of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.model.http import HttpRequest, HttpResponse, Sending
from gateway.model.record import UsageRecord
from gateway.ports import World
from tests.fakes import ListEvents, MemoryAccess, MemoryFiles, ScriptedHooks, key_hash, note_sent, principal
from tests.unit.conftest import KEY, TENANT


@dataclass
class Spoken:
    """An answer in pieces; `then`: what comes in place of its end."""

    pieces: list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "audio/mpeg"})
    then: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.then:
            raise self.then

    async def whole(self) -> HttpResponse:
        return HttpResponse(self.status, self.headers, b"".join(self.pieces))


@dataclass
class Speaker:
    answer: Spoken
    sent: list[HttpRequest] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Spoken]:
        self.sent.append(request)
        note_sent(sending)
        yield self.answer


@dataclass
class AudioGateway:
    world: World
    provider: Speaker
    access: MemoryAccess

    def allow(self, **tenant: Any) -> ScriptedHooks:
        self.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(TENANT, approvals=("*",), **tenant))
        assert isinstance(self.world.hooks, ScriptedHooks)
        return self.world.hooks

    @property
    def files(self) -> MemoryFiles:
        assert isinstance(self.world.files, MemoryFiles)
        return self.world.files

    @property
    def record(self) -> UsageRecord:
        assert isinstance(self.world.events, ListEvents)
        (record,) = [told for told in self.world.events.told if isinstance(told, UsageRecord)]
        return record
