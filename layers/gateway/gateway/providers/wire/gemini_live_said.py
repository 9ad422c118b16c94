"""What a client says in OpenAI's words, as the messages of Gemini Live.

Source: https://ai.google.dev/api/live#bidigeneratecontentclientmessage (2026-11)
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.realtime import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    CommitAudio,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ProviderEvent,
    RetrieveItem,
    SessionConfig,
    TruncateItem,
)
from gateway.model.realtime_events import ServerEvent
from gateway.model.realtime_items import FunctionCallItem, FunctionOutputItem, InputAudio, Item, MessageItem
from gateway.providers.contract.realtime import Carried
from gateway.providers.wire.gemini_live_hearing import Hearing
from gateway.providers.wire.gemini_live_setup import audio_input, input_rate_hz
from gateway.providers.wire.realtime_history import History
from gateway.providers.wire.realtime_turn import Ids, Turn, item_events

SAMPLE_BYTES = 2
PCM_BYTES_PER_MS = 48


class Said(msgspec.Struct):
    """`cancels`: the response that is under way is not wanted any more."""

    messages: list[Json] = msgspec.field(default_factory=list)
    events: list[ServerEvent] = msgspec.field(default_factory=list)
    cancels: bool = False


class Client:
    """`held`: texts that go out with the next thing that needs an answer. `calls`: names by the calls that are open.

    `is_awaiting`: an answer is owed. `has_activity`: the client said that the user speaks, and not yet that they are
    done.

    `_has_outputs`: of some of the calls that the model has made last. `_is_unasked`: it answers them, or has, and the
    client will ask for that answer, as OpenAI's clients do.
    """

    def __init__(self, hearing: Hearing, history: History, ids: Ids, carried: Carried) -> None:
        self._hearing, self._history, self._ids = hearing, history, ids
        self.held: list[Json] = list(carried.held)
        self.calls: dict[str, str] = dict(carried.calls)
        self.is_awaiting = self.has_activity = False
        self._is_answering_calls = self._has_outputs = self._has_asked = self._is_unasked = False
        self._withdrawn: set[str] = set()
        self._interrupted: dict[str, int] = {}
        self._metadata: object = None
        self._by_type: dict[type, Callable[[Any, SessionConfig, Turn | None], Said]] = {
            AppendAudio: self._append,
            CommitAudio: self._commit,
            ClearAudio: self._clear,
            CreateItem: self._create,
            TruncateItem: self._truncate,
            CreateResponse: self._respond,
            CancelResponse: self._cancel,
            DeleteItem: self._keep,
            RetrieveItem: self._keep,
        }

    def say(self, event: ProviderEvent, config: SessionConfig, turn: Turn | None) -> Said:
        """`turn`: the response that is under way."""
        return self._by_type[type(event)](event, config, turn)

    def answered(self) -> object:
        """The model has begun to answer. Gives the metadata of the request for it."""
        metadata, self._metadata = self._metadata, None
        self._is_unasked = self._is_answering_calls and not self._has_asked
        self.is_awaiting = self._is_answering_calls = self._has_outputs = self._has_asked = False
        return metadata

    def interrupted(self, turn: Turn) -> None:
        if turn.message_id is not None:
            self._interrupted[turn.message_id] = turn.sound_bytes

    def withdraw(self, call_ids: Iterable[str]) -> None:
        """The model does not want the outputs of these calls any more."""
        for call_id in call_ids:
            self.calls.pop(call_id, None)
            self._withdrawn.add(call_id)

    # -- by event ---------------------------------------------------------------------------------------------------

    def _append(self, event: AppendAudio, config: SessionConfig, _turn: Turn | None) -> Said:
        """Google resamples what has another rate than 16 kHz: https://ai.google.dev/gemini-api/docs/live-guide"""
        rate_hz = input_rate_hz(config)
        try:
            size = len(a2b_base64(event.audio, strict_mode=True))
        except ValueError:
            raise InvalidRequest("'audio' is base64.", param="audio") from None
        messages = self._flush()
        if audio_input(config).turn_detection is None and not self.has_activity:
            self.has_activity, self._is_unasked = True, False
            messages.append({"realtimeInput": {"activityStart": {}}})
        self._hearing.ms += size * 1000 / (SAMPLE_BYTES * rate_hz)
        sound = {"mimeType": f"audio/pcm;rate={rate_hz}", "data": event.audio}
        return Said([*messages, {"realtimeInput": {"audio": sound}}])

    def _commit(self, _event: CommitAudio, config: SessionConfig, _turn: Turn | None) -> Said:
        """Where Gemini itself detects turns, it is told that no more sound comes for now."""
        if not self._hearing.has_sound:
            raise InvalidRequest("No sound has come since the last commit.", param="type")
        self._is_unasked = False
        if audio_input(config).turn_detection is not None:
            return Said([{"realtimeInput": {"audioStreamEnd": True}}])
        return Said(events=self._hearing.commit(self._history.last_id, detected=False))

    def _clear(self, _event: ClearAudio, _config: SessionConfig, _turn: Turn | None) -> Said:
        if self._hearing.has_sound:
            raise CapabilityNotSupported("Gemini hears sound as it comes: it cannot be taken back.", param="type")
        return Said(events=[self._ids.event("input_audio_buffer.cleared")])

    def _create(self, event: CreateItem, _config: SessionConfig, _turn: Turn | None) -> Said:
        if event.previous_item_id is not None and event.previous_item_id != self._history.last_id:
            raise CapabilityNotSupported("Gemini takes items at the end only.", param="previous_item_id")
        said = Said()
        if isinstance(event.item, FunctionOutputItem):
            said.messages += self._output(event.item)
        else:
            self.held.append(_content(event.item))
            self._is_unasked = False
        item_id = event.item.id or self._ids.new("item")
        item = {**msgspec.to_builtins(event.item), "id": item_id, "object": "realtime.item", "status": "completed"}
        said.events += item_events(self._ids, item, self._history.last_id)
        return said

    def _output(self, item: FunctionOutputItem) -> list[Json]:
        if item.call_id in self._withdrawn:
            return []
        name = self.calls.pop(item.call_id, None)
        if name is None:
            raise InvalidRequest("No such call is open.", param="item.call_id")
        self.is_awaiting = self._is_answering_calls = not self.calls
        self._has_outputs = True
        response = {"id": item.call_id, "name": name, "response": {"output": item.output}}
        return [*self._flush(), {"toolResponse": {"functionResponses": [response]}}]

    def _respond(self, event: CreateResponse, config: SessionConfig, turn: Turn | None) -> Said:
        """After the outputs of all calls Gemini goes on by itself, maybe before the client asks for it."""
        self._check_options(event, config)
        if self._is_unasked:
            self._is_unasked = False
            return Said()
        if turn is not None:
            raise InvalidRequest("A response is under way already.", param="type")
        self._metadata = event.response.metadata if event.response else None
        if self._is_answering_calls or self._lacks_outputs():
            self._has_asked = self._is_answering_calls
            return Said()
        self.is_awaiting = True
        if self.has_activity and not self._hearing.has_sound:
            self.has_activity = False
            return Said([*self._flush(), {"realtimeInput": {"activityEnd": {}}}])
        content = {"turns": self.held, "turnComplete": True} if self.held else {"turnComplete": True}
        self.held = []
        return Said([{"clientContent": content}])

    def _lacks_outputs(self) -> bool:
        """Whether the answer waits for those of other calls. Raises InvalidRequest where it waits for all of them."""
        if not self.calls or self.held or self.has_activity:
            return False
        if not self._has_outputs:
            raise InvalidRequest("Gemini goes on when it has the outputs of its calls.", param="type")
        return True

    def _check_options(self, event: CreateResponse, config: SessionConfig) -> None:
        """What the session has anyway may be said again."""
        for name in event.response.__struct_fields__ if event.response else ():
            wanted = getattr(event.response, name)
            same = wanted == getattr(config, name, None) or (name == "output_modalities" and wanted == ["audio"])
            if wanted is not None and name != "metadata" and not same and (name, wanted) != ("conversation", "auto"):
                raise CapabilityNotSupported(
                    "Gemini takes no options for one response; update the session.", param=f"response.{name}"
                )

    def _cancel(self, _event: CancelResponse, _config: SessionConfig, turn: Turn | None) -> Said:
        """Gemini has no word for it: what it says until the end of its turn is not passed on."""
        if turn is None:
            raise InvalidRequest("No response is under way.", param="type")
        return Said(cancels=True)

    def _truncate(self, event: TruncateItem, _config: SessionConfig, _turn: Turn | None) -> Said:
        """When the user interrupts, Gemini forgets what it had not sent yet; it cannot be told to forget more."""
        sound_bytes = self._interrupted.get(event.item_id)
        if sound_bytes is None:
            raise CapabilityNotSupported(
                "Gemini shortens only what the user has interrupted, and does so itself.", param="item_id"
            )
        self._history.shorten(event.item_id, event.audio_end_ms * PCM_BYTES_PER_MS / max(1, sound_bytes))
        place = {name: getattr(event, name) for name in ("item_id", "content_index", "audio_end_ms")}
        return Said(events=[self._ids.event("conversation.item.truncated", **place)])

    def _keep(self, event: DeleteItem | RetrieveItem, _config: SessionConfig, _turn: Turn | None) -> Said:
        what = "deleted" if isinstance(event, DeleteItem) else "retrieved"
        raise CapabilityNotSupported(f"Items of a session with Gemini cannot be {what}.", param="type")

    def _flush(self) -> list[Json]:
        held, self.held = self.held, []
        return [{"clientContent": {"turns": held, "turnComplete": False}}] if held else []


def contents(items: Iterable[Json]) -> list[Json]:
    """Of items as they are carried."""
    told: list[Json] = []
    for item in items:
        if item["type"] == "function_call":
            told.append(_content(FunctionCallItem(name=item["name"], arguments=item["arguments"])))
        elif item["type"] == "function_call_output":
            told.append({"role": "user", "parts": [{"text": f"[Output of a function: {item['output']}]"}]})
        else:
            role = "model" if item["role"] == "assistant" else "user"
            told.append({"role": role, "parts": [{"text": part["text"]} for part in item["content"]]})
    return told


def _content(item: Item) -> Json:
    """Raises CapabilityNotSupported for what the conversation of a Live session cannot hold."""
    if isinstance(item, FunctionCallItem):
        return {"role": "model", "parts": [{"text": f"[Call of the function {item.name}: {item.arguments}]"}]}
    if not isinstance(item, MessageItem) or item.role == "system":
        raise CapabilityNotSupported("Gemini takes no system messages: send instructions.", param="item.role")
    parts: list[Json] = []
    for at, part in enumerate(item.content):
        if isinstance(part, InputAudio):
            raise CapabilityNotSupported("Send sound by input_audio_buffer.append.", param=f"item.content[{at}].type")
        parts.append({"text": part.text})
    return {"role": "model" if item.role == "assistant" else "user", "parts": parts}
