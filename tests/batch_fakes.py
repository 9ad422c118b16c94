"""What batches need of the world, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic

from gateway.batch_ports import R
from gateway.model.batch import BatchPart, part_name
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest, Sending, StreamedBody
from gateway.model.job import Job
from gateway.model.shipment import Shipment, shipment_name
from gateway.ports import Incoming, Outbound


class MemoryBatchRecords(Generic[R]):
    """Records by (tenant id, batch id, name)."""

    def __init__(self, named: Callable[[int, int], str]) -> None:
        self._named = named
        self.held: dict[tuple[str, str, str], R] = {}

    async def find(self, tenant_id: str, batch_id: str, group: int, number: int) -> R | None:
        return self.held.get((tenant_id, batch_id, self._named(group, number)))

    async def change(self, record: R) -> bool:
        key = (record.tenant_id, record.batch_id, record.name)
        last = self.held.get(key)
        if (0 if last is None else last.revision) != record.revision - 1:
            return last == record
        self.held[key] = record
        return True

    async def all(self, tenant_id: str, batch_id: str) -> list[R]:
        return [record for key, record in sorted(self.held.items()) if key[:2] == (tenant_id, batch_id)]


class MemoryBatchParts(MemoryBatchRecords[BatchPart]):
    def __init__(self) -> None:
        super().__init__(part_name)


class MemoryShipments(MemoryBatchRecords[Shipment]):
    def __init__(self) -> None:
        super().__init__(shipment_name)


@dataclass
class MemoryBatchStore:
    """Objects by (tenant id, batch id, names)."""

    held: dict[tuple[Any, ...], bytes] = field(default_factory=dict)

    async def put_lines(self, tenant_id: str, batch_id: str, part: str, data: bytes) -> None:
        self.held[tenant_id, batch_id, "lines", part] = data

    async def lines(self, tenant_id: str, batch_id: str, part: str) -> bytes:
        return self._there(tenant_id, batch_id, "lines", part)

    async def drop_lines(self, tenant_id: str, batch_id: str, part: str) -> None:
        self.held.pop((tenant_id, batch_id, "lines", part), None)

    async def put_crate(self, tenant_id: str, batch_id: str, crate: str, items: bytes, kept: bytes) -> None:
        self.held[tenant_id, batch_id, "packed", crate] = items
        self.held[tenant_id, batch_id, "kept", crate] = kept

    async def crate(self, tenant_id: str, batch_id: str, crate: str) -> bytes:
        return self._there(tenant_id, batch_id, "packed", crate)

    async def kept(self, tenant_id: str, batch_id: str, crate: str) -> bytes:
        return self._there(tenant_id, batch_id, "kept", crate)

    async def drop_crate(self, tenant_id: str, batch_id: str, crate: str) -> None:
        for folder in ("packed", "kept"):
            self.held.pop((tenant_id, batch_id, folder, crate), None)

    async def put_piece(self, tenant_id: str, batch_id: str, part: str, piece: int, data: bytes) -> bool:
        return self.held.setdefault((tenant_id, batch_id, "results", part, piece), data) == data

    async def piece(self, tenant_id: str, batch_id: str, part: str, piece: int) -> bytes | None:
        return self.held.get((tenant_id, batch_id, "results", part, piece))

    async def put_errors(self, tenant_id: str, batch_id: str, data: bytes) -> None:
        self.held[tenant_id, batch_id, "errors"] = data

    async def errors(self, tenant_id: str, batch_id: str) -> bytes | None:
        return self.held.get((tenant_id, batch_id, "errors"))

    def _there(self, *key: str) -> bytes:
        if key not in self.held:
            raise StorageUnavailable("What a batch's lines are cannot be read at the moment.")
        return self.held[key]


@dataclass
class ListBatchWorkers:
    """Batches that are to be brought in, by id."""

    asked: list[str] = field(default_factory=list)

    async def bring_in(self, job: Job) -> None:
        self.asked.append(job.id)


@dataclass
class BufferedCarriers:
    """By the way of all other requests, with the whole body."""

    outbound: Outbound

    @asynccontextmanager
    async def open(
        self, request: HttpRequest, streamed: StreamedBody, sending: Sending | None = None
    ) -> AsyncIterator[Incoming]:
        body = b"".join([chunk async for chunk in streamed.chunks()])
        assert len(body) == streamed.size_bytes
        sent = HttpRequest(request.method, request.url, request.headers, body)
        async with self.outbound.open(sent, sending) as incoming:
            yield incoming
