"""What a provider is asked about a batch of its own: each request with an answer that can be understood, or none."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NoReturn

from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpRequest, HttpResponse, Sending, StreamedBody
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderGone, ProviderTimeout, is_gone
from gateway.model.shipment import Shipment
from gateway.pipeline.batch_line import Lines
from gateway.pipeline.batch_line_native import Native, native_of
from gateway.ports import Incoming, World
from gateway.providers.contract import BatchState, Carrier, Step

SAY_S = 30.0
"""For an answer to a request that carries nothing large."""
CARRY_S = 600.0
"""For one that carries the whole input."""
IDLE_S = 60.0
"""Until an output begins, and between two pieces of it."""
NO_ROOM = (408, 409, 425, 429, 503, 529)
"""With which a provider says that it has made nothing, and that another time it may."""
Read = Callable[[], AsyncIterator[bytes]]


class RefusedForGood(Exception):
    """Another time would not help: `failure` is what has become of what was asked."""

    def __init__(self, failure: ProviderFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def reached(shipment: Shipment, of: Lines, world: World) -> Native:
    """As it was made. Raises ProviderError (502) where its provider is not to be reached so any more."""
    try:
        return await native_of(of, world, own_key=shipment.own_key)
    except CapabilityNotSupported as error:
        raise ProviderError(error.message) from None


async def send(
    step: Step, native: Native, read: Read, input_bytes: int, world: World, sending: Sending
) -> HttpResponse:
    """`read`: the input, from its beginning. Of one that broke off nothing has left, for nobody can have read it.

    Raises ProviderFailure where no answer comes, StorageUnavailable (503) where the input cannot be read.
    """
    try:
        if isinstance(step, Carrier):
            async with asyncio.timeout(CARRY_S):
                return await _carried(step, native, read, input_bytes, world, sending)
        async with asyncio.timeout(SAY_S):
            request = native.reached.authorized(step, world.clock.now_s())
            async with world.outbound.open(request, sending) as incoming:
                return await incoming.whole()
    except TimeoutError:
        raise _too_late(native) from None


async def _carried(
    carrier: Carrier, native: Native, read: Read, input_bytes: int, world: World, sending: Sending
) -> HttpResponse:
    is_whole = False

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal is_whole
        yield carrier.request.body
        async for data in read():
            yield data
        is_whole = True
        yield carrier.after

    request = native.reached.authorized(carrier.request, world.clock.now_s())
    streamed = StreamedBody(carrier.size_bytes(input_bytes), chunks)
    try:
        async with world.carriers.open(request, streamed, sending) as incoming:
            return await incoming.whole()
    finally:
        sending.has_left = sending.has_left and is_whole


async def uploaded(native: Native, read: Read, input_bytes: int, world: World) -> str | None:
    """The name of the file that holds the input; None where the batch itself carries it.

    Raises ProviderFailure, RefusedForGood, StorageUnavailable (503).
    """
    step: Step | str | None = native.wire.upload(input_bytes, native.target, secrets.token_hex(16))
    while step is not None and not isinstance(step, str):
        answer = await send(step, native, read, input_bytes, world, Sending())
        if not 200 <= answer.status < 300:
            await refuse(answer, native, world)
        step = native.wire.follow(answer, input_bytes, native.target)
    return step


async def refuse(answer: HttpResponse, native: Native, world: World) -> NoReturn:
    """Raises ProviderFailure for an answer by which another time it may go, else RefusedForGood."""
    failure: ProviderFailure = native.wire.fail(answer, native.target)
    if answer.status in NO_ROOM or answer.status >= 500 or await _is_let_in_by_now(failure, native, world):
        raise failure
    raise RefusedForGood(failure)


async def _is_let_in_by_now(failure: ProviderFailure, native: Native, world: World) -> bool:
    return failure.refuses_credential and await native.reached.is_renewed(native.reached.credential, world)


async def said(request: HttpRequest, native: Native, world: World) -> HttpResponse:
    """A 2xx answer. Raises ProviderFailure, ProviderGone for what the provider does not know any more."""
    try:
        async with asyncio.timeout(SAY_S):
            answer = await native.reached.answer(request, world, native.wire.fail)
    except TimeoutError:
        raise _too_late(native) from None
    if is_gone(answer.status):
        raise ProviderGone(f"{native.target.provider} no longer knows the batch.")
    await _check(answer, native, world)
    return answer


async def state_at(remote_id: str, native: Native, world: World) -> BatchState:
    """Raises ProviderFailure."""
    return native.wire.state(await said(native.wire.look(remote_id, native.target), native, world), native.target)


async def made_before(label: str, native: Native, world: World) -> str | None:
    """How the provider calls the batch of this label, if it has one and tells. Raises ProviderFailure."""
    request = native.wire.recent(native.target)
    if request is None:
        return None
    return native.wire.labelled(await said(request, native, world), label, native.target)


@asynccontextmanager
async def output(name: str, native: Native, world: World) -> AsyncIterator[AsyncIterator[bytes]]:
    """Raises ProviderFailure, while it is read too."""
    request = native.reached.authorized(native.wire.results(name, native.target), world.clock.now_s())
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(IDLE_S):
                incoming = await stack.enter_async_context(world.outbound.open(request))
                answer = None if 200 <= incoming.status < 300 else await incoming.whole()
        except TimeoutError:
            raise _too_late(native) from None
        if answer is None:
            yield _read(incoming, native)
            return
    if is_gone(answer.status):
        raise ProviderGone(f"{native.target.provider} no longer has the results of the batch.")
    await _check(answer, native, world)


async def _read(incoming: Incoming, native: Native) -> AsyncIterator[bytes]:
    chunks = incoming.chunks()
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                data = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _too_late(native) from None
        yield data


async def _check(answer: HttpResponse, native: Native, world: World) -> None:
    """Raises ProviderFailure for all but 2xx; who asks again does so with the credential that stands by then."""
    if 200 <= answer.status < 300:
        return
    failure: ProviderFailure = native.wire.fail(answer, native.target)
    await _is_let_in_by_now(failure, native, world)
    raise failure


async def forget(remote_id: str | None, files: Iterable[str], native: Native, world: World) -> None:
    """What is not deleted its provider forgets by itself, if it does. `remote_id`: None where no batch is known."""
    with suppress(ProviderFailure):
        for request in native.wire.forget(remote_id, files, native.target):
            with suppress(ProviderFailure):
                await said(request, native, world)


def _too_late(native: Native) -> ProviderTimeout:
    return ProviderTimeout(f"{native.target.provider} did not answer in time.", phase="total")
