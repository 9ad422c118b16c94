"""The end of a session of voice, whoever ends it: the client is told what it has used, then it is told and settled."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from msgspec import Struct

from gateway.model.provider_errors import ProviderFailure
from gateway.model.realtime_errors import SlowConsumer
from gateway.model.realtime_events import ServerEvent, error_event, summary_event
from gateway.model.realtime_session import Admitted
from gateway.pipeline.conclude import conclude
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.realtime_books import SessionBooks
from gateway.pipeline.realtime_hall import Over
from gateway.pipeline.realtime_outgoing import Outgoing, SlowClient
from gateway.ports import World
from gateway.realtime_ports import Clients, ClientUnreachable

LAST_WORDS_S = 5.0
"""For the client to take what it is told."""


class Farewell(Struct, frozen=True):
    """`speaking`: what gives the client what is in `outgoing`."""

    admitted: Admitted
    exchange: Exchange
    outgoing: Outgoing
    speaking: asyncio.Task[None]
    clients: Clients
    world: World

    async def take(self, over: Over, books: SessionBooks | None) -> None:
        """Raises Fenced, StorageUnavailable (503). May be repeated by another: what is told twice has the same id, and
        what is held is settled once. `books`: None of a session that never began.
        """
        exchange = self.exchange
        if books is not None:
            await books.lose()
            exchange.attempts = books.attempts(has_failed=isinstance(over.failure, ProviderFailure))
        if not over.is_left:
            await self._last_words(over, books)
            with suppress(ClientUnreachable):
                await self.clients.close(self.admitted.link)
        exchange.error = over.failure
        exchange.status = over.failure.status if over.failure else 200
        await conclude(exchange, self.world)

    async def _last_words(self, over: Over, books: SessionBooks | None) -> None:
        if self.speaking.done():
            return
        if isinstance(over.failure, SlowConsumer):
            self.outgoing.drop()
        with suppress(SlowClient):
            if over.told is not None:
                self.outgoing.put(error_event(over.told, f"event_{self.admitted.id}_error"))
            if books is not None:
                self.outgoing.put(self._summary(books))
        drained = asyncio.create_task(self.outgoing.drained())
        await asyncio.wait({drained, self.speaking}, timeout=LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()
        await asyncio.gather(drained, return_exceptions=True)

    def _summary(self, books: SessionBooks) -> ServerEvent:
        admitted, cost = self.admitted, books.cost_nano_usd
        seconds = round(self.world.clock.now_s() - admitted.arrived_s)
        name = f"event_{admitted.id}_summary"
        return summary_event(name, admitted.request_id, books.usage, seconds=seconds, cost_nano_usd=cost)
