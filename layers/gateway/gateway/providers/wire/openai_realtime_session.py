"""One session with OpenAI's Realtime API: events go through, and what a new connection has to be told is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gateway.model.chat import Json
from gateway.model.errors import InvalidRequest
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.realtime import (
    ALaw,
    AppendAudio,
    Audio,
    AudioInput,
    AudioOutput,
    ClearAudio,
    CommitAudio,
    CreateResponse,
    MuLaw,
    ProviderEvent,
    ResponseOptions,
    SessionConfig,
    SessionUpdate,
    Transcription,
    TruncateItem,
    updated,
)
from gateway.model.realtime_events import SERVER_EVENTS, error_event
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Carried, Opening, Step, Used
from gateway.providers.wire.openai_chat_failure import interruption
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_realtime_usage import usage_of
from gateway.providers.wire.realtime_history import History

EXPIRED = "session_expired"
OF_THE_CONNECTION = ("expires_at", "client_secret")
REPLAY = "replay_"
"""How our own events begin, for errors name the event they answer."""
PCM_BYTES_PER_MS, G711_BYTES_PER_MS = 48, 8


def transcription_of(config: SessionConfig) -> Transcription | None:
    audio = config.audio if isinstance(config.audio, Audio) else Audio()
    written = audio.input.transcription if isinstance(audio.input, AudioInput) else None
    return written if isinstance(written, Transcription) else None


def in_openai_s_names(config: SessionConfig) -> SessionConfig:
    """The model that writes down may be named as everywhere in the gateway, after its provider."""
    written = transcription_of(config)
    if not (
        written and written.model and isinstance(config.audio, Audio) and isinstance(config.audio.input, AudioInput)
    ):
        return config
    named = replace(written, model=written.model.rpartition("/")[2])
    return replace(config, audio=replace(config.audio, input=replace(config.audio.input, transcription=named)))


class OpenAiRealtimeSession:
    def __init__(self, opening: Opening, target: Target, check: Callable[[SessionConfig, Target], None]) -> None:
        self._opening, self._target, self._check = opening, target, check
        self._told = opening.carried
        self._config = self._told.config if self._told else in_openai_s_names(opening.config)
        self._history = History(self._told.items if self._told else ())
        self._replayed = {item["id"] for item in (self._told.items if self._told else ())}
        self._hidden = {"session.created", "session.updated"} if self._told else set()
        self._is_answering = self._is_owed = self._is_speaking = self._has_sound = False
        self._beside: set[str] = set()
        self._owed_beside = 0
        self._spoken_bytes: dict[str, int] = {}

    @property
    def is_quiet(self) -> bool:
        answering = self._is_answering or self._is_owed or self._beside or self._owed_beside
        return not (answering or self._is_speaking or self._has_sound or self._replayed)

    def open(self) -> Step:
        """A new connection of an old session is told its configuration and the conversation. No response is asked for.

        Items keep their ids, so that the client may go on to speak of them.
        """
        if self._told is None:
            return Step() if self._config == SessionConfig() else Step(messages=(self._session_message(self._config),))
        items = [
            _message({"type": "conversation.item.create", "event_id": REPLAY + item["id"], "item": item})
            for item in self._told.items
        ]
        return Step(messages=(self._session_message(self._config), *items))

    def send(self, event: ProviderEvent) -> Step:
        if isinstance(event, SessionUpdate):
            return self._update(event)
        if isinstance(event, AppendAudio):
            self._has_sound = self._has_sound or not self._detects_turns
        elif isinstance(event, ClearAudio):
            self._has_sound = False
        elif isinstance(event, TruncateItem):
            heard_bytes = event.audio_end_ms * self._bytes_per_ms
            if spoken := self._spoken_bytes.get(event.item_id):
                self._history.shorten(event.item_id, heard_bytes / spoken)
        elif isinstance(event, CreateResponse):
            self._check_response(event.response)
            if event.response is not None and event.response.conversation == "none":
                self._owed_beside += 1
            else:
                self._is_owed = True
        elif isinstance(event, CommitAudio):
            self._has_sound = False
        return Step(messages=(_message(event),))

    def receive(self, message: str | bytes) -> Step:
        try:
            event: Json = msgspec.json.decode(message, type=dict[str, Any])
            return self._read(str(event.get("type")), event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError, KeyError):
            raise ProviderError(f"{self._target.provider} sent an event that is not documented.") from None

    def carried(self) -> Carried:
        return Carried(config=self._config, items=self._history.told())

    # -- what the client says ---------------------------------------------------------------------------------------

    def _update(self, event: SessionUpdate) -> Step:
        """The model cannot be changed, so that it is no more than confirmed."""
        named = event.session.model
        if named is not UNSET and named not in (self._opening.model_name, self._target.model.id):
            raise InvalidRequest("The model of a session cannot be changed.", param="session.model")
        self._check(updated(self._config, replace(event.session, model=UNSET)), self._target)
        told = in_openai_s_names(event.session)
        self._config = updated(self._config, replace(told, model=UNSET))
        return Step(messages=(self._session_message(told, event.event_id),))

    def _session_message(self, config: SessionConfig, event_id: str | None = None) -> str:
        session = replace(config, type="realtime", model=UNSET)
        return _message(SessionUpdate(session=session, event_id=event_id))

    def _check_response(self, options: ResponseOptions | None) -> None:
        if options is None:
            return
        audio = Audio(output=options.audio.output) if options.audio else UNSET
        config = SessionConfig(audio=audio, tools=options.tools or UNSET, reasoning=options.reasoning or UNSET)
        try:
            self._check(config, self._target)
        except InvalidRequest as refused:
            refused.param = (refused.param or "").replace("session", "response", 1)
            raise

    @property
    def _audio(self) -> Audio:
        return self._config.audio if isinstance(self._config.audio, Audio) else Audio()

    @property
    def _detects_turns(self) -> bool:
        return not (isinstance(self._audio.input, AudioInput) and self._audio.input.turn_detection is None)

    @property
    def _answers_by_itself(self) -> bool:
        vad = self._audio.input.turn_detection if isinstance(self._audio.input, AudioInput) else UNSET
        return self._detects_turns and getattr(vad, "create_response", None) is not False

    @property
    def _bytes_per_ms(self) -> int:
        spoken = self._audio.output.format if isinstance(self._audio.output, AudioOutput) else None
        return G711_BYTES_PER_MS if isinstance(spoken, MuLaw | ALaw) else PCM_BYTES_PER_MS

    # -- what the provider says -------------------------------------------------------------------------------------

    def _read(self, kind: str, event: Json) -> Step:
        if kind == "error":
            return self._error(event)
        if kind not in SERVER_EVENTS or self._is_hidden(kind, event):
            return Step()
        if kind in ("session.created", "session.updated"):
            return Step(events=(self._named(event),))
        self._history.take(event)
        self._follow(kind, event)
        if kind == "response.done":
            return self._done(event)
        if kind == "conversation.item.input_audio_transcription.completed":
            return Step(events=(event,), used=self._written_down(event))
        if kind == "conversation.item.input_audio_transcription.failed":
            return Step(events=(self._without_words(event),))
        return Step(events=(event,))

    def _follow(self, kind: str, event: Json) -> None:
        """Who is at it, and how much sound each item has."""
        if kind == "response.output_audio.delta":
            item_id = str(event["item_id"])
            self._spoken_bytes[item_id] = self._spoken_bytes.get(item_id, 0) + len(event["delta"]) * 3 // 4
        elif kind in ("response.created", "response.done"):
            self._answer(kind == "response.created", event["response"])
        elif kind == "input_audio_buffer.speech_started":
            self._is_speaking = True
        elif kind == "input_audio_buffer.committed":
            self._is_speaking, self._is_owed = False, self._answers_by_itself

    def _answer(self, begins: bool, response: Json) -> None:
        """Beside the conversation there may be several responses at once."""
        if not _is_beside(response):
            self._is_answering, self._is_owed = begins, False
        elif begins:
            self._beside.add(response["id"])
            self._owed_beside = max(0, self._owed_beside - 1)
        else:
            self._beside.discard(response["id"])

    def _is_hidden(self, kind: str, event: Json) -> bool:
        """What answers the replay of the conversation, of which the client knows."""
        if kind in self._hidden:
            self._hidden.discard(kind)
            return True
        item = event.get("item")
        if kind not in ("conversation.item.added", "conversation.item.done") or not isinstance(item, dict):
            return False
        if item.get("id") not in self._replayed:
            return False
        if kind == "conversation.item.done":
            self._replayed.discard(item["id"])
        return True

    def _named(self, event: Json) -> Json:
        """Under the names of the gateway, and without what ends with this connection: the session goes on."""
        session = {name: value for name, value in event["session"].items() if name not in OF_THE_CONNECTION}
        session |= {"id": self._opening.session_id, "model": self._opening.model_name}
        return {**event, "session": session}

    def _done(self, event: Json) -> Step:
        response: Json = event["response"]
        used = usage_of(response.get("usage"))
        if used is None and response.get("status") == "failed":
            used = TokenUsage()  # charged is what was made
        details = response.get("status_details") or {}
        if details.get("error"):
            event = {**event, "response": {**response, "status_details": self._without_words(details)}}
        return Step(
            events=(event,),
            used=() if used is None else (Used(used, is_beside=_is_beside(response)),),
            turn_ended=True,
            interrupted=details.get("reason") == "turn_detected",
        )

    def _written_down(self, event: Json) -> tuple[Used, ...]:
        used = usage_of(event.get("usage"))
        written = transcription_of(self._config)
        return (Used(used, written.model if written else None),) if used else ()

    def _error(self, event: Json) -> Step:
        """What the client asked for wrongly is told, of the rest that it failed."""
        error = event.get("error") or {}
        failed = self._failure(event)
        self._is_owed, self._owed_beside = False, 0
        cause = str(error.get("event_id") or "")
        if cause.startswith(REPLAY):
            self._replayed.discard(cause.removeprefix(REPLAY))
            return Step()
        if error.get("code") == EXPIRED:
            return Step(failure=ProviderError(f"{self._target.provider} ended the session.", provider_code=EXPIRED))
        return Step(events=(error_event(failed, str(event.get("event_id")), cause=cause or None),))

    def _failure(self, body: Json) -> ProviderFailure:
        """Codes are many, of which the type says whose fault they are."""
        error = body.get("error") or {}
        status = {"status": 400} if error.get("type") == "invalid_request_error" else {}
        return interruption({"error": {**error, **status}}, self._target, Quirks())

    def _without_words(self, said: Json) -> Json:
        """An error in our words: the provider's may speak of the gateway's own account."""
        failed = self._failure(said)
        return {**said, "error": {"type": failed.type, "code": failed.code, "message": failed.message}}


def _is_beside(response: Json) -> bool:
    """The conversation, which has no id for it."""
    return response.get("conversation_id", "") is None


def _message(event: ProviderEvent | Json) -> str:
    return msgspec.json.encode(event).decode()
