"""Groups of models that make images, speech, transcripts and videos, or that work in the background."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from gateway.entry.images import ROUTE as IMAGES
from gateway.entry.images import images_app
from gateway.entry.speech import ROUTE as SPEECH
from gateway.entry.speech import speech_app
from gateway.entry.transcriptions import ROUTE as TRANSCRIPTIONS
from gateway.entry.transcriptions import transcriptions_app
from gateway.model.group import ModelGroup
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import Several, answers, fails, model
from tests.unit.test_background import CHAT, COST, DONE, FACTS
from tests.unit.test_background import Gateway as Background
from tests.unit.test_background import gateway as of_background
from tests.unit.test_fallback_media import SPOKEN, paints, post, speaks, statuses
from tests.unit.test_fallback_media import gateway as of_media
from tests.unit.test_transcriptions_function import SOUND, form
from tests.unit.videos_gateway import Gateway as Videos
from tests.unit.videos_gateway import gateway_of_videos

media, background = of_media, of_background


def group(*models: str) -> ModelGroup:
    return ModelGroup(models=models)


@pytest.fixture
def made(media: Several) -> Several:
    aliases = {
        "paint": group("openai/painter", "xai/grok"),
        "speak": group("openai/plain", "openai/tts", "openai/tokens"),
        "write": group("openai/whisper", "groq/whisper"),
    }
    media.tenant(approvals=("*",), aliases=aliases)
    return media


async def test_images(made: Several) -> None:
    made.provider("openai", fails(500))
    made.provider("xai", paints())
    reply = (await post(made, images_app, IMAGES, {"model": "paint", "prompt": "a cat"})).json
    assert statuses(reply["gateway"]) == [("openai/painter", "error"), ("xai/grok", "ok")]
    assert reply["gateway"]["model_requested"] == "paint"
    said = [{"role": "user", "content": "a cat"}]
    by_chat = (await made.chat({"model": "paint", "messages": said})).json
    assert (by_chat["model"], by_chat["gateway"]["fallback_used"]) == ("xai/grok", True)


async def test_speech_in_the_format_that_is_asked_for(made: Several) -> None:
    """The first one has another format only."""
    made.provider("openai", fails(503), speaks(*SPOKEN))
    body = {"model": "speak", "input": "Hello", "voice": "alloy", "response_format": "mp3"}
    answer = await post(made, speech_app, SPEECH, body, accept="audio/*")
    assert (answer.status, answer.body) == (200, b"".join(SPOKEN))
    assert [one.model for one in made.usage] == ["openai/tts", "openai/tokens"]


async def test_transcripts(made: Several) -> None:
    made.provider("openai", fails(500))
    made.provider("groq", answers(200, b'{"text": "Good evening."}'))
    body, kind = form(file=SOUND, model="write")
    reply = (await post(made, transcriptions_app, TRANSCRIPTIONS, body, **{"content-type": kind})).json
    assert (reply["text"], reply["model"], reply["gateway"]["model_requested"]) == (
        "Good evening.",
        "groq/whisper",
        "write",
    )


async def test_a_video_is_made_by_the_first_that_makes_videos() -> None:
    gateway: Videos = gateway_of_videos()
    gateway.allow(aliases={"film": group("xai/chat", "xai/nope", "xai/film", "runway/clip")})
    video = await gateway.finished(await gateway.begun(model="film"))
    assert (video["status"], video["gateway"]["provider"]) == ("completed", "xai")
    [record] = gateway.usage
    assert (record.model, record.model_requested) == ("xai/film", "film")


class TestBackground:
    @pytest.fixture(autouse=True)
    def models(self, background: Background) -> None:
        catalog = MemoryCatalog({"openai": {"deep": FACTS, "plain": model("plain")}, "azure": {"deep": FACTS}})
        background.world = replace(background.world, catalog=catalog)

    async def test_the_first_of_a_group_works_in_the_background(self, background: Background) -> None:
        background.allow(aliases={"research": group("openai/deep", "azure/deep")})
        answer = await background.post(**{**CHAT, "model": "research"})
        assert (answer.status, answer.json["gateway"]["fallback_used"]) == (200, False)
        assert json.loads(background.remote.sent[0].body)["background"] is True
        assert background.is_settled(COST)

    async def test_a_job_of_it_is_given_late_under_its_name(self, background: Background) -> None:
        background.allow(aliases={"research": group("openai/deep", "azure/deep")})
        job_id = await background.handed_over(model="research")
        background.remote.looks = [DONE]
        shown = await background.finished(job_id)
        assert shown["result"]["body"]["gateway"]["model_requested"] == "research"
        assert background.is_settled(COST)

    async def test_not_when_one_that_answers_at_once_comes_first(self, background: Background) -> None:
        background.allow(aliases={"research": group("openai/plain", "openai/deep")})
        choices = [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        plain = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}
        background.remote.begins = plain
        assert (await background.post(**{**CHAT, "model": "research"})).status == 200
        assert "background" not in json.loads(background.remote.sent[0].body)
        assert not background.world.jobs.held  # type: ignore[attr-defined]
