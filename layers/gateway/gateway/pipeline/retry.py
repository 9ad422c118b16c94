"""The same model once more, where its provider says that it did nothing, and when it will.

Only where there is no other model to ask: docs/decisions/0026-who-asks-again.md.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.model.errors import GatewayError
from gateway.model.provider_errors import ProviderFailure
from gateway.model.tenant import MAX_RETRIES
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.ports import World

WAIT_S, JOB_WAIT_S = 10.0, 60.0
"""All pauses of a request together: of one that is waited for, and of a job's worker."""
LEAST_S = 1.0
"""What has to be left of a request's time for another attempt."""


class Retries(Struct):
    """Of one request. `left`: how many; `left_s`: how long they may be waited for."""

    left: int
    left_s: float

    @classmethod
    def of(cls, exchange: Exchange) -> Retries:
        """The client of a job, or of a batch, has nobody who would ask again for him."""
        if exchange.worked_from_s is not None or exchange.batch_id is not None:
            return cls(MAX_RETRIES, JOB_WAIT_S)
        return cls(exchange.principal.tenant.max_retries if exchange.principal else 0, WAIT_S)

    async def waited(self, failed: Attempt, error: GatewayError, until_s: float, world: World) -> bool:
        """Whether the model may be asked again, once the time has passed that its provider asked for. Not where that
        does not fit into the time of the attempt or of the request, nor where anything was charged.
        """
        pause_s = error.ask_again_s if isinstance(error, ProviderFailure) else None
        if pause_s is None or failed.usage is not None or not self.left or pause_s > self.left_s:
            return False
        if world.clock.monotonic_s() + pause_s >= min(until_s - LEAST_S, failed.limit_s):
            return False
        self.left, self.left_s = self.left - 1, self.left_s - pause_s
        await world.clock.sleep(pause_s)
        failed.provider_wait_s += pause_s
        return True
