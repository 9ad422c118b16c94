"""A chat with a model that speaks: what was said is the text, the reply is the recording."""

from __future__ import annotations

from base64 import b64encode
from contextlib import aclosing

from msgspec import Struct

from gateway.model.catalog import SpeechFacts
from gateway.model.chat import ChatCall, Json
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.reply import Choice, Reply, ReplyMessage
from gateway.model.speech import CONTENT_TYPES, SpeechCall
from gateway.model.tenant import Principal
from gateway.model.wav import with_sizes
from gateway.pipeline.by_chat import handed_on, refuse_all_but, words_of
from gateway.pipeline.candidates import Candidates
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of
from gateway.pipeline.hooks import Chain
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import SPEECH, resolve
from gateway.pipeline.speech import SpeechPlan, plan_speech, whole
from gateway.pipeline.speech_stream import Recording
from gateway.ports import World

HONOURED = frozenset({"audio", "modalities"})
FORMATS = {"pcm16": "pcm"}
"""Chats call it otherwise."""
PLACES = {"input": "messages", "voice": "audio.voice", "response_format": "audio.format"}


class SpeechByChat(Struct, frozen=True):
    planned: Candidates[SpeechPlan]

    @property
    def demand(self) -> Demand:
        return self.planned.demand

    async def made(self, chain: Chain, exchange: Exchange, world: World) -> Reply:
        async def spoken(planned: SpeechPlan, attempt: Attempt) -> bytes:
            recording = Recording(planned.call, attempt, chain, exchange, world)
            async with aclosing(recording.pieces()) as pieces:
                return with_sizes(await whole(pieces))

        sound = await answer_of(self.planned, spoken, exchange, world, spare_s=chain.spare_s)
        entry = {
            "type": "audio",
            "content_type": self.planned.asked.content_type,
            "data": b64encode(sound).decode(),
        }
        message = ReplyMessage(content=None, media=[entry])
        return Reply(choices=[Choice(index=0, message=message, finish_reason="stop")], usage=exchange.usage)


async def plan(call: ChatCall, principal: Principal, world: World) -> SpeechByChat:
    """Raises CapabilityNotSupported or InvalidRequest (400), and what `plan_speech` does."""
    refuse_all_but(call, HONOURED, "speech")
    if call.modalities and "audio" not in call.modalities:
        raise CapabilityNotSupported(f"{call.model} makes speech only.", param="modalities")
    route = resolve(SPEECH, call.model, principal, world.catalog, world.clock.now_s())
    asked = SpeechCall(
        input=words_of(call, "speech"),
        **_as_chosen(call, route.facts.speech),
        **handed_on(call),
    )
    try:
        return SpeechByChat(await plan_speech(asked, principal, world))
    except InvalidRequest as error:
        error.param = PLACES.get(error.param or "", error.param)
        raise


def _as_chosen(call: ChatCall, facts: SpeechFacts | None) -> Json:
    """OpenAI's `audio` of a chat; without a voice in it the model's own first one."""
    audio = call.audio or {}
    voice = audio.get("voice") or next(iter(facts.voices if facts else ()), None)
    if not isinstance(voice, str):
        raise InvalidRequest(f"{call.model} needs a voice.", param="audio.voice")
    wanted = audio.get("format")
    if wanted is None:
        return {"voice": voice}
    form = FORMATS.get(str(wanted), str(wanted))
    if form not in CONTENT_TYPES:
        raise InvalidRequest(f"The formats of recordings are {', '.join(CONTENT_TYPES)}.", param="audio.format")
    return {"voice": voice, "response_format": form}
