"""One recording from its provider, piece by piece, inside its time limits, and paid for whatever comes of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from gateway.hooks.speech import SpeechReply
from gateway.model.provider_errors import ProviderError
from gateway.model.speech import CONTENT_TYPES, SpeechCall, SpeechChunk
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import Counted, account, account_interrupted
from gateway.pipeline.ask import answered, ending
from gateway.pipeline.contact import contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.speech_check import usage_of
from gateway.pipeline.watch import Watch, begins_s, total_s
from gateway.ports import World

MAX_SPEECH_BYTES = 128 * 1024 * 1024
"""Forty minutes of the largest format, as long as any model speaks."""


class Recording:
    """Pieces of audio as they come. `longest_ms`: what the whole may take at most."""

    def __init__(
        self, call: SpeechCall, longest_ms: int, attempt: Attempt, chain: Chain, exchange: Exchange, world: World
    ) -> None:
        self._call, self._attempt, self._chain, self._exchange, self._world = call, attempt, chain, exchange, world
        self._most_s = total_s(call, longest_ms, chain.spare_s + attempt.late_s)
        self._told: TokenUsage | None = None
        self._audio_bytes = 0

    async def agreed(self) -> AsyncGenerator[bytes, None]:
        """Pieces that the tenant's hooks have agreed to: all at once where one of them has to, after it has.

        Raises as `pieces`, ResponseBlocked (403), HookUnavailable (503).
        """
        held: list[bytes] = []
        async with aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                if self._chain.enforces_replies:
                    held.append(piece)
                else:
                    yield piece
        kind = CONTENT_TYPES[self._call.response_format or "mp3"]
        await self._chain.after(SpeechReply(self._attempt.route.model_id, kind, self._audio_bytes))
        if held:
            yield b"".join(held)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Nothing is asked before the first is. Raises ProviderFailure, also in the middle."""
        with (
            account_interrupted(self._attempt, self._counted, self._exchange),
            ending(self._attempt, self._world.clock),
        ):
            async with aclosing(self._arriving()) as arriving:
                async for chunks in arriving:
                    if audio := b"".join(self._noted(chunks)):
                        yield audio
        account(self._attempt, self._counted().usage, self._exchange)
        await self._attempt.has_answered()

    def _counted(self) -> Counted:
        usage = usage_of(self._call, self._attempt.route.facts, self._told)
        has_begun = bool(self._audio_bytes) or self._told is not None
        return Counted(usage, has_begun, None if usage.estimated else usage)

    async def _arriving(self) -> AsyncGenerator[list[SpeechChunk], None]:
        attempt, world, wire = self._attempt, self._world, self._attempt.route.wire
        first_s = begins_s(self._call, attempt)
        watch = Watch(attempt, world, attempt.started_s + min(first_s, self._most_s))
        watch.phase = "ttft" if first_s < self._most_s else "total"
        reached = await watch.within(contact(attempt, world))
        request = wire.render(self._call, reached.target)
        async with answered(request, reached, watch, attempt.sending) as incoming:
            parser = wire.parser(self._call, incoming.headers.get("content-type", ""), reached.target)
            arriving = aiter(incoming.chunks())
            while (data := await watch.wait(anext(arriving, None))) is not None:
                if chunks := [*parser.feed(data)]:
                    watch.deadline_s, watch.phase = attempt.started_s + self._most_s, "total"
                    yield chunks
            yield [*parser.close()]

    def _noted(self, chunks: Iterable[SpeechChunk]) -> Iterable[bytes]:
        for chunk in chunks:
            self._told = chunk.usage or self._told
            if chunk.audio and self._attempt.ttft_s is None:
                self._attempt.ttft_s = self._world.clock.monotonic_s() - self._attempt.started_s
            self._audio_bytes += len(chunk.audio)
            if self._audio_bytes > MAX_SPEECH_BYTES:
                raise ProviderError(f"{self._attempt.route.provider.name} sent a recording without end.")
            yield chunk.audio
