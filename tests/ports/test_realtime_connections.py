"""Both connections of a session of voice, and the functions that hold it, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.adapters.aws.client_connections import ApiGatewayClients
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.aws.session_holders import LambdaHolders
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.adapters.provider_socket import WebSockets
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.provider_errors import ProviderError
from gateway.model.realtime_session import Link
from gateway.realtime_ports import ClientGone, ClientUnreachable, HandshakeRefused, SocketClosed
from tests.ports.conftest import REGION

LINK = Link(connection_id="L0SM9cOFvHcCIhw=", api_id="a1b2", stage="realtime")


@dataclass
class Aws:
    """Answers every request alike."""

    status: int = 200
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in rest)}
        self.requests.append((line, headers, await reader.readexactly(int(headers.get("content-length", 0)))))
        writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def aws() -> AsyncIterator[Aws]:
    aws = Aws()
    listening = await asyncio.start_server(aws.connected, "127.0.0.1", 0)
    aws.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield aws
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def clients(aws: Aws, aws_keys: None, http_client: HttpClient) -> ApiGatewayClients:
    clock = SystemClock()
    return ApiGatewayClients(REGION, aws.url, keys=RoleKeys(http_client, clock), client=http_client, clock=clock)


async def test_a_client_gets_what_is_posted(clients: ApiGatewayClients, aws: Aws) -> None:
    await clients.post(LINK, b'{"type": "session.created"}')
    [(line, headers, body)] = aws.requests
    path = "/_aws/execute-api/a1b2/realtime/@connections/L0SM9cOFvHcCIhw%3D"
    assert (line, body) == (f"POST {path} HTTP/1.1", b'{"type": "session.created"}')
    assert f"/{REGION}/execute-api/aws4_request" in headers["authorization"]
    await clients.close(LINK)
    assert aws.requests[1][0] == f"DELETE {path} HTTP/1.1"


async def test_it_is_signed_as_amazons_own_client_does(clients: ApiGatewayClients, aws: Aws) -> None:
    """An id ends with "=", and the path has an "@": both are encoded once more for the signature only."""
    await clients.post(LINK, b"{}")
    [(line, headers, body)] = aws.requests
    url = f"{aws.url}{line.split()[1]}"
    request = AWSRequest("POST", url, data=body, headers={"content-type": "application/json"})
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials("testing", "testing"), "execute-api", REGION)
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert headers["authorization"].endswith(f"Signature={signature}")


async def test_a_client_that_has_gone(clients: ApiGatewayClients, aws: Aws) -> None:
    aws.status = 410
    with pytest.raises(ClientGone):
        await clients.post(LINK, b"{}")
    await clients.close(LINK)
    aws.status = 429
    with pytest.raises(ClientUnreachable):
        await clients.post(LINK, b"{}")


async def test_a_holder_is_asked_for_and_not_waited_for(aws: Aws, aws_keys: None, http_client: HttpClient) -> None:
    clock = SystemClock()
    functions = LambdaApi(aws.url, REGION, RoleKeys(http_client, clock), http_client, clock)
    holders = LambdaHolders(functions, "gw-realtime-session:live")
    aws.status = 202
    await holders.start("c1", 3)
    [(line, headers, body)] = aws.requests
    assert line == "POST /2015-03-31/functions/gw-realtime-session%3Alive/invocations HTTP/1.1"
    assert headers["x-amz-invocation-type"] == "Event"
    assert json.loads(body) == {"connection_id": "c1", "epoch": 3}
    aws.status = 500
    with pytest.raises(StorageUnavailable):
        await holders.start("c1", 3)


@pytest.fixture
async def provider() -> AsyncIterator[Server]:
    """Says everything again, and closes when it is told to."""

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            if message == "end":
                await connection.close(4001, "over")
            else:
                await connection.send(message)

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("authorization") == "Bearer right":
            return None
        response = connection.respond(401, '{"error": "wrong key"}')
        response.headers["Retry-After"] = "3"
        return response

    async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
        yield server


def request_of(server: Server, key: str = "right") -> HttpRequest:
    port = next(iter(server.sockets)).getsockname()[1]
    return HttpRequest("GET", f"ws://127.0.0.1:{port}/v1/realtime?model=x", {"authorization": f"Bearer {key}"})


async def test_a_provider_is_spoken_to(provider: Server) -> None:
    async with WebSockets().open(request_of(provider)) as socket:
        await socket.send("ü" * 200_000)
        assert await socket.receive() == "ü" * 200_000
        await socket.send("end")
        with pytest.raises(SocketClosed) as closed:
            await socket.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "over")
        with pytest.raises(SocketClosed):
            await socket.send("more")


async def test_a_handshake_that_is_refused(provider: Server) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        async with WebSockets().open(request_of(provider, "wrong")):
            pass
    answer = refused.value.response
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (401, b'{"error": "wrong key"}', "3")


async def test_a_provider_that_is_not_there() -> None:
    with pytest.raises(ProviderError):
        async with WebSockets().open(HttpRequest("GET", "ws://127.0.0.1:1/", {})):
            pass


async def test_a_provider_that_does_not_answer() -> None:
    is_over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up
        writer.close()
        await writer.wait_closed()
        is_over.set()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(ProviderError):
        async with WebSockets(open_timeout_s=0.05).open(HttpRequest("GET", f"ws://127.0.0.1:{port}/", {})):
            pass
    await is_over.wait()
    listening.close()
    await listening.wait_closed()
