"""OpenAI's Realtime API (GA): https://developers.openai.com/api/reference/resources/realtime (2026-11)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Any

from local.simulators.live import Hangup, Live, Spoken, Taken
from local.simulators.providers.openai_realtime_usage import HEARD_MS, response_usage, written_usage
from local.simulators.script import count_tokens, next_id
from local.simulators.voice import Ear, Memory, Reply, words_of
from local.simulators.wire import Json, Refused, encode

RATE_HZ = 24_000
SAID_MS = 50
VAD: Json = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
PCM: Json = {"type": "audio/pcm", "rate": RATE_HZ}
MEMBERS = frozenset(
    {
        *("type", "instructions", "output_modalities", "audio", "tools", "tool_choice", "max_output_tokens"),
        *("parallel_tool_calls", "reasoning", "truncation", "include", "prompt", "tracing", "model"),
    }
)


class RealtimeSession(Live):
    """One conversation. ``armed``: switches of its first answer."""

    def __init__(self, model: str, armed: dict[str, str]) -> None:
        self.model = model
        self._armed = armed
        self._id = f"sess_sim{next_id():06}"
        heard = {"format": PCM, "turn_detection": VAD, "transcription": None}
        spoken = {"format": PCM, "voice": "alloy", "speed": 1.0}
        self._session: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self._id,
            "model": model,
            "instructions": "",
            "output_modalities": ["audio"],
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "audio": {"input": heard, "output": spoken},
        }
        self._ear = Ear(RATE_HZ, 500)
        self._memory = Memory(HEARD_MS, SAID_MS)
        self._items: dict[str, Json] = {}
        self._active: Json | None = None
        self._beside: dict[str, Json] = {}
        self._turn: tuple[str, bytes | None] = ("", None)
        self._results: list[str] = []
        self._heard_id: str | None = None
        self._by_type: dict[str, Callable[[Json], Taken]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create,
            "conversation.item.delete": self._delete,
            "conversation.item.retrieve": self._retrieve,
            "conversation.item.truncate": self._truncate,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }

    def begin(self) -> Iterable[Json]:
        return [_event("session.created", session=self._session)]

    def take(self, message: Json) -> Taken:
        handler = self._by_type.get(str(message.get("type")))
        if handler is None:
            unknown = Refused("wrong_type", f"Invalid value: '{message.get('type')}'.", param="type")
            return Taken([_error(unknown, message.get("event_id"))])
        try:
            return handler(message)
        except Refused as refused:
            return Taken([_error(refused, message.get("event_id"))])

    def failure(self, status: int) -> Iterable[Json]:
        """Of the server: the session goes on."""
        self._active = None
        error = {"type": "server_error", "code": None, "message": f"Simulated failure {status}.", "param": None}
        return [_event("error", error={**error, "event_id": None})]

    def going_away(self, _after_s: float) -> Iterable[Json]:
        """OpenAI does not warn: the session is over."""
        message = "Your session hit the maximum duration of 60 minutes."
        error = {"type": "invalid_request_error", "code": "session_expired", "message": message, "param": None}
        yield _event("error", error={**error, "event_id": None})
        raise Hangup(1001, message)

    # -- by event ---------------------------------------------------------------------------------------------------

    def _update(self, event: Json) -> Taken:
        session = dict(event.get("session") or {})
        if session.get("type") != "realtime":
            raise Refused("missing_parameter", "Missing required parameter: 'session.type'.", param="session.type")
        if unknown := sorted(set(session) - MEMBERS):
            name = f"session.{unknown[0]}"
            raise Refused("unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
        audio = session.pop("audio", None) or {}
        for side in ("input", "output"):
            wanted = audio.get(side) or {}
            if (wanted.get("format") or PCM).get("rate", RATE_HZ) != RATE_HZ:
                name = f"session.audio.{side}.format.rate"
                raise Refused("out_of_range", f"Invalid value for '{name}'.", param=name)
            self._session["audio"][side] |= wanted
        session.pop("model", None)
        self._session |= session
        vad = self._session["audio"]["input"]["turn_detection"]
        self._ear.silence_ms = None if vad is None else (vad.get("silence_duration_ms") or 500)
        return Taken([_event("session.updated", session=self._session)])

    def _append(self, event: Json) -> Taken:
        try:
            samples = b64decode(event["audio"], validate=True)
        except (KeyError, ValueError):
            raise Refused("wrong_type", "Invalid 'audio'. Expected base64.", param="audio") from None
        happened = self._ear.hear(samples)
        if happened == "started":
            self._heard_id = _new("item")
            started = _event("input_audio_buffer.speech_started", audio_start_ms=self._ear.ms, item_id=self._heard_id)
            broken = self._break_off("turn_detected") if self._vad.get("interrupt_response") is not False else []
            return Taken([started, *broken], interrupts=bool(broken))
        if happened != "stopped":
            return Taken()
        ended = _event("input_audio_buffer.speech_stopped", audio_end_ms=self._ear.ms, item_id=self._heard_id)
        messages = [ended, *self._take_turn()]
        if self._vad.get("create_response") is False:
            return Taken(messages)
        return self._answer({}, messages)

    def _commit(self, _event: Json) -> Taken:
        if not self._ear.has_sound:
            code = "input_audio_buffer_commit_empty"
            raise Refused("empty", "Error committing input audio buffer: the buffer is empty.", code=code)
        return Taken(self._take_turn())

    def _clear(self, _message: Json) -> Taken:
        self._ear.take()
        return Taken([_event("input_audio_buffer.cleared")])

    def _create(self, event: Json) -> Taken:
        item = dict(event.get("item") or {})
        item = {"id": item.get("id") or _new("item"), "object": "realtime.item", "status": "completed", **item}
        if item["id"] in self._items:
            raise Refused("wrong_type", f"Item with id '{item['id']}' already exists.", param="item.id")
        if item["type"] == "function_call_output":
            if item["call_id"] not in {one.get("call_id") for one in self._items.values()}:
                raise Refused("wrong_type", "No tool call found for function call output.", param="item.call_id")
            self._results.append(item["output"])
        if item["type"] == "message":
            self._read_message(item)
        else:
            self._memory.read(item.get("output") or item.get("arguments") or "")
        return Taken(self._added(item, event.get("previous_item_id") or self._last_id))

    def _delete(self, event: Json) -> Taken:
        self._known(event)
        del self._items[event["item_id"]]
        return Taken([_event("conversation.item.deleted", item_id=event["item_id"])])

    def _retrieve(self, event: Json) -> Taken:
        return Taken([_event("conversation.item.retrieved", item=self._known(event))])

    def _truncate(self, event: Json) -> Taken:
        self._known(event)
        place = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        return Taken([_event("conversation.item.truncated", **place)])

    def _respond(self, event: Json) -> Taken:
        options = dict(event.get("response") or {})
        if options.get("conversation") != "none" and self._active is not None:
            code = "conversation_already_has_active_response"
            raise Refused("wrong_type", "Conversation already has an active response.", code=code)
        return self._answer(options, [])

    def _cancel(self, message: Json) -> Taken:
        if (beside := self._beside.pop(str(message.get("response_id")), None)) is not None:
            return Taken([self._cancelled(beside, "client_cancelled")])
        broken = self._break_off("client_cancelled")
        if not broken:
            code = "response_cancel_not_active"
            raise Refused("wrong_type", "Cancellation failed: no active response found.", code=code)
        return Taken(broken, interrupts=True)

    # -- the conversation -------------------------------------------------------------------------------------------

    @property
    def _vad(self) -> Json:
        return self._session["audio"]["input"]["turn_detection"] or {}

    @property
    def _last_id(self) -> str | None:
        return next(reversed(self._items), None)

    def _known(self, event: Json) -> Json:
        if (item := self._items.get(event.get("item_id", ""))) is None:
            raise Refused("wrong_type", "The item does not exist.", param="item_id", code="item_not_found")
        return item

    def _read_message(self, item: Json) -> None:
        for part in item["content"]:
            if part["type"] == "input_audio":
                sound = b64decode(part["audio"])
                self._memory.hear(self._ear.ms_of(sound))
                self._turn = (words_of(sound, self._ear.ms_of(sound)), sound)
                part.pop("audio")
            else:
                self._memory.read(part["text"])
                if item["role"] == "user":
                    self._turn, self._results = (part["text"], None), []

    def _take_turn(self) -> list[Json]:
        sound = self._ear.take()
        ms = self._ear.ms_of(sound)
        words = words_of(sound, ms)
        self._memory.hear(ms)
        self._turn, self._results = (words, sound), []
        item_id, self._heard_id = self._heard_id or _new("item"), None
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
        before = self._last_id
        committed = _event("input_audio_buffer.committed", previous_item_id=before, item_id=item_id)
        return [committed, *self._added(item, before), *self._written_down(item_id, words, ms)]

    def _written_down(self, item_id: str, words: str, ms: int) -> list[Json]:
        if self._session["audio"]["input"].get("transcription") is None:
            return []
        place = {"item_id": item_id, "content_index": 0}
        kind = "conversation.item.input_audio_transcription"
        usage = written_usage(self._session["audio"]["input"]["transcription"].get("model") or "", words, ms)
        return [
            _event(f"{kind}.delta", **place, delta=words),
            _event(f"{kind}.completed", **place, transcript=words, usage=usage),
        ]

    def _added(self, item: Json, before: str | None) -> list[Json]:
        self._items[item["id"]] = item
        return [_event(f"conversation.item.{what}", previous_item_id=before, item=item) for what in ("added", "done")]

    # -- the answer -------------------------------------------------------------------------------------------------

    def _answer(self, options: Json, messages: list[Json]) -> Taken:
        tools = options.get("tools") or self._session["tools"]
        schemas = {tool["name"]: tool.get("parameters") for tool in tools}
        words, sound = self._turn
        reply = Reply(words, schemas, self._results, sound, self._armed)
        self._armed, self._results = {}, []
        before = count_tokens(self._session["instructions"]) + (len(encode(tools)) // 4 if tools else 0)
        spoken = (options.get("output_modalities") or self._session["output_modalities"]) == ["audio"]
        is_beside = options.get("conversation") == "none"
        active: Json = {
            "object": "realtime.response",
            "id": _new("resp"),
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "output_modalities": ["audio" if spoken else "text"],
            "usage": None,
            "metadata": options.get("metadata"),
            "conversation_id": None if is_beside else "conv_sim",
        }
        heard = (before + self._memory.text, self._memory.audio)
        answer = self._said(active, reply, heard, spoken=spoken)
        if not is_beside:
            self._active = active
            return Taken(messages, answer, reply.switches)
        self._beside[active["id"]] = active
        return Taken([next(answer).message], self._said_beside(active, answer), reply.switches)

    def _said_beside(self, active: Json, answer: Iterator[Spoken]) -> Iterator[Spoken]:
        """Several may begin at once; they go on one after the other, and leave nothing in the conversation."""
        for spoken in answer:
            if active["id"] not in self._beside:
                return
            if spoken.message["type"] == "response.done":
                del self._beside[active["id"]]
            if not spoken.message["type"].startswith("conversation."):
                yield spoken

    def _memory_of(self, active: Json) -> Memory:
        return self._memory if active["conversation_id"] else copy(self._memory)

    def _said(self, active: Json, reply: Reply, heard: tuple[int, int], *, spoken: bool) -> Iterator[Spoken]:
        yield Spoken(_event("response.created", response=dict(active)))
        text_tokens = sum(1 + count_tokens(call.arguments) for call in reply.calls) + len(reply.words)
        audio_tokens = 0
        if reply.calls:
            for at, call in enumerate(reply.calls):
                yield from self._call(active, at, call.number, call.name, call.arguments)
        else:
            yield from self._message(active, reply, spoken=spoken)
            audio_tokens = self._memory_of(active).speak(len(reply.sound) // 48 if spoken else 0)
        if self._active is active:
            self._active = None
        if not spoken:
            self._memory_of(active).read(reply.text)
        counted = response_usage(heard, (text_tokens, audio_tokens), reply.switches.cached_tokens)
        usage = None if reply.switches.usage == "none" else counted
        yield Spoken(_event("response.done", response={**active, "status": "completed", "usage": usage}))

    def _message(self, active: Json, reply: Reply, *, spoken: bool) -> Iterator[Spoken]:
        item: Json = {
            "id": _new("item"),
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        place = {"response_id": active["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        active["open"] = item["id"]
        yield from self._begun(active, 0, item)
        part: Json = {"type": "audio", "transcript": ""} if spoken else {"type": "text", "text": ""}
        yield Spoken(_event("response.content_part.added", **place, part=part))
        if spoken:
            for sound, words in reply.spoken():
                if words:
                    yield Spoken(_event("response.output_audio_transcript.delta", **place, delta=words))
                delta = b64encode(sound).decode()
                yield Spoken(_event("response.output_audio.delta", **place, delta=delta), content=True)
            yield Spoken(_event("response.output_audio.done", **place))
            yield Spoken(_event("response.output_audio_transcript.done", **place, transcript=reply.text))
            part = {**part, "transcript": reply.text}
        else:
            for words in reply.words:
                yield Spoken(_event("response.output_text.delta", **place, delta=words), content=True)
            yield Spoken(_event("response.output_text.done", **place, text=reply.text))
            part = {**part, "text": reply.text}
        yield Spoken(_event("response.content_part.done", **place, part=part))
        whole = {**item, "status": "completed", "content": [{**part, "type": f"output_{part['type']}"}]}
        yield from self._ended(active, 0, whole)

    def _call(self, active: Json, at: int, number: int, name: str, arguments: str) -> Iterator[Spoken]:
        call_id = f"call_sim{number:06}"
        item: Json = {"id": _new("item"), "type": "function_call", "status": "in_progress", "name": name}
        item |= {"call_id": call_id, "arguments": ""}
        place = {"response_id": active["id"], "item_id": item["id"], "output_index": at, "call_id": call_id}
        yield from self._begun(active, at, item)
        yield Spoken(_event("response.function_call_arguments.delta", **place, delta=arguments), content=True)
        done = {**place, "name": name, "arguments": arguments}
        yield Spoken(_event("response.function_call_arguments.done", **done))
        self._memory_of(active).read(arguments)
        yield from self._ended(active, at, {**item, "status": "completed", "arguments": arguments})

    def _begun(self, active: Json, at: int, item: Json) -> Iterator[Spoken]:
        place = {"response_id": active["id"], "output_index": at}
        yield Spoken(_event("response.output_item.added", **place, item=item))
        yield Spoken(_event("conversation.item.added", previous_item_id=self._last_id, item=item))

    def _ended(self, active: Json, at: int, item: Json) -> Iterator[Spoken]:
        before = self._last_id
        if active["conversation_id"]:
            self._items[item["id"]] = item
        active.pop("open", None)
        active["output"].append(item)
        yield Spoken(_event("conversation.item.done", previous_item_id=before, item=item))
        place = {"response_id": active["id"], "output_index": at}
        yield Spoken(_event("response.output_item.done", **place, item=item))

    def _break_off(self, reason: str) -> list[Json]:
        if (active := self._active) is None:
            return []
        self._active = None
        open_id = active.pop("open", None)
        messages: list[Json] = []
        if open_id:
            content: list[Any] = [{"type": "output_audio", "transcript": ""}]
            item = {"id": open_id, "type": "message", "status": "incomplete", "role": "assistant", "content": content}
            active["output"].append(item)
            messages = [_event("conversation.item.done", previous_item_id=self._last_id, item=item)]
            self._items[open_id] = item
        return [*messages, self._cancelled(active, reason)]

    def _cancelled(self, active: Json, reason: str) -> Json:
        details = {"type": "cancelled", "reason": reason}
        usage = response_usage((self._memory.text, self._memory.audio), (0, 0), 0)
        return _event(
            "response.done", response={**active, "status": "cancelled", "status_details": details, "usage": usage}
        )


def _new(kind: str) -> str:
    return f"{kind}_sim{next_id():06}"


def _event(kind: str, **members: Any) -> Json:
    return {"type": kind, "event_id": _new("event"), **members}


def _error(refused: Refused, cause: Any) -> Json:
    code = refused.code or ("unknown_parameter" if refused.kind == "unknown_parameter" else "invalid_value")
    error = {"type": "invalid_request_error", "code": code, "message": refused.message, "param": refused.param}
    return _event("error", error={**error, "event_id": cause})
