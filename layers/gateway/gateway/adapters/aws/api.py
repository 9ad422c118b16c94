"""One AWS JSON API: sign, send, retry once on a fault, decode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.http_client import HttpClient, HttpFailure
from gateway.model.http import HttpRequest
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, sign

TRIES = 2
MAX_ANSWER_BYTES = 32 * 1024 * 1024


class AwsFailure(Exception):
    """`code`: the service's error name without namespace; "Unreachable" when there was no answer."""

    def __init__(self, code: str, *, is_fault: bool) -> None:
        super().__init__(code)
        self.code, self.is_fault = code, is_fault


@dataclass(frozen=True, slots=True)
class Service:
    """`name`: signing name. `target`: prefix of x-amz-target. `url`: endpoint."""

    name: str
    target: str
    version: str
    url: str


class AwsApi:
    """`timeout_s` limits each of the two tries. Only calls that may be repeated go through here."""

    def __init__(self, service: Service, region: str, *, keys: RoleKeys, client: HttpClient, clock: Clock) -> None:
        self._service, self._scope = service, Scope(region, service.name)
        self._keys, self._client, self._clock = keys, client, clock

    async def call(self, operation: str, payload: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The decoded answer. Raises AwsFailure."""
        body = msgspec.json.encode(payload)
        for remaining in reversed(range(TRIES)):
            try:
                return await self._send(operation, body, timeout_s)
            except AwsFailure as failure:
                if not (failure.is_fault and remaining):
                    raise
        raise AssertionError("the last try either returned or raised")

    async def _send(self, operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        headers = {
            "content-type": f"application/x-amz-json-{self._service.version}",
            "x-amz-target": f"{self._service.target}.{operation}",
        }
        now = datetime.fromtimestamp(self._clock.now_s(), UTC)
        try:
            keys = await self._keys.current()
            request = sign(HttpRequest("POST", self._service.url, headers, body), keys, self._scope, now)
            response = await self._client.send(request, timeout_s, MAX_ANSWER_BYTES)
        except HttpFailure as failure:
            raise AwsFailure("Unreachable", is_fault=True) from failure
        if response.status != 200:
            raise AwsFailure(_code(response.body), is_fault=response.status >= 500)
        return cast(dict[str, Any], msgspec.json.decode(response.body))


def _code(body: bytes) -> str:
    """`__type` is "namespace#Name" or "Name"."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "Unreadable"
    kind = answer.get("__type", "") if isinstance(answer, dict) else ""
    return str(kind).rpartition("#")[2] or "Unknown"
