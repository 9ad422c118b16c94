"""OpenAI's Realtime API over WebSocket, whose words are the gateway's own.

Sources: https://developers.openai.com/api/docs/guides/realtime-websocket, `/realtime-conversations` (2026-11).
"""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.realtime import (
    OPENAI_RATE_HZ,
    Audio,
    AudioInput,
    AudioOutput,
    FunctionTool,
    Pcm,
    SessionConfig,
)
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Opening, RealtimeWire
from gateway.providers.wire.openai_chat_failure import refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_realtime_session import OpenAiRealtimeSession, in_openai_s_names, transcription_of
from gateway.providers.wire.realtime_socket import closed, socket_url

ONE_HOUR_S = 3_600


class OpenAiRealtime(Struct, frozen=True):
    """A session ends after an hour: https://developers.openai.com/api/docs/guides/realtime-conversations (2026-11)."""

    connection_s: int = ONE_HOUR_S
    unheard_s: int = 1

    def connect(self, target: Target) -> HttpRequest:
        url = f"{socket_url(target.base_url)}/realtime?model={quote(target.model.id, safe='')}"
        return HttpRequest("GET", url, {})

    def check(self, config: SessionConfig, target: Target) -> None:
        audio = config.audio if isinstance(config.audio, Audio) else Audio()
        for name, side in (("input", audio.input), ("output", audio.output)):
            sound = side.format if isinstance(side, AudioInput | AudioOutput) else None
            if isinstance(sound, Pcm) and sound.rate != OPENAI_RATE_HZ:
                raise CapabilityNotSupported(
                    f"{target.provider} takes and gives audio/pcm of {OPENAI_RATE_HZ} Hz only.",
                    param=f"session.audio.{name}.format.rate",
                )
        _check_writer(config, target)
        if config.reasoning and not target.model.can("reasoning"):
            raise CapabilityNotSupported(f"{target.model.id} does not reason.", param="session.reasoning")
        for at, tool in enumerate(config.tools or ()):
            if not isinstance(tool, FunctionTool):
                raise CapabilityNotSupported("Only functions go to the provider.", param=f"session.tools[{at}].type")

    def also_used(self, config: SessionConfig) -> tuple[str, ...]:
        written = transcription_of(in_openai_s_names(config))
        return (written.model,) if written and written.model else ()

    def session(self, opening: Opening, target: Target) -> OpenAiRealtimeSession:
        return OpenAiRealtimeSession(opening, target, self.check)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, Quirks())

    def closed(self, code: int, _reason: str, target: Target) -> ProviderFailure:
        return ProviderError(closed(target.provider, code), provider_code=str(code))


WIRE: RealtimeWire = OpenAiRealtime()


def _check_writer(config: SessionConfig, target: Target) -> None:
    written, param = transcription_of(config), "session.audio.input.transcription.model"
    if written is None:
        return
    if not written.model:
        raise InvalidRequest("Name the model that writes down what is said.", param=param)
    if "/" in written.model and not written.model.startswith(f"{target.provider}/"):
        raise CapabilityNotSupported(
            f"What is said to {target.provider} is written down by its own models.", param=param
        )
