"""POST /v1/embeddings in memory: OpenAI's shape, splitting, conversion, what is refused and what is charged."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.entry.embeddings import ROUTE, embeddings_app
from gateway.model.catalog import EmbeddingFacts, ModelFacts, Prices, UnitPrice
from gateway.model.http import Credential, HttpRequest, HttpResponse, Sending
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.record import UsageRecord
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from gateway.pipeline.embeddings_parts import PARTS_AT_ONCE
from gateway.ports import World
from tests.asgi import Answer, call
from tests.fakes import (
    ListEvents,
    ListRecords,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, TENANT

PRICE = 20_000
MODELS = {
    "openai": {
        "small": ModelFacts(
            id="small",
            name="",
            api="embeddings",
            source="https://example.org",
            context_tokens=100,
            prices=Prices(input=PRICE, output=0),
            embedding=EmbeddingFacts(dimensions=4, min_dimensions=1, max_inputs=3, max_tokens=60),
        ),
        "fixed": ModelFacts(id="fixed", name="", api="embeddings", source="x", embedding=EmbeddingFacts(dimensions=4)),
        "some": ModelFacts(
            id="some", name="", api="embeddings", source="x", embedding=EmbeddingFacts(dimensions=4, choices=(2, 4))
        ),
        "free": ModelFacts(id="free", name="", api="embeddings", source="x"),
        "gpt": ModelFacts(id="gpt", name="", source="x"),
    },
    "mistral": {"mistral-embed": ModelFacts(id="mistral-embed", name="", api="embeddings", source="x")},
    "vertex": {
        "old": ModelFacts(
            id="old",
            name="",
            api="predict",
            source="x",
            prices=Prices(input=0, output=0),
            unit_prices=(UnitPrice(unit="characters", pico_usd=25_000),),
        )
    },
    "ollama": {"mine": ModelFacts(id="mine", name="mine")},
}


@dataclass
class Whole:
    """An answer that comes when it is let."""

    status: int
    body: bytes
    hold: Callable[[], Awaitable[Any]] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def whole(self) -> HttpResponse:
        if self.hold is not None:
            await self.hold()
        return HttpResponse(self.status, self.headers, self.body)


@dataclass
class Provider:
    """Answers as `say` does; OpenAI's own vectors tell which text they are of."""

    say: Callable[[Any], Whole]
    sent: list[HttpRequest] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
        self.sent.append(request)
        note_sent(sending)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield self.say(json.loads(request.body))
        finally:
            self.at_once -= 1

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.sent]


def vector_of(text: str) -> list[float]:
    return [float(byte) for byte in text.encode()[:4].ljust(4)]


def openai_says(body: Any, **members: Any) -> Whole:
    """Backwards, as nobody forbids it."""
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    items = [{"object": "embedding", "index": at, "embedding": vector_of(one)} for at, one in enumerate(inputs)]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    reply = {"object": "list", "data": items[::-1], "model": "small", "usage": usage, **members}
    return Whole(200, json.dumps(reply).encode())


@dataclass
class Gateway:
    world: World
    provider: Provider
    access: MemoryAccess

    async def embed(self, **body: Any) -> Answer:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        body = {"model": "openai/small", **body}
        return await call(embeddings_app(self.world), json.dumps(body).encode(), headers, path=ROUTE)

    def allow(self, **tenant: Any) -> None:
        self.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(TENANT, **tenant))

    @property
    def usage(self) -> list[UsageRecord]:
        assert isinstance(self.world.events, ListEvents)
        return [told for told in self.world.events.told if isinstance(told, UsageRecord)]


def embedding_gateway() -> Gateway:
    access, provider = MemoryAccess(), Provider(openai_says)
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers by what it is asked
    made = Gateway(world, provider, access)
    made.allow(approvals=("*",))
    return made


@pytest.fixture
def gateway() -> Gateway:
    return embedding_gateway()


async def test_the_reply_is_openais_with_cost_and_report(gateway: Gateway) -> None:
    answer = await gateway.embed(input=["ab", "cd"], metadata={"conversation_id": "c-1"})
    reply = answer.json
    assert answer.status == 200
    assert (reply["object"], reply["model"]) == ("list", "openai/small")
    assert [item["object"] for item in reply["data"]] == ["embedding", "embedding"]
    assert [item["index"] for item in reply["data"]] == [0, 1]
    assert [item["embedding"] for item in reply["data"]] == [vector_of("ab"), vector_of("cd")]
    assert reply["usage"] == {"prompt_tokens": 2, "total_tokens": 2, "cost_estimate": 4e-8, "estimated": False}
    assert reply["gateway"]["model_used"] == "openai/small"
    (record,) = gateway.usage
    assert (record.of.operation, record.of.conversation_id, record.outcome) == ("embeddings", "c-1", "ok")
    assert (record.cost_nano_usd, record.usage and record.usage.prompt_tokens) == (40, 2)
    assert answer.headers["x-gateway-request-id"] == reply["gateway"]["request_id"]


async def test_a_text_alone_and_its_options_pass_as_they_are(gateway: Gateway) -> None:
    await gateway.embed(
        input="ab", dimensions=2, encoding_format="base64", user=None, provider_options={"openai": {"extra": 1}}
    )
    expected = {"model": "small", "input": "ab", "dimensions": 2, "encoding_format": "base64", "extra": 1}
    assert gateway.provider.bodies == [expected]


async def test_numbers_that_pass_are_not_even_read(gateway: Gateway) -> None:
    """So they keep every digit, also those that no float has."""
    odd = "[1.10,1E-400,0.30000000000000000000001]"
    body = b'{"data":[{"index":0,"embedding":%s}],"usage":{"prompt_tokens":1}}' % odd.encode()
    gateway.provider.say = lambda _: Whole(200, body)
    assert odd.encode() in (await gateway.embed(input="a")).body


async def test_base64_is_made_where_the_provider_sends_numbers(gateway: Gateway) -> None:
    reply = (await gateway.embed(input=["ab"], encoding_format="base64")).json
    assert b64decode(reply["data"][0]["embedding"]) == b"".join(
        [b"\x00\x00\xc2\x42", b"\x00\x00\xc4\x42", b"\x00\x00\x00\x42", b"\x00\x00\x00\x42"]
    )


async def test_numbers_are_made_where_the_provider_sends_base64(gateway: Gateway) -> None:
    packed = b64encode(b"\x00\x00\xc2\x42").decode()
    gateway.provider.say = lambda _: Whole(200, json.dumps({"data": [{"embedding": packed}]}).encode())
    assert (await gateway.embed(input=["ab"])).json["data"][0]["embedding"] == [97.0]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "validation_error", "input"),
        ({"input": []}, "validation_error", "input"),
        ({"input": ""}, "validation_error", "input"),
        ({"input": ["a", ""]}, "validation_error", "input[1]"),
        ({"input": [[1], []]}, "validation_error", "input[1]"),
        ({"input": ["a", 1]}, "validation_error", "input"),
        ({"input": [1, [1]]}, "validation_error", "input"),
        ({"input": [-1]}, "validation_error", "input[0]"),
        ({"input": [1.5]}, "validation_error", "input[0]"),
        ({"input": [{"type": "image_url"}]}, "validation_error", "input[0]"),
        ({"input": ["a"] * 2049}, "validation_error", "input"),
        ({"input": [[7] * 200] * 1501, "model": "openai/free"}, "validation_error", "input"),
        ({"input": "a", "dimensions": 0}, "validation_error", "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "validation_error", "encoding_format"),
        ({"input": "a", "stream": True}, "validation_error", "stream"),
        ({"input": "a", "metadata": {"team": "x"}}, "capability_not_supported", "metadata"),
        ({"input": "a", "metadata": {"conversation_id": "a b"}}, "validation_error", "metadata.conversation_id"),
        ({"input": "a", "provider_options": {"openai": {"input": "b"}}}, "capability_not_supported", None),
        ({"input": ["ok", "a" * 1001]}, "validation_error", "input[1]"),
        ({"input": [[7] * 101]}, "validation_error", "input[0]"),
        ({"input": "a", "dimensions": 5}, "validation_error", "dimensions"),
        ({"input": "a", "model": "openai/some", "dimensions": 3}, "validation_error", "dimensions"),
        ({"input": "a", "model": "openai/fixed", "dimensions": 3}, "capability_not_supported", "dimensions"),
        ({"input": "a", "model": "openai/gpt"}, "capability_not_supported", "model"),
        ({"input": "a", "model": "openai/nope"}, "model_not_found", "model"),
        ({"input": [7], "model": "mistral/mistral-embed"}, "capability_not_supported", "input"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name_unsent_and_free(
    gateway: Gateway, body: dict[str, Any], code: str, param: str | None
) -> None:
    answer = await gateway.embed(**body)
    error = answer.json["error"]
    assert answer.status in (400, 404)
    assert error["code"] == code, error
    assert param is None or error["param"] == param, error
    assert gateway.provider.sent == []
    assert all(record.cost_nano_usd == 0 for record in gateway.usage)


@pytest.mark.parametrize(
    "body",
    [
        {"dimensions": 4, "model": "openai/fixed"},
        {"dimensions": 2, "model": "openai/some"},
        {"dimensions": 1},
        {"dimensions": 99, "model": "openai/free"},
    ],
)
async def test_dimensions_that_can_be_had_are_asked_for(gateway: Gateway, body: dict[str, Any]) -> None:
    assert (await gateway.embed(input="a", **body)).status == 200
    assert gateway.provider.bodies[0]["dimensions"] == body["dimensions"]


async def test_tokens_pass_where_the_provider_takes_them(gateway: Gateway) -> None:
    gateway.provider.say = lambda body: openai_says({"input": ["x"] * len(body["input"])})
    assert (await gateway.embed(input=[[1, 2], [3]])).status == 200
    assert gateway.provider.bodies[0]["input"] == [[1, 2], [3]]
    gateway.provider.say = lambda _: openai_says({"input": "x"})
    assert (await gateway.embed(input=[1, 2])).status == 200
    assert gateway.provider.bodies[1]["input"] == [1, 2]


async def test_a_model_passed_on_by_name_alone_is_taken_for_one_of_vectors(gateway: Gateway) -> None:
    gateway.provider.say = lambda _: Whole(200, b'{"embeddings": [[1, 2]], "prompt_eval_count": 3}')
    local = Credential(Secret(""), "http://127.0.0.1:11434/v1")
    gateway.world.credentials.held["ollama"] = local  # type: ignore[attr-defined]  # the fake has it
    reply = (await gateway.embed(model="ollama/mine", input="a")).json
    assert (reply["data"][0]["embedding"], reply["usage"]["cost_estimate"]) == ([1, 2], None)
    assert gateway.provider.sent[0].url == "http://127.0.0.1:11434/api/embed"


async def test_a_long_list_is_split_to_the_limits_and_joined_in_order(gateway: Gateway) -> None:
    """Three inputs a request, and 60 bytes, which are 60 tokens at most."""
    texts = ["a", "b", "c", "d", "e" * 40, "f" * 19, "g" * 2, "h"]
    reply = (await gateway.embed(input=texts)).json
    asked = sorted((body["input"] for body in gateway.provider.bodies), key=lambda inputs: texts.index(inputs[0]))
    assert asked == [["a", "b", "c"], ["d", "e" * 40, "f" * 19], ["g" * 2, "h"]]
    assert [item["embedding"] for item in reply["data"]] == [vector_of(text) for text in texts]
    assert [item["index"] for item in reply["data"]] == list(range(8))
    assert reply["usage"]["prompt_tokens"] == 8
    assert reply["usage"]["cost_estimate"] == 8 * PRICE / 1e12
    assert len(reply["gateway"]["attempts"]) == 1
    assert [record.cost_nano_usd for record in gateway.usage] == [8 * PRICE // 1000]


async def test_a_single_input_is_never_split(gateway: Gateway) -> None:
    await gateway.embed(input=["x" * 90, "y"])
    assert [body["input"] for body in gateway.provider.bodies] == [["x" * 90], ["y"]]


async def test_a_few_parts_are_asked_at_a_time(gateway: Gateway) -> None:
    pause = asyncio.Event()

    def say(body: Any) -> Whole:
        whole = openai_says(body)
        whole.hold = pause.wait
        if gateway.provider.at_once == PARTS_AT_ONCE:
            asyncio.get_running_loop().call_later(0, pause.set)
        return whole

    gateway.provider.say = say
    reply = (await gateway.embed(input=[f"{number:04}" for number in range(60)])).json
    assert gateway.provider.most_at_once == PARTS_AT_ONCE
    assert len(gateway.provider.sent) == 20
    assert [item["embedding"] for item in reply["data"]] == [vector_of(f"{number:04}") for number in range(60)]


async def test_time_of_parts_that_are_asked_together_counts_once(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)
    together: list[asyncio.Event] = []

    async def hold() -> None:
        together.append(asyncio.Event())
        if len(together) == 2:
            clock.running_s += 1
            for event in together:
                event.set()
        await together[-1].wait()

    def say(body: Any) -> Whole:
        whole = openai_says(body)
        whole.hold = hold
        return whole

    gateway.provider.say = say
    report = (await gateway.embed(input=["a", "b", "c", "d"])).json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (1000, 0)


async def test_one_failing_part_fails_the_call_and_what_was_answered_or_under_way_is_charged(gateway: Gateway) -> None:
    answered, refused = asyncio.Event(), asyncio.Event()

    async def breaks_off() -> None:
        await refused.wait()
        raise ProviderError("gone")

    def say(body: Any) -> Whole:
        whole = openai_says(body)
        if body["input"][0] == "bad":
            whole = Whole(429, b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}')
            whole.hold = answered.wait
        elif body["input"][0] == "slow" * 5:
            whole.hold = breaks_off
        else:
            asyncio.get_running_loop().call_later(0.01, answered.set)
            asyncio.get_running_loop().call_later(0.02, refused.set)
        return whole

    gateway.provider.say = say
    answer = await gateway.embed(input=["a", "b", "c", "bad", "e", "f", "slow" * 5])
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["level"]) == (
        429,
        "rate_limited",
        "provider",
    )
    assert gateway.provider.at_once == 0
    (record,) = gateway.usage
    assert (record.outcome, record.code) == ("error", "rate_limited")
    assert record.usage is not None
    assert (record.usage.prompt_tokens, record.usage.estimated) == (3 + 5, True)
    # Nobody knows of the slow part, so all is charged that was held: each text's bytes and what a model adds.
    assert record.cost_nano_usd == sum(len(text) + 16 for text in [*"abcef", "bad", "slow" * 5]) * PRICE // 1000


async def test_a_refusal_of_the_only_part_costs_nothing(gateway: Gateway) -> None:
    gateway.provider.say = lambda _: Whole(400, b'{"error": {"message": "no", "param": "input"}}')
    answer = await gateway.embed(input="a")
    assert (answer.status, answer.json["error"]["param"]) == (400, "input")
    assert [(record.cost_nano_usd, record.usage) for record in gateway.usage] == [(0, None)]


async def test_a_silent_provider_times_out_and_is_paid_for_what_it_was_asked(gateway: Gateway) -> None:
    def say(body: Any) -> Whole:
        whole = openai_says(body)
        whole.hold = asyncio.Event().wait
        return whole

    gateway.provider.say = say
    answer = await gateway.embed(input="x" * 41, timeouts={"total_ms": 20})
    assert (answer.status, answer.json["error"]["phase"]) == (504, "total")
    (record,) = gateway.usage
    assert (record.usage and record.usage.prompt_tokens, record.usage and record.usage.estimated) == (11, True)
    assert record.cost_nano_usd == (41 + 16) * PRICE // 1000


async def test_a_tenant_may_have_what_was_counted_charged_where_nobody_knows_more(gateway: Gateway) -> None:
    gateway.allow(lost_requests="release")
    gateway.provider.say = lambda _: Whole(200, b"{")
    assert (await gateway.embed(input="x" * 41)).status == 502
    assert [record.cost_nano_usd for record in gateway.usage] == [11 * PRICE // 1000]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"embedding": [1]}, {"embedding": [2]}]}',
        b'{"data": [{"embedding": "not base64"}]}',
        b'{"data": [{"embedding": {"a": 1}}]}',
        b'{"error": {"message": "later"}}',
    ],
)
async def test_nonsense_is_the_providers_error(gateway: Gateway, body: bytes) -> None:
    gateway.provider.say = lambda _: Whole(200, body)
    answer = await gateway.embed(input="a")
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")


async def test_without_figures_tokens_are_estimated(gateway: Gateway) -> None:
    gateway.provider.say = lambda body: openai_says(body, usage=None)
    usage = (await gateway.embed(input="x" * 9)).json["usage"]
    assert (usage["prompt_tokens"], usage["estimated"]) == (3, True)


async def test_characters_are_paid_where_the_model_is_sold_by_them(gateway: Gateway) -> None:
    vector = {"embeddings": {"values": [1], "statistics": {"token_count": 2}}}
    body = {"predictions": [vector], "metadata": {"billableCharacterCount": 7}}
    gateway.provider.say = lambda _: Whole(200, json.dumps(body).encode())
    credential = gateway.world.credentials.held["openai"]  # type: ignore[attr-defined]
    gateway.world.credentials.held["vertex"] = credential  # type: ignore[attr-defined]
    reply = (await gateway.embed(model="vertex/old", input="ab cd ef g")).json
    assert reply["usage"]["cost_estimate"] == 7 * 25e-9
    (record,) = gateway.usage
    assert (record.units, record.cost_nano_usd) == ({"characters": 7}, 175)
    assert record.usage is not None
    assert record.usage.units == {}


async def test_a_budget_holds_the_most_it_can_cost_and_settles_what_it_did(gateway: Gateway) -> None:
    most = (20 + 16) * PRICE // 1000
    gateway.allow(approvals=("*",), allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(most) / 10**9),)))
    refused = await gateway.embed(input=["x" * 20, "y"])
    assert (refused.status, refused.json["error"]["code"]) == (402, "budget_exceeded")
    assert gateway.provider.sent == []
    passed = await gateway.embed(input="x" * 20)
    assert passed.status == 200
    assert float(passed.headers["x-gateway-budget-remaining-usd"]) >= 0
    again = await gateway.embed(input="x" * 20)
    assert again.status == 402  # 20 nano-USD are spent, so the most no longer fits


async def test_limits_and_unknown_prices_hold_here_too(gateway: Gateway) -> None:
    gateway.allow(approvals=("*",), allowance=Allowance(limits=(Limits(requests_per_minute=1),)))
    assert [(await gateway.embed(input="a")).status for _ in range(2)] == [200, 429]
    gateway.allow(approvals=("*",), allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(1)),)))
    unpriced = await gateway.embed(model="openai/free", input="a")
    assert (unpriced.status, unpriced.json["error"]["code"]) == (400, "price_unknown")


@pytest.mark.parametrize("scopes", [("chat",), ("images", "chat")])
async def test_a_key_needs_the_scope(gateway: Gateway, scopes: Any) -> None:
    holder = principal(Tenant(id="acme", approvals=("*",)), scopes=scopes)
    gateway.access.held[key_hash(KEY)] = holder
    assert (await gateway.embed(input="a")).json["error"]["code"] == "scope_missing"


async def test_no_record_has_content(gateway: Gateway) -> None:
    await gateway.embed(input="strictly private")
    records = gateway.world.records
    assert isinstance(records, ListRecords)
    assert b"private" not in msgspec.json.encode(records.written)
    assert "private" not in msgspec.json.encode(gateway.usage).decode()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", ROUTE, 405), ("POST", "/v1/embedding", 404)])
async def test_other_routes_and_methods(gateway: Gateway, method: str, path: str, status: int) -> None:
    answer = await call(embeddings_app(gateway.world), b"", {}, method=method, path=path)
    assert answer.status == status
