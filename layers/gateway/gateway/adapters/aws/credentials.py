"""The execution role's keys: from the environment, or from the endpoint that SnapStart functions are given."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime

import msgspec

from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.model.http import HttpRequest
from gateway.model.secret import AwsKeys, Secret
from gateway.ports import Clock

REFRESH_AHEAD_S = 300.0
TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 64 * 1024


class _Answer(msgspec.Struct, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    token: str
    expiration: datetime


class RoleKeys:
    """With SnapStart there are no keys in the environment, but AWS_CONTAINER_CREDENTIALS_FULL_URI.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html
    """

    def __init__(self, client: HttpClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._keys: AwsKeys | None = None
        self._ends_s = 0.0
        self._refresh: asyncio.Task[AwsKeys] | None = None

    async def current(self) -> AwsKeys:
        """Those that are about to end serve to their end where there are no newer ones. Raises HttpFailure."""
        if (uri := os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")) is None:
            return self._of_environment()
        if self._keys is not None and self._clock.now_s() < self._ends_s - REFRESH_AHEAD_S:
            return self._keys
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._refreshed(uri))
            self._refresh.add_done_callback(self._has_refreshed)
        try:
            return await asyncio.shield(self._refresh)
        except HttpFailure:
            if self._keys is None or self._clock.now_s() >= self._ends_s:
                raise
            return self._keys

    async def _refreshed(self, uri: str) -> AwsKeys:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        request = HttpRequest("GET", uri, {"authorization": token})
        response = await self._client.send(request, TIMEOUT_S, MAX_ANSWER_BYTES)
        if response.status != 200:
            raise HttpFailure(f"Status{response.status}")
        try:
            answer = msgspec.json.decode(response.body, type=_Answer)
        except msgspec.MsgspecError as error:
            raise HttpFailure("UnknownKeys") from error
        self._keys = AwsKeys(answer.access_key_id, Secret(answer.secret_access_key), Secret(answer.token))
        self._ends_s = answer.expiration.timestamp()
        return self._keys

    def _has_refreshed(self, refresh: asyncio.Task[AwsKeys]) -> None:
        self._refresh = None
        if not refresh.cancelled():
            refresh.exception()  # looked at, also where everybody who asked has gone

    def _of_environment(self) -> AwsKeys:
        """The same object as long as they are the same."""
        if self._keys is None or self._keys.access_key_id != os.environ["AWS_ACCESS_KEY_ID"]:
            token = os.environ.get("AWS_SESSION_TOKEN")
            self._keys = AwsKeys(
                os.environ["AWS_ACCESS_KEY_ID"],
                Secret(os.environ["AWS_SECRET_ACCESS_KEY"]),
                Secret(token) if token else None,
            )
        return self._keys
