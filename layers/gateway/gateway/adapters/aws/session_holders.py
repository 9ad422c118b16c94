"""Functions that hold sessions of voice: invoked, and not waited for."""

from __future__ import annotations

import msgspec

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.invoke import LambdaApi
from gateway.model.errors import StorageUnavailable

TIMEOUT_S = 3.0


class LambdaHolders:
    """`function`: its name, with its alias."""

    def __init__(self, functions: LambdaApi, function: str) -> None:
        self._functions, self._function = functions, function

    async def start(self, connection_id: str, epoch: int) -> None:
        order = msgspec.json.encode({"connection_id": connection_id, "epoch": epoch})
        try:
            await self._functions.start(self._function, order, TIMEOUT_S)
        except AwsFailure as failure:
            raise StorageUnavailable(f"The session cannot be held at the moment ({failure.code}).") from failure
