"""A chat with a model that writes recordings down: the recording in it is the file, its text the prompt."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from gateway.model.chat import AudioPart, ChatCall, FilePart, InputAudioPart, Part, TextPart
from gateway.model.errors import CapabilityNotSupported, GatewayError, InvalidRequest
from gateway.model.reply import Choice, Reply, ReplyMessage
from gateway.model.tenant import Principal
from gateway.model.transcription import TranscriptionCall
from gateway.pipeline.by_chat import handed_on, refuse_all_but, words_of
from gateway.pipeline.candidates import Candidates
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.meters import Demand
from gateway.pipeline.parts import Spot, parts_of, with_parts
from gateway.pipeline.transcription import TranscriptionPlan, made_transcript, plan_transcription
from gateway.pipeline.transcription_read import AskedTranscription
from gateway.ports import World

HONOURED = frozenset({"temperature", "modalities"})


class TranscriptionByChat(Struct, frozen=True):
    """`param`: where the recording stands in the chat."""

    planned: Candidates[TranscriptionPlan]
    param: str

    @property
    def demand(self) -> Demand:
        return self.planned.demand

    async def made(self, chain: Chain, exchange: Exchange, world: World) -> Reply:
        with _placed(self.param):
            _, made = await made_transcript(self.planned, chain, exchange, world)
        message = ReplyMessage(content=made.text)
        return Reply(choices=[Choice(index=0, message=message, finish_reason="stop")], usage=exchange.usage)


async def plan(call: ChatCall, principal: Principal, world: World) -> TranscriptionByChat:
    """Raises CapabilityNotSupported or InvalidRequest (400), and what `plan_transcription` does."""
    refuse_all_but(call, HONOURED, "transcripts")
    if call.modalities and call.modalities != ["text"]:
        raise CapabilityNotSupported(f"{call.model} writes text only.", param="modalities")
    if call.temperature is not None and call.temperature > 1:
        raise InvalidRequest("The temperature of a transcript is at most 1.", param="temperature")
    spot, source, upload = _recording(call)
    asked = TranscriptionCall(
        file=source,
        prompt=_prompt(call, spot),
        temperature=call.temperature,
        **handed_on(call),
    )
    with _placed(spot.param):
        planned = await plan_transcription(AskedTranscription(asked, upload), principal, world)
    return TranscriptionByChat(planned, spot.param)


def _recording(call: ChatCall) -> tuple[Spot, str | None, bytes | None]:
    """The only part that is no text: where it is, or its bytes."""
    parts = [(spot, part) for spot, part in parts_of(call) if not isinstance(part, TextPart)]
    if len(parts) != 1:
        raise InvalidRequest(f"{call.model} takes one recording; the messages have {len(parts)}.", param="messages")
    spot, part = parts[0]
    source = _source(part)
    if source is None:
        raise CapabilityNotSupported(f"{call.model} takes recordings only.", param=spot.param)
    if not isinstance(part, InputAudioPart):
        return spot, source, None
    try:
        return spot, None, base64.b64decode(source, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The data is not base64.", param=spot.param) from None


def _source(part: Part) -> str | None:
    """None for what cannot be a recording."""
    if isinstance(part, InputAudioPart):
        return part.input_audio.data
    if isinstance(part, AudioPart):
        return part.url
    return (part.file.file_id or part.file.file_data) if isinstance(part, FilePart) else None


def _prompt(call: ChatCall, spot: Spot) -> str | None:
    """All that is said beside the recording."""
    rest = with_parts(call, {spot: TextPart(text="")})
    try:
        return words_of(rest, "transcripts")
    except CapabilityNotSupported:
        raise
    except InvalidRequest:
        return None


@contextmanager
def _placed(param: str) -> Iterator[None]:
    """Errors name the place in the chat."""
    places = {"file": param, "prompt": "messages"}
    try:
        yield
    except GatewayError as error:
        error.param = places.get(error.param or "", error.param)
        raise
