"""The batch work function, started by others and left to itself."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.adapters.aws.batch_workers import LambdaBatchWorkers
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.model.errors import StorageUnavailable
from tests.ports.conftest import REGION
from tests.ports.test_jobs import job
from tests.ports.test_outbound import Server, server  # noqa: F401


@pytest.mark.parametrize(("status", "is_started"), [(202, True), (429, False), (200, False), (500, False)])
async def test_it_is_started_and_waited_for_by_nobody(
    server: Server,  # noqa: F811
    aws_keys: None,
    http_client: HttpClient,
    status: int,
    is_started: bool,
) -> None:
    asked: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size_bytes = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split()[1])
        asked.append((head, await reader.readexactly(size_bytes)))
        writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()

    server.script = script
    clock = SystemClock()
    functions = LambdaApi(server.url, REGION, RoleKeys(http_client, clock), http_client, clock)
    workers = LambdaBatchWorkers(functions, "gateway-batch-work:live")
    if is_started:
        await workers.bring_in(job())
    else:
        with pytest.raises(StorageUnavailable):
            await workers.bring_in(job())
    head, body = asked[0]
    assert b"x-amz-invocation-type: event" in head
    assert json.loads(body) == {"step": "bring_in", "tenant_id": job().tenant_id, "job_id": job().id}
