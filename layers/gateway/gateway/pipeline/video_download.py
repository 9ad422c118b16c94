"""A finished video as it comes from where its provider keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from gateway.model.http import HttpRequest
from gateway.model.provider_errors import ProviderError, ProviderGone, is_gone
from gateway.pipeline.contact import Contact
from gateway.ports import Incoming, World

MAX_VIDEO_BYTES = 2 * 1024 * 1024 * 1024
DOWNLOAD_TIMEOUT_S = 240.0
NOT_LET_IN = 401
_REDIRECTS = (301, 302, 303, 307, 308)


@asynccontextmanager
async def opened(source: str, reached: Contact, world: World) -> AsyncIterator[AsyncIterator[bytes]]:
    """With the gateway's credential at the provider's own address only; everywhere else, and where that address leads
    on to, under the rules for strangers' URLs. Raises ProviderError (502), while it is read too;
    ProviderGone where there is nothing to be read.
    """
    request = reached.route.wire.download(source, reached.target)
    if request is not None:
        async with AsyncExitStack() as stack:
            used = reached.credential
            incoming = await stack.enter_async_context(_open(request, reached, world))
            if incoming.status == NOT_LET_IN and await reached.is_renewed(used, world):
                incoming = await stack.enter_async_context(_open(request, reached, world))
            if incoming.status not in _REDIRECTS:
                if incoming.status != 200:
                    raise _unreadable(incoming.status, reached)
                yield _bounded(incoming.chunks(), reached)
                return
            source = incoming.headers.get("location", "")
    async with world.downloads.open(source, MAX_VIDEO_BYTES, DOWNLOAD_TIMEOUT_S) as chunks:
        yield chunks


def _open(request: HttpRequest, reached: Contact, world: World) -> AbstractAsyncContextManager[Incoming]:
    return world.outbound.open(reached.authorized(request, world.clock.now_s()))


async def _bounded(chunks: AsyncIterator[bytes], reached: Contact) -> AsyncIterator[bytes]:
    read_bytes = 0
    async for chunk in chunks:
        read_bytes += len(chunk)
        if read_bytes > MAX_VIDEO_BYTES:
            raise ProviderError(f"The video of {reached.route.provider.name} is larger than {MAX_VIDEO_BYTES} bytes.")
        yield chunk


def _unreadable(status: int, reached: Contact) -> ProviderError:
    kind = ProviderGone if is_gone(status) else ProviderError
    return kind(f"The video of {reached.route.provider.name} cannot be read (status {status}).")
