"""What is left of a request's time after what came before, and what is held for it that long."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.call import MAX_BEGIN_MS, Call, Timeouts
from gateway.model.circuit import Rules
from gateway.model.hook import SizeHook
from gateway.model.limits import Allowance, Limits
from gateway.model.tenant import Tenant
from gateway.pipeline.shared_health import SharedHealth
from gateway.pipeline.watch import BEFORE_AND_AFTER_S, lease_s
from tests.asgi import Answer
from tests.fakes import MemoryClaims
from tests.health_store import MemoryHealth
from tests.unit.several_providers import Several, says, stalls
from tests.unit.test_deadlines import GRACE_S, KINDS, Fetcher, Kind, all_do, gateway_in, timed
from tests.unit.test_retries import busy
from tests.virtual_time import VirtualLoop, run


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop()


@pytest.fixture
def gateway(loop: VirtualLoop) -> Several:
    return gateway_in(loop)


class SlowLedger(MemoryLedger):
    takes_s = 0.0

    async def reserve(self, *given: Any, **more: Any) -> Any:
        await asyncio.sleep(self.takes_s)
        return await super().reserve(*given, **more)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_what_was_waited_for_before_anybody_was_asked(loop: VirtualLoop, gateway: Several, kind: Kind) -> None:
    ledger = SlowLedger()
    gateway.world, ledger.takes_s = replace(gateway.world, ledger=ledger), 5.0
    all_do(gateway, stalls)
    got = timed(loop, gateway, kind, timeouts={"total_ms": 240_000}, fallbacks=list(kind.others))
    assert (got.answer.status, gateway.providers.asked[:1]) == (504, ["openai"])
    assert got.took_s <= MAX_BEGIN_MS / 1000 + GRACE_S


@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_too(loop: VirtualLoop, gateway: Several, stream: bool) -> None:
    ledger = SlowLedger()
    gateway.world, ledger.takes_s = replace(gateway.world, ledger=ledger), 5.0
    all_do(gateway, stalls)
    got = timed(loop, gateway, KINDS["chat"], stream=stream)
    assert got.answer.status == 504
    assert MAX_BEGIN_MS / 1000 <= got.took_s <= MAX_BEGIN_MS / 1000 + GRACE_S


class TestWhoHasNoTime:
    """Is not asked: nothing leaves, nothing is charged, and no circuit counts it."""

    @pytest.fixture(autouse=True)
    def _watched(self, gateway: Several) -> None:
        clock, records = gateway.world.clock, gateway.records
        gateway.world = replace(
            gateway.world, health=SharedHealth(Rules(("*",)), 60_000, MemoryHealth(), clock, records)
        )

    @pytest.mark.parametrize(("name", "total_ms"), [("images", 240_000), ("images", 239_500), ("chat", 270_000)])
    def test_the_next_one(self, loop: VirtualLoop, gateway: Several, name: str, total_ms: int) -> None:
        kind = KINDS[name]
        if name == "chat":
            gateway.tenant(hooks=(SizeHook(id="size", stages=("post_response",), max_reply_characters=1_000),))
        all_do(gateway, stalls)
        gateway.provider(kind.others[0].partition("/")[0], kind.made())

        async def four() -> list[Answer]:
            more = {"timeouts": {"total_ms": total_ms}, "fallbacks": [kind.others[0]]}
            failed = [await kind.send(gateway, **more) for _ in range(3)]
            assert gateway.providers.asked == ["openai"] * 3
            return [*failed, await kind.send(gateway, model=kind.others[0])]

        *failed, well = run(loop, four())
        assert [answer.json["error"]["phase"] for answer in failed] == ["total"] * 3
        assert well.status == 200
        assert [record.model for record in gateway.usage] == [*[kind.first] * 3, kind.others[0]]

    def test_the_first_one(self, loop: VirtualLoop, gateway: Several) -> None:
        """Its media came so late that only the time for hooks is left."""
        gateway.tenant(hooks=(SizeHook(id="size", stages=("post_response",), max_reply_characters=1_000),))
        gateway.world = replace(gateway.world, fetcher=Fetcher(270.0, 1))
        said = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/1.png"}}]}]
        gateway.provider("openai", says("Hi"))
        got = timed(loop, gateway, dataclasses.replace(KINDS["chat"], first="openai/sees"), messages=said)
        assert (got.answer.json["error"]["code"], gateway.providers.asked) == ("provider_timeout", [])
        assert [(record.cost_nano_usd, record.usage) for record in gateway.usage] == [(0, None)]


@pytest.mark.parametrize(
    ("total_ms", "max_retries", "longest_ms", "lasts_s"),
    [
        (20_000, 0, 285_000, 20),
        (20_000, 2, 285_000, 3 * 20 + 10),
        (100_000, 2, 285_000, 285),
        (100_000, 2, 840_000, 310),
        (None, 2, 285_000, 285),
    ],
)
def test_it_is_held_for_as_long_as_its_model_may_be_asked(
    total_ms: int | None, max_retries: int, longest_ms: int, lasts_s: float
) -> None:
    call, tenant = Call(model="m", timeouts=Timeouts(total_ms=total_ms)), Tenant(id="acme", max_retries=max_retries)
    assert lease_s(call, tenant, longest_ms) == lasts_s + BEFORE_AND_AFTER_S


@pytest.mark.parametrize(("fallbacks", "status"), [([], 502), (["groq/llama"], 504)])
def test_who_asks_again_still_holds_what_it_was_admitted_with(
    loop: VirtualLoop, gateway: Several, fallbacks: list[str], status: int
) -> None:
    """Its Idempotency-Key too."""
    gateway.tenant(max_retries=2, allowance=Allowance(limits=(Limits(concurrent_requests=1),)))
    clock, claims = gateway.world.clock, gateway.world.claims
    assert isinstance(claims, MemoryClaims)
    left_s: list[float] = []

    async def late() -> Any:
        await asyncio.sleep(90)
        reading = await gateway.world.ledger.read("T#acme#0")
        [hold], [claim] = reading.holds.values(), claims.held.values()
        left_s.extend((hold.until_s - clock.now_s(), claim.until_s - clock.now_s()))
        return busy(503, retry_after="0.5")

    gateway.provider("openai", late)
    gateway.provider("groq", late)
    body = {**KINDS["chat"].body, "model": "openai/gpt", "timeouts": {"total_ms": 100_000}, "fallbacks": fallbacks}
    answer = run(loop, gateway.chat(body, headers={"idempotency-key": "once"}))
    assert (answer.status, len(left_s)) == (status, 6)
    assert min(left_s) > 0
