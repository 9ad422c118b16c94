"""A transcript as its provider writes it, whole or piece by piece, inside its time limits, and paid for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from gateway.hooks.transcription import TranscriptReply
from gateway.model.http import HttpRequest
from gateway.model.transcription import Sound, Transcript, TranscriptChunk, TranscriptionCall
from gateway.pipeline.account import Counted, account, account_interrupted
from gateway.pipeline.ask import answered, ask, ending
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.transcription_check import usage_of
from gateway.pipeline.watch import Watch
from gateway.ports import World


class Writing:
    """One transcript of one recording."""

    def __init__(
        self, call: TranscriptionCall, sound: Sound, attempt: Attempt, chain: Chain, exchange: Exchange, world: World
    ) -> None:
        self._call, self._sound, self._attempt, self._chain = call, sound, attempt, chain
        self._exchange, self._world = exchange, world
        self._written: list[str] = []
        self._transcript: Transcript | None = None

    async def made(self) -> Transcript:
        """Raises ProviderFailure."""
        attempt = self._attempt
        watch = Watch.of_whole(self._call, attempt, self._world)
        with account_interrupted(self._attempt, self._counted, self._exchange), ending(attempt, self._world.clock):
            request, reached = await self._request(watch)
            answer = await ask(request, reached, watch, attempt.sending)
            made: Transcript = attempt.route.wire.parse(answer, reached.target)
            self._transcript = made
        account(self._attempt, self._counted().usage, self._exchange)
        return made

    async def pieces(self) -> AsyncGenerator[TranscriptChunk, None]:
        """As they come, or all at once where a hook has to agree; the last one has the whole. Raises as `made`
        and `agreed`.
        """
        held = self._chain.enforces_replies
        with (
            account_interrupted(self._attempt, self._counted, self._exchange),
            ending(self._attempt, self._world.clock),
        ):
            async with aclosing(self._arriving()) as arriving:
                async for chunk in arriving:
                    self._written.append(chunk.delta)
                    self._transcript = chunk.whole or self._transcript
                    if chunk.delta and not held:
                        yield chunk
        account(self._attempt, self._counted().usage, self._exchange)
        await self._attempt.has_answered()
        assert self._transcript is not None  # noqa: S101 - a parser closes with the whole
        agreed = await self.agreed(self._transcript)
        if held:
            yield TranscriptChunk(agreed.text, agreed.logprobs)
        yield TranscriptChunk(whole=agreed if held else self._transcript)

    async def _arriving(self) -> AsyncGenerator[TranscriptChunk, None]:
        attempt = self._attempt
        watch = Watch.of_stream(self._call, attempt, self._world, self._chain.spare_s)
        request, reached = await self._request(watch)
        async with answered(request, reached, watch, attempt.sending) as incoming:
            parser = attempt.route.wire.stream(reached.target)
            arriving = aiter(incoming.chunks())
            while (data := await watch.wait(anext(arriving, None))) is not None:
                for chunk in parser.feed(data):
                    watch.has_content()
                    yield chunk
            for chunk in parser.close():
                yield chunk

    async def _request(self, watch: Watch) -> tuple[HttpRequest, Contact]:
        reached = await watch.within(contact(self._attempt, self._world))
        return self._attempt.route.wire.render(self._call, self._sound, reached.target), reached

    async def agreed(self, made: Transcript) -> Transcript:
        """What the tenant's hooks let of it. They see what the client is to get: with the times that it asked for, and
        no others. Raises ResponseBlocked (403), HookUnavailable (503).
        """
        timed = self._call.timed
        segments, words = made.segments if "segment" in timed else (), made.words if "word" in timed else ()
        shown = TranscriptReply(replace(made, segments=segments, words=words), self._attempt.route.model_id)
        return (await self._chain.after(shown)).transcript

    def _counted(self) -> Counted:
        """A model does no more than it writes, and time is paid by what was sent."""
        facts, written = self._attempt.route.facts, "".join(self._written)
        usage = usage_of(self._call, self._sound, facts, self._transcript, written)
        has_begun = bool(written) or self._transcript is not None
        return Counted(usage, has_begun, usage if has_begun or not usage.estimated else None)
