"""One call to a provider and the HTTP requests that it takes, the same for every capability."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from gateway.model.errors import GatewayError
from gateway.model.http import HttpRequest, HttpResponse, Sending
from gateway.model.provider_errors import ProviderFailure
from gateway.pipeline.contact import Contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.route import AnyRoute
from gateway.pipeline.slots import slot_of
from gateway.pipeline.through_circuit import through_circuit
from gateway.pipeline.watch import Watch
from gateway.ports import Clock, Incoming


def begin(route: AnyRoute, exchange: Exchange, clock: Clock, *, chances: int = 1) -> Attempt:
    """`chances`: as of an attempt."""
    now_s = clock.monotonic_s()
    attempt = Attempt(
        route,
        now_s,
        exchange.trace.headers(),
        until_s=exchange.ask_until_s,
        chances=chances,
        own_wait_s=exchange.own_wait_s,
        tenant_id=exchange.principal.tenant.id if exchange.principal else "",
        key_of=exchange.key_of(route.provider.name),
    )
    if exchange.attempts:
        first = exchange.attempts[0]
        attempt.late_s = now_s - first.started_s - (attempt.own_wait_s - first.own_wait_s)
    exchange.attempts.append(attempt)
    return attempt


@contextmanager
def ending(attempt: Attempt, clock: Clock) -> Iterator[None]:
    """Notes how and when an attempt ended, whatever made it end."""
    try:
        yield
    except GatewayError as error:
        attempt.error = error
        raise
    finally:
        attempt.ended_s = clock.monotonic_s()


@asynccontextmanager
async def answered(request: HttpRequest, reached: Contact, watch: Watch, sending: Sending) -> AsyncIterator[Incoming]:
    """A 2xx answer to a rendered request, once its head has come. `sending`: is told how far the request came. It is
    sent once more where the credential was not let in and there is another by now.

    Raises what the wire says that any other answer means, ProviderError (502), CircuitOpen and ProviderBusy (503) and
    ProviderTimeout (504).
    """
    watch.attempt.limit_s = watch.deadline_s
    async with AsyncExitStack() as stack:
        used = reached.credential
        if (most := used.max_concurrent) is not None:
            await stack.enter_async_context(slot_of(most, reached, watch))
        try:
            incoming = await stack.enter_async_context(_sent(request, reached, watch, sending))
        except ProviderFailure as failure:
            if not (failure.refuses_credential and await watch.within(reached.is_renewed(used, watch.world))):
                raise
            incoming = await stack.enter_async_context(_sent(request, reached, watch, sending))
        yield incoming


@asynccontextmanager
async def _sent(request: HttpRequest, reached: Contact, watch: Watch, sending: Sending) -> AsyncIterator[Incoming]:
    authorized = reached.authorized(request, watch.world.clock.now_s())
    async with AsyncExitStack() as stack:
        passage = stack.enter_context(through_circuit(reached, watch))
        incoming = await watch.wait(stack.enter_async_context(watch.world.outbound.open(authorized, sending)))
        passage.status = incoming.status
        if not 200 <= incoming.status < 300:
            raise reached.route.wire.fail(await _refusal(incoming, watch), reached.target)
        yield incoming


async def _refusal(incoming: Incoming, watch: Watch) -> HttpResponse:
    """An answer whose status says enough, when its words do not come."""
    try:
        return await watch.wait(incoming.whole())
    except ProviderFailure:
        return HttpResponse(incoming.status, incoming.headers)


async def ask(request: HttpRequest, reached: Contact, watch: Watch, sending: Sending) -> HttpResponse:
    """The whole answer. Raises as `answered`."""
    async with answered(request, reached, watch, sending) as incoming:
        return await watch.wait(incoming.whole())
