"""POST /v1/images/generations in memory: OpenAI's shape, splitting, storing, what is refused and what is charged."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.entry.images import ROUTE, images_app
from gateway.model.call import MAX_BEGIN_MS
from gateway.model.catalog import AnySize, ImageFacts, ModelFacts, Prices, UnitPrice
from gateway.model.errors import InvalidRequest, StorageUnavailable
from gateway.model.file import File, StoredFile
from gateway.model.http import HttpRequest, Sending
from gateway.model.limits import Allowance, Budget
from gateway.model.record import UsageRecord
from gateway.pipeline.exchange import ANSWER_S
from gateway.pipeline.images_parts import PARTS_AT_ONCE
from gateway.pipeline.job_work import ask
from gateway.ports import World
from local.simulators.pictures import picture
from tests.asgi import Answer, call
from tests.fakes import (
    FixedFetcher,
    ListEvents,
    ListRecords,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    MemoryFiles,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, TENANT
from tests.unit.test_embeddings_function import Provider, Whole

SOURCE = "https://example.org"
PRICES = Prices(input=5_000_000, output=10_000_000, output_image=40_000_000)
SHAPES = ImageFacts(ratios=("1:1", "16:9"), resolutions=("1k", "2k"), shapes={"1024x1024": "1:1@1k"})
MODELS = {
    "openai": {
        "painter": ModelFacts(
            id="painter",
            name="",
            api="images",
            source=SOURCE,
            capabilities=("image_generation",),
            prices=PRICES,
            image=ImageFacts(
                sizes=("1024x1024", "1536x1024"),
                any_size=AnySize(step=16, min_side=256, max_side=3840, max_pixels=8_294_400, max_ratio=3),
                qualities=("low", "high"),
                formats=("png", "jpeg", "webp"),
                backgrounds=("transparent", "opaque"),
                compression=True,
                moderation=True,
                max_prompt=100,
                max_images=3,
                tokens={"low": 100, "high": 1000},
                text_tokens=50,
            ),
        ),
        "new": ModelFacts(id="new", name="", api="images", source=SOURCE, capabilities=("image_generation",)),
        "speaker": ModelFacts(id="speaker", name="", source=SOURCE),
    },
    "xai": {
        "grok": ModelFacts(
            id="grok",
            name="",
            api="images",
            source=SOURCE,
            capabilities=("image_generation",),
            image=SHAPES,
            unit_prices=(
                UnitPrice(unit="images", pico_usd=20_000_000_000, variant="1k"),
                UnitPrice(unit="images", pico_usd=70_000_000_000, variant="2k"),
            ),
        )
    },
    "google": {
        "gemini": ModelFacts(
            id="gemini",
            name="",
            api="generate_content",
            source=SOURCE,
            capabilities=("image_generation",),
            prices=PRICES,
            image=ImageFacts(ratios=("1:1",), tokens={"": 1000}, text_tokens=50),
        ),
        "talker": ModelFacts(id="talker", name="", api="generate_content", source=SOURCE, capabilities=("tools",)),
    },
}


def assert_told_as_paid(answer: Answer, cost_nano_usd: int | None) -> None:
    """So that no SDK sends it again by itself, and pays once more."""
    error = answer.json["error"]
    assert (answer.headers["x-should-retry"], error["retryable"]) == ("false", False)
    assert cost_nano_usd is not None
    assert error["usage"]["cost_estimate"] == cost_nano_usd / 1e9 > 0


def painted(prompt: str, number: int = 0) -> bytes:
    return picture(f"{prompt} #{number}", 8, 8)


def openai_says(body: Any, **members: Any) -> Whole:
    """Whoever is asked; Gemini's answer would have another shape."""
    body = {"prompt": "", "n": 1, **body}
    images = [{"b64_json": b64encode(painted(body["prompt"], at)).decode()} for at in range(body["n"])]
    made = 100 * body["n"]
    usage = {"input_tokens": 4, "output_tokens": made, "output_tokens_details": {"image_tokens": made}}
    return Whole(200, json.dumps({"created": 1, "data": images, "usage": usage, **members}).encode())


@dataclass
class Gateway:
    world: World
    provider: Provider
    access: MemoryAccess

    async def paint(self, **body: Any) -> Answer:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        body = {"model": "openai/painter", "prompt": "a cat", **body}
        return await call(images_app(self.world), json.dumps(body).encode(), headers, path=ROUTE)

    def allow(self, **tenant: Any) -> None:
        self.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(TENANT, approvals=("*",), **tenant))

    def in_storage(self, image: Any) -> bytes:
        assert isinstance(self.world.files, MemoryFiles)
        return self.world.files.whole["acme", image["file_id"]][1]

    @property
    def usage(self) -> list[UsageRecord]:
        assert isinstance(self.world.events, ListEvents)
        return [told for told in self.world.events.told if isinstance(told, UsageRecord)]


@pytest.fixture
def gateway() -> Gateway:
    access, provider = MemoryAccess(), Provider(openai_says)
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers by what it is asked
    made = Gateway(world, provider, access)
    made.allow()
    return made


async def test_the_reply_is_openais_with_the_file_cost_and_report(gateway: Gateway) -> None:
    answer = await gateway.paint(n=2, size="1536x1024", quality="low", metadata={"conversation_id": "c-1"})
    reply = answer.json
    assert answer.status == 200
    assert (reply["model"], reply["size"], reply["quality"], reply["output_format"]) == (
        "openai/painter",
        "1536x1024",
        "low",
        "png",
    )
    assert [gateway.in_storage(image) for image in reply["data"]] == [painted("a cat"), painted("a cat", 1)]
    assert {image["content_type"] for image in reply["data"]} == {"image/png"}
    assert [image["size_bytes"] for image in reply["data"]] == [len(painted("a cat")), len(painted("a cat", 1))]
    assert all(image["file_id"] in image["url"] for image in reply["data"])
    assert all(image["expires_at"] > image["url_expires_at"] for image in reply["data"])
    usage = reply["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (4, 200, 204)
    assert usage["output_tokens_details"] == {"image_tokens": 200, "text_tokens": 0}
    assert (usage["cost_estimate"], usage["estimated"]) == ((4 * 5_000 + 200 * 40_000) / 1e9, False)
    (record,) = gateway.usage
    assert (record.of.operation, record.of.conversation_id, record.outcome) == ("images", "c-1", "ok")
    assert record.cost_nano_usd == 4 * 5_000 + 200 * 40_000
    assert answer.headers["x-gateway-request-id"] == reply["gateway"]["request_id"]


async def test_bytes_in_the_answer_are_stored_nowhere(gateway: Gateway) -> None:
    reply = (await gateway.paint(response_format="b64_json")).json
    (image,) = reply["data"]
    assert b64decode(image["b64_json"]) == painted("a cat")
    assert image.keys() == {"b64_json", "content_type", "size_bytes"}
    assert isinstance(gateway.world.files, MemoryFiles)
    assert gateway.world.files.whole == {}


async def test_auto_is_the_models_own_choice_and_is_not_sent(gateway: Gateway) -> None:
    words = {"size": "auto", "quality": "auto", "background": "auto", "moderation": "auto"}
    assert (await gateway.paint(**words, n=None, output_format=None)).status == 200
    assert gateway.provider.bodies == [{"model": "painter", "prompt": "a cat", "n": 1}]


async def test_a_model_without_facts_is_asked_what_the_client_asks(gateway: Gateway) -> None:
    assert (await gateway.paint(model="openai/new", size="1x1", quality="hd", prompt="x" * 32_000)).status == 200
    assert gateway.provider.bodies[0]["size"] == "1x1"
    assert (await gateway.paint(model="openai/new")).json["usage"]["cost_estimate"] is None


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ("1024x1024", {"aspect_ratio": "1:1", "resolution": "1k"}),
        ("16:9", {"aspect_ratio": "16:9"}),
        ("16:9@2K", {"aspect_ratio": "16:9", "resolution": "2k"}),
    ],
)
async def test_a_size_is_told_as_the_shape_it_is(gateway: Gateway, size: str, sent: dict[str, str]) -> None:
    assert (await gateway.paint(model="xai/grok", size=size)).status == 200
    body = gateway.provider.bodies[0]
    assert {name: body[name] for name in ("aspect_ratio", "resolution") if name in body} == sent


@pytest.mark.parametrize("size", ["512x1536", "3840x2160", "256x256"])
async def test_any_size_within_the_models_bounds(gateway: Gateway, size: str) -> None:
    assert (await gateway.paint(size=size)).status == 200
    assert gateway.provider.bodies[0]["size"] == size


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"prompt": None}, "validation_error", "prompt"),
        ({"prompt": ""}, "validation_error", "prompt"),
        ({"prompt": "x" * 101}, "validation_error", "prompt"),
        ({"n": 0}, "validation_error", "n"),
        ({"n": 11}, "validation_error", "n"),
        ({"size": "large"}, "validation_error", "size"),
        ({"size": "1000x1000"}, "validation_error", "size"),
        ({"size": "240x256"}, "validation_error", "size"),
        ({"size": "3856x1600"}, "validation_error", "size"),
        ({"size": "3840x2176"}, "validation_error", "size"),
        ({"size": "1040x256"}, "validation_error", "size"),
        ({"size": "16:9"}, "validation_error", "size"),
        ({"size": "16:9@8k", "model": "xai/grok"}, "validation_error", "size"),
        ({"size": "2:1", "model": "xai/grok"}, "validation_error", "size"),
        ({"size": "1024x768", "model": "xai/grok"}, "validation_error", "size"),
        ({"quality": "medium"}, "validation_error", "quality"),
        ({"quality": "high", "model": "xai/grok"}, "capability_not_supported", "quality"),
        ({"output_format": "gif"}, "validation_error", "output_format"),
        ({"output_format": "png", "model": "xai/grok"}, "capability_not_supported", "output_format"),
        ({"output_compression": 101, "output_format": "jpeg"}, "validation_error", "output_compression"),
        ({"output_compression": 50}, "validation_error", "output_compression"),
        ({"output_compression": 50, "model": "xai/grok"}, "capability_not_supported", "output_compression"),
        ({"background": "transparent", "output_format": "jpeg"}, "validation_error", "background"),
        ({"background": "opaque", "model": "xai/grok"}, "capability_not_supported", "background"),
        ({"moderation": "low", "model": "xai/grok"}, "capability_not_supported", "moderation"),
        ({"response_format": "file"}, "validation_error", "response_format"),
        ({"stream": True}, "capability_not_supported", "stream"),
        ({"partial_images": 2}, "capability_not_supported", "partial_images"),
        ({"style": "vivid"}, "validation_error", "style"),
        ({"metadata": {"team": "x"}}, "capability_not_supported", "metadata.team"),
        ({"provider_options": {"openai": {"size": "1x1"}}}, "capability_not_supported", "provider_options.openai.size"),
        ({"model": "openai/speaker"}, "capability_not_supported", "model"),
        ({"model": "google/talker"}, "capability_not_supported", "model"),
        ({"model": "openai/nope"}, "model_not_found", "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name_unsent_and_free(
    gateway: Gateway, body: dict[str, Any], code: str, param: str
) -> None:
    answer = await gateway.paint(**body)
    error = answer.json["error"]
    assert answer.status in (400, 404)
    assert (error["code"], error["param"]) == (code, param), error
    assert gateway.provider.sent == []
    assert all(record.cost_nano_usd == 0 for record in gateway.usage)


async def test_more_images_than_a_request_makes_are_asked_for_in_several(gateway: Gateway) -> None:
    reply = (await gateway.paint(n=7)).json
    assert sorted(body["n"] for body in gateway.provider.bodies) == [1, 3, 3]
    wanted = [painted("a cat", at) for at in (0, 1, 2, 0, 1, 2, 0)]
    assert [gateway.in_storage(image) for image in reply["data"]] == wanted
    assert (reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]) == (12, 700)
    assert len(reply["gateway"]["attempts"]) == 1


async def test_no_answer_gets_larger_than_what_is_read_of_one(gateway: Gateway) -> None:
    """Four pictures of 8 megapixels, hard to compress, are more than 100 MB as base64."""
    large = MODELS["openai"]["painter"].image
    assert large is not None
    facts = msgspec.structs.replace(MODELS["openai"]["painter"], image=msgspec.structs.replace(large, max_images=10))
    gateway.world = replace(gateway.world, catalog=MemoryCatalog({"openai": {"painter": facts}}))
    assert (await gateway.paint(n=10, size="3840x2160")).status == 200
    asked = [json.loads(request.body)["n"] for request in gateway.provider.sent]
    assert sorted(asked) == [1, 3, 3, 3]
    await gateway.paint(n=10, size="1024x1024")
    assert json.loads(gateway.provider.sent[-1].body)["n"] == 10


async def test_a_few_requests_are_asked_at_a_time(gateway: Gateway) -> None:
    pause = asyncio.Event()

    def say(body: Any) -> Whole:
        image = {"inlineData": {"mimeType": "image/png", "data": b64encode(painted("x")).decode()}}
        whole = Whole(200, json.dumps({"candidates": [{"content": {"parts": [image]}}]}).encode())
        whole.hold = pause.wait
        if gateway.provider.at_once == PARTS_AT_ONCE:
            asyncio.get_running_loop().call_later(0, pause.set)
        return whole

    gateway.provider.say = say
    reply = (await gateway.paint(model="google/gemini", n=10)).json
    assert (gateway.provider.most_at_once, len(gateway.provider.sent), len(reply["data"])) == (PARTS_AT_ONCE, 10, 10)
    assert (reply["usage"]["output_tokens"], reply["usage"]["estimated"]) == (10_000, True)


async def test_one_failing_request_fails_the_call_and_what_was_made_is_charged(gateway: Gateway) -> None:
    answered = asyncio.Event()

    def say(body: Any) -> Whole:
        if body["n"] == 1:
            return Whole(429, b'{"error": {"message": "slow down"}}', hold=answered.wait)
        asyncio.get_running_loop().call_later(0.01, answered.set)
        return openai_says(body)

    gateway.provider.say = say
    answer = await gateway.paint(n=4)
    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limited")
    (record,) = gateway.usage
    assert (record.outcome, record.cost_nano_usd) == ("error", 4 * 5_000 + 300 * 40_000)


@pytest.mark.parametrize(("status", "code"), [(403, 502), (429, 429)])
async def test_requests_that_are_all_refused_cost_nothing(gateway: Gateway, status: int, code: int) -> None:
    all_came = asyncio.Barrier(PARTS_AT_ONCE)

    def say(_: Any) -> Whole:
        async def one_after_the_other(place: int = len(gateway.provider.sent)) -> None:
            await all_came.wait()
            for _ in range(10 * place):
                await asyncio.sleep(0)

        return Whole(status, b"{}", hold=one_after_the_other)

    gateway.provider.say = say
    answer = await gateway.paint(model="google/gemini", n=10)
    assert (answer.status, answer.json["error"]["retryable"]) == (code, True)
    assert len(gateway.provider.sent) == PARTS_AT_ONCE
    assert [(record.cost_nano_usd, record.usage) for record in gateway.usage] == [(0, None)]


async def test_what_is_in_flight_when_one_fails_ends_and_is_paid_by_its_own_figures(gateway: Gateway) -> None:
    all_came, first_failed = asyncio.Barrier(PARTS_AT_ONCE), asyncio.Event()
    picture_of_google = {"inlineData": {"mimeType": "image/png", "data": b64encode(painted("a cat")).decode()}}
    told = {"promptTokenCount": 6, "candidatesTokenCount": 90, "totalTokenCount": 96}
    made = {"candidates": [{"content": {"parts": [picture_of_google]}}], "usageMetadata": told}

    def say(_: Any) -> Whole:
        is_first = len(gateway.provider.sent) == 1

        async def hold() -> None:
            await all_came.wait()
            if is_first:
                asyncio.get_running_loop().call_later(0.01, first_failed.set)
            else:
                await first_failed.wait()

        return Whole(503, b"{}", hold) if is_first else Whole(200, json.dumps(made).encode(), hold)

    gateway.provider.say = say
    answer = await gateway.paint(model="google/gemini", n=10)
    assert answer.status == 502
    assert len(gateway.provider.sent) == PARTS_AT_ONCE
    [record] = gateway.usage
    assert record.usage is not None
    assert (record.usage.prompt_tokens, record.usage.completion_tokens) == (3 * 6, 3 * 90)
    assert not record.usage.estimated
    assert_told_as_paid(answer, record.cost_nano_usd)


async def test_a_refusal_of_the_only_request_costs_nothing(gateway: Gateway) -> None:
    gateway.provider.say = lambda _: Whole(400, b'{"error": {"message": "no", "code": "moderation_blocked"}}')
    answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["provider_code"]) == (400, "moderation_blocked")
    assert [(record.cost_nano_usd, record.usage) for record in gateway.usage] == [(0, None)]


async def test_what_cost_nothing_may_be_tried_again(gateway: Gateway) -> None:
    gateway.provider.say = lambda _: Whole(503, b"busy")
    answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["retryable"], "usage" in answer.json["error"]) == (502, True, False)
    assert "x-should-retry" not in answer.headers


async def test_a_silent_provider_times_out_and_is_paid_for_what_it_was_asked(gateway: Gateway) -> None:
    gateway.provider.say = lambda body: Whole(200, b"", hold=asyncio.Event().wait)
    answer = await gateway.paint(model="xai/grok", n=2, size="16:9@2k", timeouts={"total_ms": 20})
    assert (answer.status, answer.json["error"]["phase"]) == (504, "total")
    assert [(record.units, record.cost_nano_usd) for record in gateway.usage] == [({"images:2k": 2}, 140_000_000)]


async def test_images_are_paid_by_number_and_resolution(gateway: Gateway) -> None:
    gateway.provider.say = lambda body: openai_says(body, usage={})
    usual = (await gateway.paint(model="xai/grok", n=2)).json["usage"]
    assert (usual["units"], usual["cost_estimate"], usual["estimated"]) == ({"images:1k": 2}, 0.04, False)
    assert (await gateway.paint(model="xai/grok", size="1:1@2k")).json["usage"]["cost_estimate"] == 0.07


async def test_what_the_provider_says_that_it_charges_is_the_cost(gateway: Gateway) -> None:
    gateway.provider.say = lambda body: openai_says(body, usage={"cost_in_usd_ticks": 300_000_000})
    usage = (await gateway.paint(model="xai/grok", n=2)).json["usage"]
    assert (usage["units"], usage["cost_estimate"]) == ({"images:1k": 2}, 0.03)


async def test_what_a_filter_took_is_missing_and_all_of_it_is_an_error_that_is_charged(gateway: Gateway) -> None:
    gateway.provider.say = lambda body: openai_says({**body, "n": 1})
    assert len((await gateway.paint(n=3)).json["data"]) == 1
    blocked = {"candidates": [{"finishReason": "IMAGE_SAFETY"}], "usageMetadata": {"promptTokenCount": 6}}
    gateway.provider.say = lambda _: Whole(200, json.dumps(blocked).encode())
    answer = await gateway.paint(model="google/gemini")
    error = answer.json["error"]
    assert (answer.status, error["code"], error["provider_code"]) == (400, "validation_error", "content_filter")
    assert "IMAGE_SAFETY" in error["message"]
    assert gateway.usage[-1].cost_nano_usd == 6 * 5_000


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "OTHER", "IMAGE_OTHER", "NO_IMAGE", "NEW_REASON"])
async def test_an_answer_without_an_image_for_another_reason_is_the_providers_failure(
    gateway: Gateway, reason: str
) -> None:
    told = {"promptTokenCount": 6, "thoughtsTokenCount": 1050}
    ended = {"candidates": [{"finishReason": reason}], "usageMetadata": told}
    gateway.provider.say = lambda _: Whole(200, json.dumps(ended).encode())
    answer = await gateway.paint(model="google/gemini")
    error = answer.json["error"]
    assert (answer.status, error["code"], error["provider_code"]) == (502, "provider_error", reason)
    assert_told_as_paid(answer, 6 * 5_000 + 1050 * 10_000)


async def test_images_that_xai_moderated_are_withheld_and_paid(gateway: Gateway) -> None:
    taken = {"b64_json": "", "url": "", "respect_moderation": False, "revised_prompt": ""}
    said = {"data": [taken], "usage": {"cost_in_usd_ticks": 200_000_000}}
    gateway.provider.say = lambda _: Whole(200, json.dumps(said).encode())
    answer = await gateway.paint(model="xai/grok")
    error = answer.json["error"]
    assert (answer.status, error["code"], error["provider_code"]) == (400, "validation_error", "content_filter")
    assert_told_as_paid(answer, 20_000_000)


async def test_an_answer_without_images_or_figures_costs_what_was_held(gateway: Gateway) -> None:
    gateway.provider.say = lambda _: Whole(200, b'{"data": []}')
    answer = await gateway.paint(quality="high")
    assert answer.status == 502
    assert gateway.usage[-1].cost_nano_usd is not None
    assert gateway.usage[-1].cost_nano_usd > 1000 * 40_000


# -- where the bytes are -------------------------------------------------------------------------------------------


def linked(_: Any) -> Whole:
    body = {"data": [{"url": "https://imgen.example/a.png", "mime_type": "image/png"}]}
    return Whole(200, json.dumps(body).encode())


async def test_what_is_behind_a_providers_url_is_read_by_the_guarded_fetcher_and_stored(gateway: Gateway) -> None:
    fetcher = gateway.world.fetcher
    assert isinstance(fetcher, FixedFetcher)
    fetcher.there["https://imgen.example/a.png"] = StoredFile(painted("far"), "image/png", "")
    gateway.provider.say = linked
    (image,) = (await gateway.paint(model="xai/grok")).json["data"]
    assert fetcher.fetched == ["https://imgen.example/a.png"]
    assert gateway.in_storage(image) == painted("far")


async def test_time_of_images_that_are_read_together_counts_once(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)
    manual: ManualClock = clock
    both = asyncio.Barrier(2)

    class Slow(FixedFetcher):
        async def fetch(self, *_: Any) -> StoredFile:
            if await both.wait() == 0:
                manual.running_s += 1
            await both.wait()
            return StoredFile(painted("far"), "image/png", "")

    gateway.world = replace(gateway.world, fetcher=Slow())
    item = {"url": "https://imgen.example/a.png"}
    gateway.provider.say = lambda _: Whole(200, json.dumps({"data": [item, item]}).encode())
    report = (await gateway.paint(model="xai/grok", n=2)).json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (1000, 0)


@pytest.mark.parametrize("found", [None, InvalidRequest("An address that must not be read.")])
async def test_a_url_that_cannot_be_read_is_the_providers_error_and_paid(gateway: Gateway, found: Any) -> None:
    fetcher = gateway.world.fetcher
    assert isinstance(fetcher, FixedFetcher)
    if found is not None:
        fetcher.there["https://imgen.example/a.png"] = found
    gateway.provider.say = linked
    answer = await gateway.paint(model="xai/grok")
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (502, "provider_error", None)
    assert "imgen" not in answer.json["error"]["message"]
    assert [record.cost_nano_usd for record in gateway.usage] == [20_000_000]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{}]}',
        b'{"data": [{"b64_json": "!"}]}',
        b'{"data": [{"b64_json": "aGVsbG8="}]}',
        b'{"error": {"message": "later"}}',
    ],
)
async def test_nonsense_is_the_providers_error(gateway: Gateway, body: bytes) -> None:
    gateway.provider.say = lambda _: Whole(200, body)
    answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    if b"later" not in body:  # which says itself that it did nothing
        assert_told_as_paid(answer, gateway.usage[-1].cost_nano_usd)


class Hanging(MemoryFiles):
    async def put(self, tenant_id: str, file: File, data: bytes) -> None:
        await asyncio.Event().wait()


async def test_storing_ends_by_the_deadline_of_the_answer(gateway: Gateway) -> None:
    """However long everything before it took."""
    clock = gateway.world.clock
    gateway.world = replace(gateway.world, files=Hanging(clock))

    def slowly(body: Any) -> Whole:
        assert isinstance(clock, ManualClock)
        clock.running_s += ANSWER_S - 0.05
        return openai_says(body)

    gateway.provider.say = slowly
    async with asyncio.timeout(5):
        answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert [record.cost_nano_usd for record in gateway.usage] == [4 * 5_000 + 100 * 40_000]


async def test_a_job_that_waited_and_took_its_time_is_stored_all_the_same(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)

    class Slow(MemoryFiles):
        async def put(self, tenant_id: str, file: File, data: bytes) -> None:
            await asyncio.sleep(0.01)  # lets a deadline that has come strike
            await super().put(tenant_id, file, data)

    def slowly(body: Any) -> Whole:
        clock.running_s += ANSWER_S
        return openai_says(body)

    gateway.world, gateway.provider.say = replace(gateway.world, files=Slow(clock)), slowly
    accepted = await gateway.paint(**{"async": True})
    clock.unix_s, clock.running_s = clock.unix_s + 3_600, clock.running_s + 3_600
    job = await ask(await gateway.world.jobs.get("acme", accepted.json["id"]), gateway.world)
    assert (job.status, job.error) == ("completed", None)


async def test_a_provider_is_waited_for_until_there_is_just_time_to_store(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pipeline.images.KEEP_S", MAX_BEGIN_MS / 1000 - 0.05)

    class Silent(Provider):
        @asynccontextmanager
        async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
            note_sent(sending)
            await asyncio.Event().wait()
            yield Whole(200, b"")

    gateway.world = replace(gateway.world, outbound=Silent(openai_says))
    async with asyncio.timeout(5):
        answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["code"]) == (504, "provider_timeout")


async def test_storage_that_fails_is_told_as_such_and_the_provider_was_paid(gateway: Gateway) -> None:
    class Full(MemoryFiles):
        async def put(self, tenant_id: str, file: File, data: bytes) -> None:
            raise StorageUnavailable("Files cannot be stored at the moment.")

    gateway.world = replace(gateway.world, files=Full(gateway.world.clock))
    answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert [record.cost_nano_usd for record in gateway.usage] == [4 * 5_000 + 100 * 40_000]
    assert_told_as_paid(answer, 4 * 5_000 + 100 * 40_000)


# -- governance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"quality": "low"}, 150),
        ({}, 1050),
        ({"n": 3}, 3150),
        ({"quality": "low", "size": "3840x2160"}, 528 + 50),
        ({"model": "google/gemini"}, 1050),
    ],
)
async def test_a_budget_holds_the_most_it_can_cost(gateway: Gateway, body: dict[str, Any], tokens: int) -> None:
    """All that is written at the price of images; the prompt has five bytes and what is put around it."""
    most = (5 + 64) * 5_000 + tokens * 40_000
    for short in (1, 0):
        budget = Budget(window="day", usd=Decimal(most - short) / 10**9)
        gateway.allow(allowance=Allowance(budgets=(budget,)))
        answer = await gateway.paint(**body)
        assert (answer.status == 402) is bool(short)
        assert bool(gateway.provider.sent) is not bool(short)


async def test_a_model_without_a_price_is_refused_where_money_is_limited(gateway: Gateway) -> None:
    gateway.allow(allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(1)),)))
    unpriced = await gateway.paint(model="openai/new")
    assert (unpriced.status, unpriced.json["error"]["code"]) == (400, "price_unknown")


async def test_what_is_held_for_is_what_gemini_is_told(gateway: Gateway) -> None:
    await gateway.paint(model="google/gemini")
    (request,) = gateway.provider.sent
    assert isinstance(request, HttpRequest)
    assert json.loads(request.body)["generationConfig"]["maxOutputTokens"] == 1050


async def test_a_key_needs_the_scope(gateway: Gateway) -> None:
    gateway.access.held[key_hash(KEY)] = principal(TENANT, scopes=("chat",))
    assert (await gateway.paint()).json["error"]["code"] == "scope_missing"


async def test_no_record_has_content(gateway: Gateway) -> None:
    await gateway.paint(prompt="strictly private")
    records = gateway.world.records
    assert isinstance(records, ListRecords)
    assert "private" not in msgspec.json.encode(records.written).decode()
    assert "private" not in msgspec.json.encode(gateway.usage).decode()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", ROUTE, 405), ("POST", "/v1/images/edits", 404)])
async def test_other_routes_and_methods(gateway: Gateway, method: str, path: str, status: int) -> None:
    answer = await call(images_app(gateway.world), b"", {}, method=method, path=path)
    assert answer.status == status
