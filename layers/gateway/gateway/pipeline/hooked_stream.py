"""The chunks of a stream on their way past the hooks: held back whole where one may yet refuse them, else passed on."""

from __future__ import annotations

from gateway.hooks.chat_reply import ChatReply
from gateway.hooks.restored_chunks import RestoredChunks
from gateway.model.fold import fold
from gateway.model.reply import Chunk
from gateway.model.unfold import unfold
from gateway.pipeline.hooks import Chain


class HookedStream:
    """Of one chat. `model`: as the client is told it."""

    def __init__(self, chain: Chain, model: str) -> None:
        self._chain, self._model = chain, model
        self._restored = RestoredChunks(chain.masking) if chain.masking.restores else None
        self._kept: list[Chunk] = []

    def take(self, chunks: list[Chunk]) -> list[Chunk]:
        """What may go on now."""
        if self._chain.asks_about_replies:
            self._kept += chunks
        if self._chain.enforces_replies:
            return []
        return chunks if self._restored is None else self._restored.take(chunks)

    async def finish(self) -> list[Chunk]:
        """The rest of a stream that came to its end: as it came, where no hook changed it.

        Raises ResponseBlocked (403), HookUnavailable (503).
        """
        reply = ChatReply(fold(self._kept), self._model)
        if self._chain.enforces_replies:
            agreed = await self._chain.after(reply)
            return self._kept if agreed is reply else unfold(agreed.reply)
        if self._chain.asks_about_replies:
            await self._chain.after_stream(reply)
        return [] if self._restored is None else self._restored.finish()
