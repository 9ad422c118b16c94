"""Names of tools: the consumer's own, which may be a GTS id, and one that every provider takes.

The second is computed from the first alone, so a conversation can go on later, elsewhere and on another provider.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.gts.ids import NAMESPACE, SCHEME, MalformedId, parse
from gateway.model.chat import ToolCall
from gateway.model.reply import Chunk, ChunkChoice, Reply, ReplyMessage, ToolCallDelta

_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Gemini's rule is the narrowest: a name begins with a letter or an underscore.
https://ai.google.dev/api/caching#FunctionDeclaration"""
_UNSAFE_CHAR = re.compile(r"[^A-Za-z0-9_-]")
_STEM_CHARS = 64 - len("_") - 8


def provider_name(name: str) -> str:
    """The name itself where every provider takes it, else a readable stem and 8 digits of the UUID of the whole."""
    if _SAFE.fullmatch(name):
        return name
    try:
        gts_id = parse(name.removeprefix(SCHEME))
    except MalformedId:
        return _with_digest(_UNSAFE_CHAR.sub("_", name), uuid.uuid5(NAMESPACE, name))
    return _with_digest(gts_id.segments[-1].type, gts_id.uuid)


def _with_digest(stem: str, identity: uuid.UUID) -> str:
    begun = stem if stem[:1].isalpha() or stem.startswith("_") else f"_{stem}"
    return f"{begun[:_STEM_CHARS]}_{identity.hex[:8]}"


class Names(Struct, frozen=True):
    """`own`: the consumer's name by the provider's, where they differ.

    `used`: the id that served, by the id that a tool asked for, where that left the minor version open.
    """

    own: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, str] = field(default_factory=dict)

    def back(self, name: str) -> str:
        """What the consumer calls the tool that the provider calls so."""
        return self.own.get(name, name)

    def in_reply(self, reply: Reply) -> Reply:
        if not self.own:
            return reply
        choices = [replace(choice, message=self._in_message(choice.message)) for choice in reply.choices]
        return replace(reply, choices=choices)

    def in_chunk(self, chunk: Chunk) -> Chunk:
        if not self.own or not any(choice.delta.tool_calls for choice in chunk.choices):
            return chunk
        return replace(chunk, choices=[self._in_choice(choice) for choice in chunk.choices])

    def _in_message(self, message: ReplyMessage) -> ReplyMessage:
        return replace(message, tool_calls=[self._in_call(call) for call in message.tool_calls or ()] or None)

    def _in_call(self, call: ToolCall) -> ToolCall:
        return replace(call, function=replace(call.function, name=self.back(call.function.name)))

    def _in_choice(self, choice: ChunkChoice) -> ChunkChoice:
        pieces = choice.delta.tool_calls
        if not pieces:
            return choice
        return replace(choice, delta=replace(choice.delta, tool_calls=[self._in_piece(piece) for piece in pieces]))

    def _in_piece(self, piece: ToolCallDelta) -> ToolCallDelta:
        if piece.function is None or piece.function.name is None:
            return piece
        return replace(piece, function=replace(piece.function, name=self.back(piece.function.name)))
