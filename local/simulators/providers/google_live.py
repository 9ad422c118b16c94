"""Gemini's Live API: https://ai.google.dev/api/live (2026-11). Messages in camel case or in snake case, for it takes
both.

A session may be gone on with by a handle, in any connection of the same process.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from local.simulators.live import Hangup, Live, Spoken, Taken
from local.simulators.script import count_tokens, next_id
from local.simulators.switches import build
from local.simulators.voice import Ear, Memory, Reply, words_of
from local.simulators.wire import UNKNOWN_MODEL, Json, encode

NATIVE_RATE_HZ = 16_000
MS_PER_TOKEN = 40
SILENCE_MS = 500
MAX_HANDLES = 200
SETUP = frozenset(
    {
        *("model", "generationConfig", "systemInstruction", "tools", "realtimeInputConfig", "sessionResumption"),
        *("contextWindowCompression", "inputAudioTranscription", "outputAudioTranscription", "proactivity"),
        *("historyConfig", "safetySettings", "explicitVadSignal", "labels", "avatarConfig"),
    }
)
OWN = ("args", "response", "parameters", "parametersJsonSchema", "parameters_json_schema")
_remembered: dict[str, Memory] = {}


class LiveSession(Live):
    """One connection. ``armed``: the faults for a model, which the first message names."""

    def __init__(self, armed: Callable[[str], dict[str, str]]) -> None:
        self.model = ""
        self._take_armed, self._armed = armed, dict[str, str]()
        self._setup: Json | None = None
        self._ear = Ear(NATIVE_RATE_HZ, SILENCE_MS)
        self._memory = Memory(MS_PER_TOKEN, MS_PER_TOKEN)
        self._is_speaking = False
        self._said: list[str] = []
        self._turn: tuple[str, bytes | None] = ("", None)
        self._calls: dict[str, str] = {}
        self._results: list[str] = []
        self._by_member: dict[str, Callable[[Json], Taken]] = {
            "setup": self._begin,
            "clientContent": self._content,
            "realtimeInput": self._input,
            "toolResponse": self._outputs,
        }

    def take(self, message: Json) -> Taken:
        said = _camel(message)
        [(member, value)] = said.items() if len(said) == 1 else [("", {})]
        handler = self._by_member.get(member)
        if handler is None or (self._setup is None) != (member == "setup"):
            raise Hangup(1007, "Request contains an invalid argument.")
        return handler(value)

    def failure(self, status: int) -> Iterable[Json]:
        raise Hangup(1011, f"Simulated failure {status}.")

    def going_away(self, after_s: float) -> Iterable[Json]:
        return [{"goAway": {"timeLeft": f"{after_s:g}s"}}]

    # -- by message -------------------------------------------------------------------------------------------------

    def _begin(self, setup: Json) -> Taken:
        self._setup = setup
        self.model = str(setup.get("model", "")).rpartition("/")[2]
        if unknown := sorted(set(setup) - SETUP):
            raise Hangup(1007, f"Invalid JSON payload received. Unknown name {unknown[0]!r} at 'setup'")
        if not self.model or self.model == UNKNOWN_MODEL:
            raise Hangup(1008, f"{setup.get('model')} is not found for API version v1beta.")
        self._armed = self._take_armed(self.model)
        if (switches := build(self._armed)).status and switches.error_after is None:
            raise Hangup(1011, f"Simulated failure {switches.status}.")
        detection = (setup.get("realtimeInputConfig") or {}).get("automaticActivityDetection") or {}
        silence_ms = detection.get("silenceDurationMs") or SILENCE_MS
        self._ear.silence_ms = None if detection.get("disabled") else silence_ms
        handle = (setup.get("sessionResumption") or {}).get("handle")
        if handle is not None:
            if handle not in _remembered:
                raise Hangup(1007, "Request contains an invalid argument.")
            self._memory.text, self._memory.audio = _remembered[handle].text, _remembered[handle].audio
        return Taken([{"setupComplete": {}}])

    def _content(self, content: Json) -> Taken:
        for turn in content.get("turns") or ():
            for part in turn.get("parts") or ():
                self._memory.read(part.get("text", ""))
                if turn.get("role") != "model":
                    self._said.append(part.get("text", ""))
        if not content.get("turnComplete"):
            return Taken()
        self._turn, self._said, self._results = ("\n".join(self._said[-1:]), None), [], []
        return self._answer([])

    def _input(self, said: Json) -> Taken:
        if "activityStart" in said:
            return self._barge_in()
        if "activityEnd" in said or ("audioStreamEnd" in said and self._ear.has_sound):
            return self._heard()
        if "text" in said:
            self._memory.read(said["text"])
            self._turn, self._results = (said["text"], None), []
            return self._answer([])
        if (audio := said.get("audio")) is None:
            return Taken()
        kind, _, rate = audio["mimeType"].partition(";rate=")
        if kind != "audio/pcm":
            raise Hangup(1007, "Request contains an invalid argument.")
        self._ear.rate_hz = int(rate or NATIVE_RATE_HZ)
        happened = self._ear.hear(b64decode(audio["data"], altchars=b"-_" if set(audio["data"]) & set("-_") else None))
        if happened == "started":
            return self._barge_in()
        return self._heard() if happened == "stopped" else Taken()

    def _outputs(self, response: Json) -> Taken:
        for one in response.get("functionResponses") or ():
            if one["id"] not in self._calls:
                raise Hangup(1007, "Request contains an invalid argument.")
            del self._calls[one["id"]]
            self._results.append(str(one["response"].get("output", encode(one["response"]).decode())))
            self._memory.read(self._results[-1])
        return Taken() if self._calls else self._answer([])

    # -- turns ------------------------------------------------------------------------------------------------------

    def _barge_in(self) -> Taken:
        """What is being said stops, unless it may not be interrupted."""
        config = (self._setup or {}).get("realtimeInputConfig") or {}
        if not self._is_speaking or config.get("activityHandling") == "NO_INTERRUPTION":
            return Taken()
        self._is_speaking = False
        usage = self._usage((self._memory.text, self._memory.audio), (0, 0))
        ended = {"serverContent": {"turnComplete": True}, "usageMetadata": usage}
        return Taken([{"serverContent": {"interrupted": True}}, ended], interrupts=True)

    def _heard(self) -> Taken:
        sound = self._ear.take()
        ms = self._ear.ms_of(sound)
        words = words_of(sound, ms)
        self._memory.hear(ms)
        self._turn, self._results = (words, sound), []
        wanted = (self._setup or {}).get("inputAudioTranscription") is not None
        return self._answer([{"serverContent": {"inputTranscription": {"text": words}}}] if wanted else [])

    def _answer(self, messages: list[Json]) -> Taken:
        setup = self._setup or {}
        declared = [one for tool in setup.get("tools") or () for one in tool.get("functionDeclarations") or ()]
        schemas = {one["name"]: one.get("parametersJsonSchema") or one.get("parameters") for one in declared}
        reply = Reply(self._turn[0], schemas, self._results, self._turn[1], self._armed)
        self._armed, self._results = {}, []
        instruction = setup.get("systemInstruction") or {}
        text = " ".join(part.get("text", "") for part in instruction.get("parts") or ())
        before = count_tokens(text) + (len(encode(declared)) // 4 if declared else 0)
        return Taken(messages, self._speak(reply, (before + self._memory.text, self._memory.audio)), reply.switches)

    def _speak(self, reply: Reply, heard: tuple[int, int]) -> Iterator[Spoken]:
        """Between a call and its output Gemini says nothing, not even that its turn is over."""
        self._is_speaking = True
        if reply.calls:
            calls = [
                {"id": f"fc_sim{call.number:06}", "name": call.name, "args": _arguments(call.arguments)}
                for call in reply.calls
            ]
            self._calls = {call["id"]: call["name"] for call in calls}
            self._is_speaking = False
            yield Spoken({"toolCall": {"functionCalls": calls}}, content=True)
            return
        config = (self._setup or {}).get("generationConfig") or {}
        if config.get("responseModalities") == ["TEXT"]:
            for words in reply.words:
                yield Spoken({"serverContent": {"modelTurn": {"parts": [{"text": words}]}}}, content=True)
            self._memory.read(reply.text)
            said = (len(reply.words), 0)
        else:
            yield from self._sound(reply)
            said = (0, self._memory.speak(len(reply.sound) // 48))
        yield Spoken({"serverContent": {"generationComplete": True}})
        self._is_speaking = False
        usage = {} if reply.switches.usage == "none" else {"usageMetadata": self._usage(heard, said)}
        yield Spoken({"serverContent": {"turnComplete": True}, **usage})
        if (self._setup or {}).get("sessionResumption") is not None:
            yield Spoken({"sessionResumptionUpdate": {"newHandle": self._remember(), "resumable": True}})

    def _sound(self, reply: Reply) -> Iterator[Spoken]:
        written = (self._setup or {}).get("outputAudioTranscription") is not None
        for sound, words in reply.spoken():
            data = {"mimeType": "audio/pcm;rate=24000", "data": b64encode(sound).decode()}
            content: Json = {"modelTurn": {"parts": [{"inlineData": data}]}}
            if words and written:
                content["outputTranscription"] = {"text": words}
            yield Spoken({"serverContent": content}, content=True)

    def _remember(self) -> str:
        memory = Memory(MS_PER_TOKEN, MS_PER_TOKEN)
        memory.text, memory.audio = self._memory.text, self._memory.audio
        handle = f"handle-sim{next_id():06}"
        _remembered[handle] = memory
        while len(_remembered) > MAX_HANDLES:
            del _remembered[next(iter(_remembered))]
        return handle

    @staticmethod
    def _usage(heard: tuple[int, int], said: tuple[int, int]) -> Json:
        usage: Json = {"promptTokenCount": sum(heard), "responseTokenCount": sum(said)}
        usage["totalTokenCount"] = sum(heard) + sum(said)
        for name, counts in (("promptTokensDetails", heard), ("responseTokensDetails", said)):
            by_modality = zip(("TEXT", "AUDIO"), counts, strict=True)
            usage[name] = [{"modality": modality, "tokenCount": count} for modality, count in by_modality if count]
        return usage


def _arguments(text: str) -> Any:
    return msgspec.json.decode(text)


def _camel(value: Any) -> Any:
    """Members in camel case, except in what is of the client's own making."""
    if isinstance(value, list):
        return [_camel(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {_name(member): inner if member in OWN else _camel(inner) for member, inner in value.items()}


def _name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
