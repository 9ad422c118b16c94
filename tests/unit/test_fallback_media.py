"""Images, speech and transcripts by another model, also those that a chat becomes."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest

from gateway.entry.images import ROUTE as IMAGES
from gateway.entry.images import images_app
from gateway.entry.speech import ROUTE as SPEECH
from gateway.entry.speech import speech_app
from gateway.entry.transcriptions import ROUTE as TRANSCRIPTIONS
from gateway.entry.transcriptions import transcriptions_app
from gateway.model.hook import SizeHook
from gateway.model.provider_errors import ProviderError
from local.simulators.pictures import picture
from tests.asgi import Answer, call
from tests.fakes import ListEvents, MemoryCatalog, MemoryFiles
from tests.unit.conftest import KEY
from tests.unit.several_providers import Several, answers, fails, model, several, stalls, streams, streams_text, texts
from tests.unit.test_images_function import MODELS as PAINTERS
from tests.unit.test_speech_function import MODELS as SPEAKERS
from tests.unit.test_transcriptions_function import MODELS as WRITERS
from tests.unit.test_transcriptions_function import SOUND as HEARD
from tests.unit.test_transcriptions_function import form

SPOKEN = (b"ID3 one ", b"two ", b"three")
PICTURE = picture("a cat", 8, 8)
PAINT: dict[str, Any] = {"model": "openai/painter", "prompt": "a cat", "quality": "low", "fallbacks": ["xai/grok"]}
SPEAK: dict[str, Any] = {"model": "openai/tts", "input": "Hello", "voice": "alloy", "fallbacks": ["openai/tokens"]}


def speaks(*pieces: Any) -> Any:
    return answers(200, *pieces, content_type="audio/mpeg")


def paints() -> Any:
    return answers(200, json.dumps({"created": 1, "data": [{"b64_json": b64encode(PICTURE).decode()}]}).encode())


@pytest.fixture
def gateway() -> Several:
    made = several()
    assert isinstance(made.world.catalog, MemoryCatalog)
    made.world.catalog.held = {
        "openai": {**PAINTERS["openai"], **SPEAKERS["openai"], **WRITERS["openai"]},
        "xai": PAINTERS["xai"],
        "groq": {"whisper": WRITERS["openai"]["whisper"], "lists": WRITERS["openai"]["lists"]},
    }
    made.world.credentials.held["xai"] = made.world.credentials.held["openai"]  # type: ignore[attr-defined]
    made.tenant(approvals=("*",))
    return made


async def post(gateway: Several, app: Any, path: str, body: Any, **headers: str) -> Answer:
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await call(app(gateway.world), encoded, sent, path=path)


def without_price(gateway: Several, name: str) -> None:
    assert isinstance(gateway.world.catalog, MemoryCatalog)
    models = gateway.world.catalog.held["openai"]
    gateway.world.catalog.held = {
        **gateway.world.catalog.held,
        "openai": {**models, name: msgspec.structs.replace(models[name], unit_prices=())},
    }


def statuses(report: Any) -> list[tuple[str, str]]:
    return [(one["model"], one["status"]) for one in report["attempts"]]


class TestImages:
    @pytest.mark.parametrize("failure", [fails(500), answers(200, b'{"created": 1, "data": [{"b64_json": "aGk="}]}')])
    async def test_another_model_makes_them(self, gateway: Several, failure: Any) -> None:
        gateway.provider("openai", failure)
        gateway.provider("xai", paints())
        body = {**PAINT, "quality": None, "response_format": "b64_json"}
        reply = (await post(gateway, images_app, IMAGES, body)).json
        assert b64decode(reply["data"][0]["b64_json"]) == PICTURE
        assert statuses(reply["gateway"]) == [("openai/painter", "error"), ("xai/grok", "ok")]
        assert reply["usage"]["cost_estimate"] >= 0.02

    async def test_not_one_that_cannot_make_them_so(self, gateway: Several) -> None:
        gateway.provider("openai", fails(500))
        answer = await post(gateway, images_app, IMAGES, PAINT)
        assert (answer.status, gateway.providers.asked) == (502, ["openai"])

    async def test_a_chat_that_becomes_images(self, gateway: Several) -> None:
        gateway.provider("openai", fails(500))
        gateway.provider("xai", paints())
        said = [{"role": "user", "content": "a cat"}]
        reply = (await gateway.chat({"model": "openai/painter", "messages": said, "fallbacks": ["xai/grok"]})).json
        assert (reply["model"], reply["gateway"]["fallback_used"]) == ("xai/grok", True)
        assert isinstance(gateway.world.files, MemoryFiles)
        [(file, _)] = gateway.world.files.whole.values()
        assert file.origin and file.origin.model == "xai/grok"


class TestSpeech:
    async def test_another_model_speaks_for_a_file(self, gateway: Several) -> None:
        """Of the one that broke off nothing stays."""
        gateway.provider("openai", speaks(SPOKEN[0], ProviderError("cut")), speaks(*SPOKEN))
        reply = (await post(gateway, speech_app, SPEECH, SPEAK)).json
        assert statuses(reply["gateway"]) == [("openai/tts", "error"), ("openai/tokens", "ok")]
        assert isinstance(gateway.world.files, MemoryFiles)
        [(file, data)] = gateway.world.files.whole.values()
        assert (data, file.origin and file.origin.model) == (b"".join(SPOKEN), "openai/tokens")

    async def test_another_model_speaks_the_bytes(self, gateway: Several) -> None:
        gateway.provider("openai", fails(503), speaks(*SPOKEN))
        answer = await post(gateway, speech_app, SPEECH, SPEAK, accept="audio/*")
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"".join(SPOKEN), "audio/mpeg")
        usage = json.loads(answer.headers["x-gateway-usage"])
        assert (usage["output_tokens"] > 0, usage["units"]) == (True, {})
        assert [one.model for one in gateway.usage] == ["openai/tts", "openai/tokens"]

    async def test_after_one_that_cost_nobody_knows_what(self, gateway: Several) -> None:
        without_price(gateway, "tts")
        gateway.provider("openai", speaks(ProviderError("cut")), speaks(*SPOKEN))
        answer = await post(gateway, speech_app, SPEECH, SPEAK, accept="audio/*")
        assert [(one.model, one.cost_nano_usd is None) for one in gateway.usage] == [
            ("openai/tts", True),
            ("openai/tokens", False),
        ]
        assert json.loads(answer.headers["x-gateway-usage"])["cost_estimate"] is None

    async def test_all_at_once(self, gateway: Several) -> None:
        """The one that is silent is broken off."""
        gateway.provider("openai", stalls(), speaks(*SPOKEN))
        body = {**SPEAK, "fallbacks": None, "fallback": {"models": ["openai/tokens"], "strategy": "parallel"}}
        answer = await post(gateway, speech_app, SPEECH, body, accept="audio/*")
        assert (answer.status, answer.body) == (200, b"".join(SPOKEN))
        assert [(one.model, one.code) for one in gateway.usage] == [
            ("openai/tts", "cancelled"),
            ("openai/tokens", None),
        ]
        assert (
            json.loads(answer.headers["x-gateway-usage"])["cost_estimate"] > (gateway.usage[0].cost_nano_usd or 0) / 1e9
        )

    async def test_not_once_there_are_some(self, gateway: Several) -> None:
        gateway.provider("openai", speaks(SPOKEN[0], ProviderError("cut")))
        with pytest.raises(ProviderError):
            await post(gateway, speech_app, SPEECH, SPEAK, accept="audio/*")
        assert gateway.providers.asked == ["openai"]

    async def test_all_speak_in_the_format_of_the_first(self, gateway: Several) -> None:
        gateway.provider("openai", fails(503))
        body = {**SPEAK, "fallbacks": ["openai/plain"]}
        assert (await post(gateway, speech_app, SPEECH, body, accept="audio/*")).status == 502
        assert gateway.providers.asked == ["openai"]

    async def test_a_chat_that_is_spoken(self, gateway: Several) -> None:
        gateway.provider("openai", fails(503), speaks(*SPOKEN))
        said = [{"role": "user", "content": "Hello"}]
        body = {"model": "openai/tts", "messages": said, "fallbacks": ["openai/tokens"]}
        assert (await gateway.chat(body)).json["model"] == "openai/tokens"


class TestTranscriptions:
    async def test_another_model_writes_it_down(self, gateway: Several) -> None:
        gateway.provider("openai", fails(500))
        gateway.provider("groq", answers(200, b'{"text": "Good evening."}'))
        body, kind = form(file=HEARD, model="openai/whisper", **{"fallbacks[]": "groq/whisper"})
        answer = await post(gateway, transcriptions_app, TRANSCRIPTIONS, body, **{"content-type": kind})
        reply = answer.json
        assert (reply["text"], reply["model"]) == ("Good evening.", "groq/whisper")
        assert statuses(reply["gateway"]) == [("openai/whisper", "error"), ("groq/whisper", "ok")]

    async def test_after_one_that_cost_nobody_knows_what(self, gateway: Several) -> None:
        without_price(gateway, "whisper")
        gateway.provider("openai", answers(200, b"{", ProviderError("cut")))
        gateway.provider("groq", answers(200, b'{"text": "Good evening."}'))
        body, kind = form(file=HEARD, model="openai/whisper", **{"fallbacks[]": "groq/whisper"})
        reply = (await post(gateway, transcriptions_app, TRANSCRIPTIONS, body, **{"content-type": kind})).json
        assert [one.cost_nano_usd is None for one in gateway.usage] == [True, False]
        assert (reply["model"], reply["usage"]["cost_estimate"]) == ("groq/whisper", None)

    async def test_another_model_writes_the_events(self, gateway: Several) -> None:
        gateway.provider("openai", fails(500))
        said = [{"type": "transcript.text.delta", "delta": "Good"}, {"type": "transcript.text.done", "text": "Good"}]
        gateway.provider("groq", streams(*(b"data: " + json.dumps(one).encode() + b"\n\n" for one in said)))
        body, kind = form(file=HEARD, model="openai/gpt", stream="true", **{"fallback[models][]": "groq/lists"})
        answer = await post(gateway, transcriptions_app, TRANSCRIPTIONS, body, **{"content-type": kind})
        assert answer.events[-2]["text"] == "Good"
        assert statuses(answer.events[-2]["gateway"]) == [("openai/gpt", "error"), ("groq/lists", "ok")]
        assert isinstance(gateway.world.events, ListEvents)

    async def test_a_chat_that_is_written_down(self, gateway: Several) -> None:
        gateway.provider("openai", fails(500))
        gateway.provider("groq", answers(200, b'{"text": "Good evening."}'))
        sound = {"type": "input_audio", "input_audio": {"data": b64encode(HEARD).decode(), "format": "wav"}}
        said = [{"role": "user", "content": [sound]}]
        reply = (await gateway.chat({"model": "openai/whisper", "messages": said, "models": ["groq/whisper"]})).json
        assert (reply["choices"][0]["message"]["content"], reply["model"]) == ("Good evening.", "groq/whisper")


class TestChatsThatShowPictures:
    """Kept as they come, also where a hook holds the stream back."""

    @pytest.fixture
    def painting(self, gateway: Several) -> Several:
        """One draws and breaks off, or goes on for ever, before anything of it was given."""
        assert isinstance(gateway.world.catalog, MemoryCatalog)
        gateway.world.catalog.held = {
            "google": {"painter": model("painter", api="generate_content", output=("text", "image"))},
            "groq": {"llama": model("llama", 3)},
        }
        gateway.world.credentials.held["google"] = gateway.world.credentials.held["openai"]  # type: ignore[attr-defined]
        hook = SizeHook(id="size", stages=("post_response",), max_reply_characters=1_000)
        gateway.tenant(approvals=("*",), hooks=(hook,))
        return gateway

    @pytest.mark.parametrize("strategy", ["sequential", "parallel"])
    async def test_nothing_stays_of_a_picture_that_nobody_is_given(self, painting: Several, strategy: str) -> None:
        drawn = asyncio.Event()
        image = {"inlineData": {"mimeType": "image/png", "data": b64encode(PICTURE).decode()}}
        said = b"data: " + json.dumps({"candidates": [{"content": {"parts": [image]}}]}).encode() + b"\r\n\r\n"

        async def then() -> Any:
            drawn.set()
            if strategy == "parallel":
                await asyncio.Event().wait()
            raise ProviderError("cut")

        async def later() -> Any:
            await drawn.wait()
            return streams_text("gr", "oq")

        painting.provider("google", streams(said, then))
        painting.provider("groq", later)
        asked = [{"role": "user", "content": "a cat"}]
        fallback = {"models": ["groq/llama"], "strategy": strategy}
        body = {"model": "google/painter", "messages": asked, "stream": True, "fallback": fallback}
        answer = await painting.chat(body)
        assert texts(answer.events) == "groq"
        assert isinstance(painting.world.files, MemoryFiles)
        assert painting.world.files.whole == {}
