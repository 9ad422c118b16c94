"""One session with Gemini Live in the words of OpenAI's Realtime API."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gateway.model.chat import Json
from gateway.model.errors import InvalidRequest
from gateway.model.provider_errors import ProviderError
from gateway.model.realtime import ProviderEvent, SessionUpdate, updated
from gateway.model.realtime_events import ServerEvent
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Carried, Opening, Step, Used
from gateway.providers.wire.gemini_live_answer import MESSAGE, Call, Message, ServerContent
from gateway.providers.wire.gemini_live_hearing import Hearing
from gateway.providers.wire.gemini_live_said import Client, contents
from gateway.providers.wire.gemini_live_setup import audio_input, check_config, is_spoken, setup_message
from gateway.providers.wire.realtime_history import History
from gateway.providers.wire.realtime_turn import Ids, Status, Turn

_ENDS: dict[str, tuple[Status, str | None]] = {
    "TURN_COMPLETE_REASON_UNSPECIFIED": ("completed", None),
    "NEED_MORE_INPUT": ("completed", None),
    "MALFORMED_FUNCTION_CALL": ("failed", None),
}
UNCONFIGURED: Json = {
    "instructions": "",
    "output_modalities": ["audio"],
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
}
"""As OpenAI's sessions begin."""
_WITHHELD: tuple[Status, str | None] = ("incomplete", "content_filter")


class GeminiLiveSession:
    """The configuration goes out with the first thing that the client says beside it, for it cannot be changed later
    but over another connection; and nothing goes out before it is confirmed.
    """

    def __init__(self, opening: Opening, target: Target) -> None:
        self._opening, self._target = opening, target
        carried = opening.carried or Carried(config=opening.config)
        self._config, self._handle, self._is_resumable = carried.config, carried.handle, True
        self._ids = Ids(carried.made)
        self._history = History(carried.items)
        self._hearing = Hearing(self._ids)
        self._client = Client(self._hearing, self._history, self._ids, carried)
        self._turn: Turn | None = None
        self._turn_used: TokenUsage | None = None
        self._is_muted = False
        self._is_set_up = self._is_ready = False
        self._waiting: list[str] = []

    @property
    def is_quiet(self) -> bool:
        client = self._client
        busy = self._turn or self._is_muted or client.is_awaiting or client.calls or self._waiting
        return not busy and not self._hearing.is_open and not client.has_activity and self._is_resumable

    def open(self) -> Step:
        """Where Gemini does not remember the session itself, it is told what was said."""
        if self._opening.carried is None:
            return Step(events=(self._session_event("session.created"),))
        told = () if self._handle else contents(self._opening.carried.items)
        again: list[Json] = [{"clientContent": {"turns": list(told), "turnComplete": False}}] if told else []
        return Step(messages=self._outgoing(again))

    def send(self, event: ProviderEvent) -> Step:
        if isinstance(event, SessionUpdate):
            return self._update(event)
        said = self._client.say(event, self._config, self._turn)
        events = said.events
        if said.cancels and self._turn is not None:
            events += self._end_turn(self._turn, "cancelled", "client_cancelled")
            self._is_muted = True
        self._remember(events)
        return Step(messages=self._outgoing(said.messages), events=tuple(events), turn_ended=said.cancels)

    def receive(self, message: str | bytes) -> Step:
        try:
            said = MESSAGE.decode(message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{self._target.provider} sent a message that is not documented.") from None
        used = said.usage_metadata.tokens() if said.usage_metadata else None
        if used is not None:
            self._turn_used = used if self._turn_used is None else self._turn_used + used
        self._take_resumption(said)
        ready: tuple[str, ...] = ()
        if said.setup_complete is not None:
            self._is_ready, ready, self._waiting = True, tuple(self._waiting), []
        content = said.server_content or ServerContent()
        events, interrupted, ended = self._read_content(content)
        if said.tool_call is not None and not self._is_muted:
            events += self._read_calls(said.tool_call.function_calls)
            ended = True
        if said.tool_call_cancellation is not None:
            self._client.withdraw(said.tool_call_cancellation.ids)
        self._remember(events)
        return Step(
            messages=ready,
            events=tuple(events),
            used=(Used(used),) if used else (),
            turn_ended=ended,
            interrupted=interrupted,
            go_away_s=said.go_away.seconds if said.go_away else None,
        )

    def carried(self) -> Carried:
        return Carried(
            config=self._config,
            items=self._history.told(),
            handle=self._handle if self._is_resumable else None,
            held=tuple(self._client.held),
            calls=dict(self._client.calls),
            made=self._ids.made,
        )

    # -- what the client says ---------------------------------------------------------------------------------------

    def _update(self, event: SessionUpdate) -> Step:
        named = event.session.model
        if named is not UNSET and named not in (self._opening.model_name, self._target.model.id):
            raise InvalidRequest("The model of a session cannot be changed.", param="session.model")
        config = updated(self._config, replace(event.session, model=UNSET))
        check_config(config, self._target.model)
        changed = setup_message(config, self._target.model, None) != setup_message(
            self._config, self._target.model, None
        )
        self._config = config
        return Step(events=(self._session_event("session.updated"),), reconnect=changed and self._is_set_up)

    def _session_event(self, kind: str) -> ServerEvent:
        pcm = {"type": "audio/pcm", "rate": 24_000}
        session = {
            **UNCONFIGURED,
            **msgspec.to_builtins(self._config),
            "type": "realtime",
            "object": "realtime.session",
            "id": self._opening.session_id,
            "model": self._opening.model_name,
        }
        said = session.get("audio") or {}
        heard = {"format": pcm, "turn_detection": {"type": "server_vad"}, **(said.get("input") or {})}
        session["audio"] = {"input": heard, "output": {"format": pcm, **(said.get("output") or {})}}
        return self._ids.event(kind, session=session)

    def _outgoing(self, messages: Iterable[Json]) -> tuple[str, ...]:
        """What may be sent now; the rest waits until the configuration is confirmed."""
        encoded = [msgspec.json.encode(message).decode() for message in messages]
        if self._is_ready:
            return tuple(encoded)
        if not encoded and self._opening.carried is None:
            return ()
        self._waiting += encoded
        if self._is_set_up:
            return ()
        self._is_set_up = True
        return (msgspec.json.encode(setup_message(self._config, self._target.model, self._handle)).decode(),)

    def _remember(self, events: Iterable[ServerEvent]) -> None:
        for event in events:
            self._history.take(event)

    # -- what Gemini says -------------------------------------------------------------------------------------------

    def _take_resumption(self, said: Message) -> None:
        """A handle knows nothing of what is said after it."""
        if (update := said.session_resumption_update) is not None:
            self._is_resumable = update.resumable
            if update.resumable and update.new_handle:
                self._handle = update.new_handle

    def _read_content(self, content: ServerContent) -> tuple[list[ServerEvent], bool, bool]:
        """The events, whether the model was interrupted, and whether its turn is over."""
        events: list[ServerEvent] = []
        heard = content.input_transcription
        if heard is not None and heard.text and audio_input(self._config).transcription:
            events += self._hearing.transcript(heard.text)
        interrupted = content.interrupted and self._turn is not None
        if interrupted and self._turn is not None:
            self._client.interrupted(self._turn)
            events += [*self._hearing.end(), *self._hearing.speech()]
            events += self._end_turn(self._turn, "cancelled", "turn_detected")
            self._is_muted = True
        if not self._is_muted:
            events += self._read_answer(content)
        if content.turn_complete:
            events += self._complete(content.turn_complete_reason)
        return events, interrupted, interrupted or content.turn_complete

    def _read_answer(self, content: ServerContent) -> list[ServerEvent]:
        """Thoughts are not passed on: they are no part of what OpenAI's sessions say."""
        events: list[ServerEvent] = []
        for part in content.model_turn.parts if content.model_turn else ():
            if part.inline_data is not None and part.inline_data.data:
                turn, begun = self._begun()
                events += [*begun, *turn.sound(part.inline_data.data)]
            if part.text and not part.thought:
                turn, begun = self._begun()
                events += [*begun, *turn.text(part.text)]
        written = content.output_transcription
        if written is not None and written.text:
            turn, begun = self._begun()
            events += [*begun, *turn.text(written.text)]
        return events

    def _read_calls(self, calls: Iterable[Call]) -> list[ServerEvent]:
        """A response ends with its calls, as OpenAI's does; what the model makes of their outputs is another."""
        turn, events = self._begun()
        for call in calls:
            call_id = call.id or self._ids.new("call")
            self._client.calls[call_id] = call.name
            events += turn.call(call_id, call.name, msgspec.json.encode(call.args or {}).decode())
        return events + self._end_turn(turn, "completed", None) + self._hearing.end()

    def _begun(self) -> tuple[Turn, list[ServerEvent]]:
        """What the user said before becomes an item when the model begins to answer it."""
        if self._turn is not None:
            return self._turn, []
        self._is_resumable = False
        detected = audio_input(self._config).turn_detection is not None
        events = self._hearing.commit(self._history.last_id, detected=detected) if detected else []
        self._remember(events)
        self._turn = Turn(
            self._ids,
            spoken=is_spoken(self._config),
            previous_id=self._history.last_id,
            metadata=self._client.answered(),
        )
        return self._turn, [*events, *self._turn.begin()]

    def _end_turn(self, turn: Turn, status: Status, reason: str | None) -> list[ServerEvent]:
        events = turn.end(status, reason, self._turn_used)
        self._turn = self._turn_used = None
        return events

    def _complete(self, reason: str | None) -> list[ServerEvent]:
        """A response that was asked for is answered even where nothing was said."""
        self._is_muted, events = False, list[ServerEvent]()
        if self._turn is None and self._client.is_awaiting:
            _, events = self._begun()
        if self._turn is not None:
            status, why = _ENDS.get(reason, _WITHHELD) if reason else ("completed", None)
            events += self._end_turn(self._turn, status, why)
        self._turn_used = None
        return events + self._hearing.end()
