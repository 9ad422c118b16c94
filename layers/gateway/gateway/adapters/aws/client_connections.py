"""Connections of clients to a WebSocket API, reached by API Gateway's management of connections.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.model.http import HttpRequest
from gateway.model.realtime_session import Link
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, sign
from gateway.realtime_ports import ClientGone, ClientUnreachable

TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024
_GONE = 410


class ApiGatewayClients:
    """`local_endpoint`: of the local stack, which has all APIs under one address; empty on AWS."""

    def __init__(self, region: str, local_endpoint: str, *, keys: RoleKeys, client: HttpClient, clock: Clock) -> None:
        self._region, self._local_endpoint = region, local_endpoint
        self._keys, self._client, self._clock = keys, client, clock

    async def post(self, link: Link, message: bytes) -> None:
        await self._ask("POST", link, message)

    async def close(self, link: Link) -> None:
        try:
            await self._ask("DELETE", link, b"")
        except ClientGone:
            return

    async def _ask(self, method: str, link: Link, body: bytes) -> None:
        """Ids end with "=", which has to be encoded."""
        url = f"{self._url_of(link)}/@connections/{quote(link.connection_id, safe='')}"
        request = HttpRequest(method, url, {"content-type": "application/json"}, body)
        now = datetime.fromtimestamp(self._clock.now_s(), UTC)
        try:
            signed = sign(request, await self._keys.current(), Scope(self._region, "execute-api"), now)
            answer = await self._client.send(signed, TIMEOUT_S, MAX_ANSWER_BYTES)
        except HttpFailure as failure:
            raise ClientUnreachable(failure.kind) from failure
        if answer.status == _GONE:
            raise ClientGone
        if answer.status >= 300:
            raise ClientUnreachable(f"status {answer.status}")

    def _url_of(self, link: Link) -> str:
        if self._local_endpoint:
            return f"{self._local_endpoint}/_aws/execute-api/{link.api_id}/{link.stage}"
        return f"https://{link.api_id}.execute-api.{self._region}.amazonaws.com/{link.stage}"
