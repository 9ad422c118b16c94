"""Media that are too large to go inline: the provider gets them by its API for files before the call, and loses them
after it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import msgspec

from gateway.model.chat import ChatCall, LargePart
from gateway.model.errors import GatewayError
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderRefusedSize, ProviderRejected
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.parts import Spot, parts_of, with_parts
from gateway.pipeline.slots import placed
from gateway.pipeline.through_circuit import through_circuit
from gateway.pipeline.watch import Watch
from gateway.ports import World
from gateway.providers.contract import FileApi, RemoteFile

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
DELETE_S = 5.0


async def with_uploads(call: ChatCall, reached: Contact, watch: Watch, stack: AsyncExitStack) -> ChatCall:
    """The call with the provider's references in place of large media; all are sent before the first is waited for.

    The call's own place is taken before that, until `stack` is closed: else media would be sent in vain.

    Raises what the wire refuses the call with before anything is sent, ProviderFailure, and ProviderTimeout (504).
    """
    large = {spot: part for spot, part in parts_of(call) if isinstance(part, LargePart)}
    api = reached.route.provider.files
    if not large or api is None:
        return call
    reached.route.wire.render(call, reached.target)
    await stack.enter_async_context(placed(reached, watch))
    uploading = Uploading(api, reached, watch)
    sent = {spot: await uploading.send(part, spot) for spot, part in large.items()}
    parts = {spot: _referring(part, await uploading.ready(sent[spot], spot)) for spot, part in large.items()}
    return with_parts(call, parts)


class Uploading(msgspec.Struct, frozen=True):
    """The uploads of one attempt, which notes each as soon as the provider has it."""

    api: FileApi
    reached: Contact
    watch: Watch

    async def send(self, part: LargePart, spot: Spot) -> RemoteFile:
        media = StoredFile(part.data, part.content_type, part.file.filename or "")
        step: HttpRequest | RemoteFile = self.api.begin(media, self.reached.target, secrets.token_hex(16))
        while isinstance(step, HttpRequest):
            answer = await self._answer(step)
            with _of_the_part(spot):
                step = self.api.follow(self._taken(answer), media, self.reached.target)
        self.watch.attempt.uploads.append(step)
        return step

    async def ready(self, file: RemoteFile, spot: Spot) -> RemoteFile:
        """Looks again and again, less and less often. Raises the failure of a file that will never be ready."""
        pause_s = FIRST_PAUSE_S
        while not (file.is_ready or file.failure):
            await self.watch.wait(self.watch.world.clock.sleep(pause_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            answer = await self._answer(self.api.look(file, self.reached.target))
            with _of_the_part(spot):
                file = self.api.found(self._taken(answer), self.reached.target)
        if file.failure is not None:
            file.failure.param = spot.param
            raise file.failure
        return file

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        with through_circuit(self.reached, self.watch) as passage:
            answer = await self.watch.wait(_ask(request, self.reached, self.api, self.watch.world))
            passage.status = answer.status
            return answer

    def _taken(self, answer: HttpResponse) -> HttpResponse:
        if not _ok(answer):
            raise self.api.fail(answer, self.reached.target)
        return answer


async def delete_uploads(exchange: Exchange, world: World, *, goes_on: bool = False) -> None:
    """After the client has its answer, whatever it was. `goes_on`: the last attempt does, which may need its own. Never
    raises: what stays behind is recorded, and expires.
    """
    for attempt in exchange.attempts[: -1 if goes_on else None]:
        deleted = [await _deleted(file, attempt, world) for file in attempt.uploads]
        if not all(deleted):
            left = {"provider": attempt.route.provider.name, "files": deleted.count(False)}
            world.records.trouble("upload.left_behind", request_id=exchange.request_id, **left)


async def _deleted(file: RemoteFile, attempt: Attempt, world: World) -> bool:
    api = attempt.route.provider.files
    assert api is not None  # noqa: S101 - it took the file
    try:
        async with asyncio.timeout(DELETE_S):
            reached = await contact(attempt, world)
            answer = await _ask(api.delete(file, reached.target), reached, api, world)
            return _ok(answer) or answer.status == 404
    except (GatewayError, TimeoutError):
        return False


async def _ask(request: HttpRequest, reached: Contact, api: FileApi, world: World) -> HttpResponse:
    """The credential goes to the provider's base URL alone, not where an answer of it leads."""
    if request.url.startswith(f"{reached.target.base_url}/"):
        return await reached.answer(request, world, api.fail)
    async with world.outbound.open(request) as incoming:
        return await incoming.whole()


@contextmanager
def _of_the_part(spot: Spot) -> Iterator[None]:
    """What the provider refuses an upload for is told of the part that it was."""
    try:
        yield
    except (ProviderRejected, ProviderRefusedSize) as refusal:
        refusal.param = spot.param
        raise


def _referring(part: LargePart, file: RemoteFile) -> LargePart:
    named = msgspec.structs.replace(part.file, file_id=file.reference)
    return msgspec.structs.replace(part, file=named, data=b"")


def _ok(answer: HttpResponse) -> bool:
    return 200 <= answer.status < 300
