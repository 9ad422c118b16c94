"""No request outlives its deadline by more than a quarter of a second, wherever providers, media and hooks stall."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs

from gateway.entry.embeddings import ROUTE as EMBEDDINGS
from gateway.entry.embeddings import embeddings_app
from gateway.entry.images import ROUTE as IMAGES
from gateway.entry.images import images_app
from gateway.entry.speech import ROUTE as SPEECH
from gateway.entry.speech import speech_app
from gateway.entry.transcriptions import ROUTE as TRANSCRIPTIONS
from gateway.entry.transcriptions import transcriptions_app
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS
from gateway.model.file import StoredFile
from gateway.model.hook import LambdaHook, Stage
from tests.asgi import Answer
from tests.fakes import MemoryCatalog, ScriptedHooks
from tests.unit.several_providers import (
    ROLE,
    Several,
    answers,
    embeds,
    event,
    model,
    says,
    several,
    stalls,
    streams,
    streams_text,
)
from tests.unit.test_fallback_media import PICTURE, paints, post, speaks
from tests.unit.test_images_function import MODELS as PAINTERS
from tests.unit.test_speech_function import MODELS as SPEAKERS
from tests.unit.test_transcriptions_function import MODELS as WRITERS
from tests.unit.test_transcriptions_function import SOUND, form
from tests.virtual_time import LoopClock, VirtualLoop, run

GRACE_S = 0.25
LIMIT_S = 2.0
ever = asyncio.Event
"""Of which nobody ever says that it has come."""


def stops(*parts: Any, status: int = 200, content_type: str = "application/json") -> Any:
    """After these parts nothing more comes."""

    async def wait() -> None:
        await ever().wait()

    return answers(status, *parts, wait, content_type=content_type)


def stops_speaking() -> Any:
    return stops(b"ID3 one ", content_type="audio/mpeg")


STALLS: dict[str, Callable[[], Any]] = {
    "connect or head": stalls,
    "body": lambda: stops(b'{"id": "c", '),
    "error body": lambda: stops(b'{"error"', status=500),
    "signs of life": lambda: answers(200, *[pinging, b"\n"] * 20_000),
}
STREAM_STALLS: dict[str, Callable[[], Any]] = {
    "connect or head": stalls,
    "first event": lambda: stops(ROLE, content_type="text/event-stream"),
    "error body": STALLS["error body"],
    "signs of life": lambda: streams(*[part for _ in range(20_000) for part in (pinging, b": ping\n\n")]),
}


def later(answer: Any, takes_s: float = 60.0) -> Callable[[], Any]:
    async def wait() -> Any:
        await asyncio.sleep(takes_s)
        return answer

    return wait


async def pinging() -> None:
    await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Timed:
    answer: Answer
    took_s: float


@dataclass(frozen=True)
class Kind:
    """`first`, `others`: models. `made`: what a provider answers."""

    name: str
    first: str
    others: tuple[str, ...]
    body: dict[str, Any]
    made: Callable[[], Any]
    app: Any = None
    path: str = ""

    async def send(self, gateway: Several, **more: Any) -> Answer:
        body = {**self.body, "model": self.first, **more}
        if self.app is None:
            return await gateway.chat(body)
        if self.name.startswith("transcript"):
            fields = {key: value for key, value in body.items() if key not in ("fallbacks", "timeouts")}
            rest = [("fallbacks[]", name) for name in body.get("fallbacks", ())]
            rest += [(f"timeouts[{key}]", str(value)) for key, value in body.get("timeouts", {}).items()]
            sent, kind = form(file=SOUND, **fields, **dict(rest))
            return await post(gateway, self.app, self.path, sent, **{"content-type": kind})
        return await post(gateway, self.app, self.path, body)


CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
SPEAK = {"input": "Hi", "voice": "alloy"}


def hears() -> Any:
    return answers(200, b'{"text": "Hi", "duration": 1.0}')


KINDS = {
    kind.name: kind
    for kind in (
        Kind("chat", "openai/gpt", ("groq/llama", "mistral/large"), CHAT, lambda: says("Hi")),
        Kind("embeddings", "openai/embed", ("mistral/embed",), {"input": "Hello"}, embeds, embeddings_app, EMBEDDINGS),
        Kind("images", "openai/painter", ("xai/grok",), {"prompt": "a cat"}, paints, images_app, IMAGES),
        Kind("speech", "openai/tts", ("openai/tokens",), SPEAK, lambda: speaks(b"ID3 Hi"), speech_app, SPEECH),
        Kind("transcription", "openai/whisper", ("groq/whisper",), {}, hears, transcriptions_app, TRANSCRIPTIONS),
    )
}


EACH = [
    (kind, stall) for kind in KINDS.values() for stall in STALLS if (kind.name, stall) != ("speech", "signs of life")
]
"""A recording has none."""


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop()


@pytest.fixture
def gateway(loop: VirtualLoop) -> Several:
    return gateway_in(loop)


def gateway_in(loop: VirtualLoop) -> Several:
    made = several()
    assert isinstance(made.world.catalog, MemoryCatalog)
    held = made.world.catalog.held
    for models in (PAINTERS, SPEAKERS, WRITERS):
        held["openai"] = {**models["openai"], **held["openai"]}
    held["openai"]["sees"], held["groq"]["sees"] = (model("sees", input=("text", "image")) for _ in range(2))
    held["xai"] = PAINTERS["xai"]
    held["groq"].update({name: WRITERS["openai"][name] for name in ("whisper", "lists")})
    made.world.credentials.held["xai"] = made.world.credentials.held["openai"]  # type: ignore[attr-defined]
    made.tenant(approvals=("*",))
    made.world = structs.replace(made.world, clock=LoopClock(loop))
    return made


def timed(loop: VirtualLoop, gateway: Several, kind: Kind, **more: Any) -> Timed:
    begun_s = loop.time()
    answer = run(loop, kind.send(gateway, **more))
    return Timed(answer, loop.time() - begun_s)


def told_time_out(answer: Answer) -> bool:
    error = answer.events[-1]["error"] if answer.status == 200 else answer.json["error"]
    return bool(error["code"] in ("provider_timeout", "provider_error"))


def all_do(gateway: Several, stall: Callable[[], Any]) -> None:
    for provider in ("openai", "groq", "mistral", "xai"):
        gateway.provider(provider, *[stall() for _ in range(4)])


@pytest.mark.parametrize(("kind", "stall"), EACH, ids=lambda each: each if isinstance(each, str) else each.name)
@pytest.mark.parametrize("falls_back", [False, True])
def test_what_is_answered_whole(loop: VirtualLoop, gateway: Several, kind: Kind, stall: str, falls_back: bool) -> None:
    all_do(gateway, stops_speaking if (kind.name, stall) == ("speech", "body") else STALLS[stall])
    more = {"fallbacks": list(kind.others)} if falls_back else {}
    got = timed(loop, gateway, kind, timeouts={"total_ms": int(LIMIT_S * 1000)}, **more)
    attempts = 1 + (len(kind.others) if falls_back else 0)
    assert told_time_out(got.answer)
    assert LIMIT_S * attempts <= got.took_s <= LIMIT_S * attempts + GRACE_S


@pytest.mark.parametrize("stall", STREAM_STALLS)
@pytest.mark.parametrize("limit", ["ttft_ms", "total_ms"])
@pytest.mark.parametrize("others", [0, 2])
def test_a_stream_that_does_not_begin(loop: VirtualLoop, gateway: Several, stall: str, limit: str, others: int) -> None:
    all_do(gateway, STREAM_STALLS[stall])
    chat = KINDS["chat"]
    more = {"timeouts": {limit: int(LIMIT_S * 1000)}, "fallbacks": list(chat.others[:others]), "stream": True}
    got = timed(loop, gateway, chat, **more)
    assert got.answer.status in (502, 504)
    assert LIMIT_S * (others + 1) <= got.took_s <= LIMIT_S * (others + 1) + GRACE_S


@pytest.mark.parametrize("others", [0, 2])
def test_a_stream_that_stalls_in_the_middle(loop: VirtualLoop, gateway: Several, others: int) -> None:
    all_do(gateway, lambda: stops(ROLE, event({"content": "Hi"}), content_type="text/event-stream"))
    chat = KINDS["chat"]
    more = {"timeouts": {"total_ms": int(LIMIT_S * 1000)}, "fallbacks": list(chat.others[:others]), "stream": True}
    got = timed(loop, gateway, chat, **more)
    assert got.answer.events[-1]["error"]["phase"] == "total"
    assert LIMIT_S <= got.took_s <= LIMIT_S + GRACE_S


@pytest.mark.parametrize("stream", [False, True])
def test_those_who_are_asked_at_once(loop: VirtualLoop, gateway: Several, stream: bool) -> None:
    all_do(gateway, stalls)
    chat = KINDS["chat"]
    fallback = {"models": list(chat.others), "strategy": "parallel"}
    got = timed(loop, gateway, chat, timeouts={"total_ms": int(LIMIT_S * 1000)}, fallback=fallback, stream=stream)
    assert got.answer.json["error"]["code"] == "provider_timeout"
    assert LIMIT_S <= got.took_s <= LIMIT_S + GRACE_S


@pytest.mark.parametrize(("kind", "stall"), EACH, ids=lambda each: each if isinstance(each, str) else each.name)
@pytest.mark.parametrize("falls_back", [False, True])
def test_an_answer_begins_in_time_where_nobody_says_how_long(
    loop: VirtualLoop, gateway: Several, kind: Kind, stall: str, falls_back: bool
) -> None:
    all_do(gateway, stops_speaking if (kind.name, stall) == ("speech", "body") else STALLS[stall])
    more = {"fallbacks": list(kind.others)} if falls_back else {}
    got = timed(loop, gateway, kind, **more)
    assert told_time_out(got.answer)
    assert got.took_s <= MAX_BEGIN_MS / 1000 + GRACE_S


@pytest.mark.parametrize(("kind", "stall"), EACH, ids=lambda each: each if isinstance(each, str) else each.name)
def test_another_model_has_the_time_to_answer(loop: VirtualLoop, gateway: Several, kind: Kind, stall: str) -> None:
    stalled = stops_speaking if (kind.name, stall) == ("speech", "body") else STALLS[stall]
    other = kind.others[0].partition("/")[0]
    gateway.provider("openai", stalled())
    gateway.provider(other, *([stalled()] if other == "openai" else []), later(kind.made()))
    got = timed(loop, gateway, kind, fallbacks=[kind.others[0]])
    assert (got.answer.status, len(gateway.providers.asked)) == (200, 2)
    assert got.took_s <= MAX_BEGIN_MS / 1000


HEARD = [{"type": "transcript.text.delta", "delta": "Hi"}, {"type": "transcript.text.done", "text": "Hi"}]
EVENTS: dict[str, tuple[Kind, Any]] = {
    "chat": (KINDS["chat"], {"stream": True}),
    "speech": (KINDS["speech"], {"stream_format": "sse"}),
    "transcription": (
        replace(KINDS["transcription"], first="openai/lists", others=("groq/lists",)),
        {"stream": "true"},
    ),
}


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("stall", ["connect or head", "body"])
def test_and_so_has_one_that_streams(loop: VirtualLoop, gateway: Several, name: str, stall: str) -> None:
    kind, more = EVENTS[name]
    stalled = stalls() if stall == "connect or head" else stops(content_type="text/event-stream")
    heard = (b"data: " + json.dumps(one).encode() + b"\n\n" for one in HEARD)
    made = {"chat": streams_text("Hi"), "speech": speaks(b"ID3 Hi"), "transcription": streams(*heard)}[name]
    gateway.provider("groq", later(made))
    gateway.provider("openai", stalled, later(made))
    got = timed(loop, gateway, kind, fallbacks=[kind.others[0]], **more)
    assert (got.answer.status, len(gateway.providers.asked)) == (200, 2)
    assert "error" not in got.answer.events[-1]
    assert got.took_s <= MAX_BEGIN_MS / 1000


def test_a_transcript_without_words_has_not_begun(loop: VirtualLoop, gateway: Several) -> None:
    kind, more = EVENTS["transcription"]
    empty, *heard = (b"data: " + json.dumps(one).encode() + b"\n\n" for one in [{**HEARD[0], "delta": ""}, *HEARD])
    gateway.provider("openai", streams(*[part for _ in range(100) for part in (pinging, empty)]))
    gateway.provider("groq", streams(*heard))
    got = timed(loop, gateway, kind, fallbacks=["groq/lists"], timeouts={"ttft_ms": 2_000}, **more)
    assert [one["type"] for one in got.answer.events if isinstance(one, dict)] == [one["type"] for one in HEARD]
    assert LIMIT_S <= got.took_s <= LIMIT_S + GRACE_S


@pytest.mark.parametrize("times", [{}, {"ttft_ms": 200_000}, {"ttft_ms": 200_000, "total_ms": 840_000}])
def test_a_stream_begins_in_time_whatever_is_asked_for(
    loop: VirtualLoop, gateway: Several, times: dict[str, int]
) -> None:
    """API Gateway gives up a stream that has had no byte for five minutes."""
    all_do(gateway, STREAM_STALLS["signs of life"])
    chat = KINDS["chat"]
    got = timed(loop, gateway, chat, timeouts=times, fallbacks=list(chat.others), stream=True)
    assert got.answer.status == 504
    assert got.took_s <= MAX_BEGIN_MS / 1000 + GRACE_S


def test_a_stream_ends_in_time_where_nobody_says_how_long(loop: VirtualLoop, gateway: Several) -> None:
    """The first says nothing for as long as it may, and the one after it never ends."""
    gateway.provider("openai", stalls())
    endless = [part for _ in range(20_000) for part in (pinging, event({"content": "."}))]
    gateway.provider("groq", streams(ROLE, *endless))
    got = timed(loop, gateway, KINDS["chat"], fallbacks=["groq/llama"], stream=True)
    assert got.answer.events[-1]["error"]["phase"] == "total"
    assert MAX_STREAM_MS / 1000 - 1 <= got.took_s <= MAX_STREAM_MS / 1000 + GRACE_S


async def never() -> dict[str, Any]:
    await ever().wait()
    return {}


class Fetcher:
    """Of pictures that come after so many seconds; those after the first `well` never do."""

    def __init__(self, takes_s: float, well: int) -> None:
        self._takes_s, self._well = takes_s, well

    async def fetch(self, tenant_id: str, url: str, accepted: Any, max_bytes: int, param: str) -> StoredFile:
        self._well -= 1
        await (asyncio.sleep(self._takes_s) if self._well >= 0 else ever().wait())
        return StoredFile(PICTURE, "image/png", "")


class TestTheGatewaysOwnWork:
    @pytest.mark.parametrize(("takes_s", "well"), [(1.0, 0), (100.0, 8), (100.0, 2)])
    def test_media_that_come_late_or_never(
        self, loop: VirtualLoop, gateway: Several, takes_s: float, well: int
    ) -> None:
        """Of the first model, which is not asked then, and of the one after it."""
        gateway.world = structs.replace(gateway.world, fetcher=Fetcher(takes_s, well))
        pictures = [{"type": "image_url", "image_url": {"url": f"https://example.com/{n}.png"}} for n in range(2)]
        said = [{"role": "user", "content": pictures * 4 if well == 8 else pictures}]
        all_do(gateway, stalls)
        kind = replace(KINDS["chat"], first="openai/sees")
        got = timed(loop, gateway, kind, messages=said, fallbacks=["groq/sees"])
        assert got.answer.status in (422, 504)
        assert got.took_s <= MAX_BEGIN_MS / 1000 + GRACE_S

    @pytest.mark.parametrize("stage", ["pre_call", "post_response"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_hooks_that_are_slow(self, loop: VirtualLoop, gateway: Several, stage: Stage, stream: bool) -> None:
        """They have twenty seconds together for each stage, and let the call pass then."""
        hooks = [
            LambdaHook(
                id=f"slow{n}", function="gateway-hook-slow", stages=(stage,), timeout_ms=10_000, on_failure="open"
            )
            for n in range(3)
        ]
        gateway.tenant(hooks=hooks)
        assert isinstance(gateway.world.hooks, ScriptedHooks)
        gateway.world.hooks.answers = {hook.id: never for hook in hooks}

        async def late() -> Any:
            await asyncio.sleep(260)
            return streams_text("Hi") if stream else says("Hi")

        gateway.provider("openai", late)
        got = timed(loop, gateway, KINDS["chat"], stream=stream)
        assert got.answer.status == 200
        assert 280 <= got.took_s <= MAX_BEGIN_MS / 1000 + GRACE_S
