"""What is held for a session of voice, and what of it is charged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.errors import BudgetExceeded, GatewayError, ModelNotApproved, ModelNotFound, PriceUnknown
from gateway.model.ledger import minute_of
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.realtime import SessionConfig
from gateway.model.realtime_session import Books, Taken
from gateway.model.tenant import Tenant
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.pipeline.realtime_admitted import exchange_of
from gateway.pipeline.realtime_books import SessionBooks
from gateway.pipeline.realtime_demand import AHEAD_TOKENS
from gateway.pipeline.realtime_lease import Holding
from gateway.pipeline.route import Route
from gateway.providers.contract.realtime import Used
from gateway.providers.lookup import provider_named
from tests.unit.realtime_gateway import CONNECTION, TENANT, VOICE, RealtimeGateway

HEARD, SAID = 32_000, 64_000
"""Nano-USD of a token of sound."""
ANSWER = 4_096
TURN = TokenUsage(
    prompt_tokens=100,
    completion_tokens=50,
    prompt=PromptTokensDetails(audio_tokens=100),
    completion=CompletionTokensDetails(audio_tokens=50),
)
TURN_NANO_USD = 100 * HEARD + 50 * SAID


@pytest.fixture
def gateway() -> RealtimeGateway:
    return RealtimeGateway()


async def books_of(gateway: RealtimeGateway, tenant: Tenant = TENANT, *, epoch: int = 1) -> SessionBooks:
    if CONNECTION not in gateway.sessions.held:
        gateway.hold(tenant)
        assert (await gateway.connect())["statusCode"] == 200
    taken = await gateway.sessions.take(CONNECTION, epoch, gateway.clock.now_s())
    assert taken is not None
    return await begun(gateway, taken, epoch)


async def begun(gateway: RealtimeGateway, taken: Taken, epoch: int) -> SessionBooks:
    clock, world = gateway.clock, gateway.world
    holding = Holding(CONNECTION, epoch, gateway.sessions, clock, clock.monotonic_s())
    route: Any = Route(provider_named("openai"), VOICE, "openai_realtime")
    exchange = await exchange_of(taken.admitted, world)
    books = SessionBooks(taken.books, route, exchange, holding, world)
    await books.begin(taken.admitted.config, (), follows=epoch > 1)
    return books


def budgeted(usd: str, **settings: Any) -> Tenant:
    return replace(TENANT, allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(usd)),)), **settings)


async def held_nano_usd(gateway: RealtimeGateway) -> set[int]:
    """In each account."""
    return {
        hold.cost_nano_usd async for _, reading in gateway.world.ledger.accounts() for hold in reading.holds.values()
    }


async def test_one_more_response_is_always_held(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    first = AHEAD_TOKENS * HEARD + ANSWER * SAID
    assert await held_nano_usd(gateway) == {first}
    await books.response_begins("r1")
    await books.response_ends(("r1",), [Used(TURN)])
    assert await held_nano_usd(gateway) == {first + TURN_NANO_USD + 150 * HEARD}
    assert (books.usage, books.cost_nano_usd) == (TURN, TURN_NANO_USD)


async def test_what_is_said_is_held_before_it_is_more_than_there_is_room_for(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    before = await held_nano_usd(gateway)
    books.hear(AHEAD_TOKENS // 2)
    await books.make_room()
    assert await held_nano_usd(gateway) == before
    books.hear(1)
    await books.make_room()
    assert await held_nano_usd(gateway) == {((AHEAD_TOKENS // 2 + 1) + AHEAD_TOKENS) * HEARD + ANSWER * SAID}


async def test_a_conversation_is_no_longer_than_its_model_reads(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    books.hear(1_000_000)
    await books.make_room()
    assert await held_nano_usd(gateway) == {32_000 * HEARD + ANSWER * SAID}


async def test_there_is_no_room_for_what_the_budget_does_not_pay(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("0.37"))
    books.hear(3 * AHEAD_TOKENS)
    with pytest.raises(BudgetExceeded):
        await books.make_room()
    assert books.told_output_tokens == ANSWER


async def test_what_was_said_before_a_response_is_in_its_prompt_and_what_came_after_is_not(
    gateway: RealtimeGateway,
) -> None:
    books = await books_of(gateway, budgeted("5"))
    books.hear(1_000)
    await books.response_begins("r1")
    books.hear(30)
    await books.response_ends(("r1",), [Used(TURN)])
    context = 150 + 30
    assert await held_nano_usd(gateway) == {TURN_NANO_USD + (context + AHEAD_TOKENS) * HEARD + ANSWER * SAID}


@pytest.mark.parametrize(
    ("tenant", "model", "refusal"),
    [
        (TENANT, "whisper-9", ModelNotFound),
        (replace(TENANT, approvals=("openai/gpt-*",)), "whisper-1", ModelNotApproved),
        (budgeted("5"), "whisper-1", PriceUnknown),
        (TENANT, "whisper-1", None),
    ],
)
async def test_a_model_that_writes_down_has_to_be_allowed(
    gateway: RealtimeGateway, tenant: Tenant, model: str, refusal: type[GatewayError] | None
) -> None:
    books = await books_of(gateway, tenant)
    if refusal is None:
        await books.configure(SessionConfig(), [model])
        return
    with pytest.raises(refusal) as refused:
        await books.configure(SessionConfig(), [model])
    assert refused.value.param == "session.audio.input.transcription.model"


@pytest.mark.parametrize(
    ("policy", "cost_nano_usd"), [("charge", 200 * HEARD + ANSWER * SAID), ("release", 200 * 4_000 + 10 * SAID)]
)
async def test_a_response_that_is_lost(gateway: RealtimeGateway, policy: Any, cost_nano_usd: int) -> None:
    """All that was held for it, or what was counted, as the tenant says."""
    books = await books_of(gateway, budgeted("5", lost_requests=policy))
    books.hear(200)
    await books.response_begins("r1")
    books.say("r1", 10)
    await books.lose()
    await books.lose()
    assert (books.cost_nano_usd, books.usage.estimated) == (cost_nano_usd, True)


async def test_a_follower_knows_of_the_response_that_died_with_its_function(gateway: RealtimeGateway) -> None:
    first = await books_of(gateway, budgeted("5"))
    first.hear(200)
    await first.response_begins("r1")
    await gateway.clock.sleep(10)
    follower = await books_of(gateway, epoch=2)
    assert follower.cost_nano_usd == 200 * HEARD + ANSWER * SAID
    assert not follower.is_answering


async def test_a_follower_takes_what_is_held_as_it_stands(gateway: RealtimeGateway) -> None:
    first = await books_of(gateway, budgeted("5"))
    await first.response_begins("r1")
    await first.response_ends(("r1",), [Used(TURN)])
    held = await held_nano_usd(gateway)
    await gateway.clock.sleep(10)
    follower = await books_of(gateway, epoch=2)
    assert await held_nano_usd(gateway) == held
    assert (follower.usage, follower.cost_nano_usd) == (TURN, TURN_NANO_USD)


async def test_tokens_count_in_the_minute_in_which_they_are_used(gateway: RealtimeGateway) -> None:
    limits = (Limits(tokens_per_minute=100_000), Limits(models="openai/*", tokens_per_minute=90_000))
    books = await books_of(gateway, replace(TENANT, allowance=Allowance(limits=limits)))
    await gateway.clock.sleep(120)
    await books.response_begins("r1")
    await books.response_ends(("r1",), [Used(TURN)])
    minute = f"t{minute_of(gateway.clock.now_s())}"
    found = [reading.numbers async for _, reading in gateway.world.ledger.accounts()]
    counted = [number for numbers in found for name, number in numbers.items() if name.partition("/")[0] == minute]
    assert counted == [150, 150]


async def test_each_model_is_an_attempt_of_its_own(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway)
    await books.response_begins("r1")
    await books.response_ends(("r1",), [Used(TURN)])
    await books.use([Used(TokenUsage(prompt_tokens=9), "whisper-1")])
    beside, own = books.attempts()
    assert (beside.route.model_id, own.route.model_id) == ("openai/whisper-1", "openai/gpt-realtime")
    assert (own.usage, own.cost_nano_usd, beside.cost_nano_usd) == (TURN, TURN_NANO_USD, None)
    assert books.cost_nano_usd is None
    assert gateway.sessions.held[CONNECTION].books != Books()


async def test_what_a_response_that_was_broken_off_has_cost_may_be_told_later(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    await books.response_begins("r1")
    await books.response_ends(("r1",), [])
    assert books.is_answering
    await books.use([Used(TURN)])
    assert not books.is_answering
    await books.lose()
    assert books.cost_nano_usd == TURN_NANO_USD


async def test_a_response_that_failed_says_nothing_about_the_conversation(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    books.hear(200)
    await books.response_begins("r1")
    await books.response_ends(("r1",), [Used(TokenUsage())])
    assert (books.is_answering, books.cost_nano_usd) == (False, 0)
    assert await held_nano_usd(gateway) == {(200 + AHEAD_TOKENS) * HEARD + ANSWER * SAID}


async def test_what_it_begins_with_is_part_of_what_is_held(gateway: RealtimeGateway) -> None:
    """Of a client secret that instructs at length."""
    gateway.hold(budgeted("5"))
    body = {"session": {"type": "realtime", "model": "voice", "instructions": "Be brief. " * 900}}
    secret = (await gateway.make_secret(body)).json["value"]
    assert (await gateway.connect(None, {"Authorization": f"Bearer {secret}"}))["statusCode"] == 200
    [held] = await held_nano_usd(gateway)
    assert held >= (9_000 + AHEAD_TOKENS) * HEARD + ANSWER * SAID
    taken = await gateway.sessions.take(CONNECTION, 1, gateway.clock.now_s())
    assert taken is not None
    books = await begun(gateway, taken, epoch=1)
    await books.response_begins("r1")
    await books.response_ends(("r1",), [Used(TokenUsage())])
    assert await held_nano_usd(gateway) == {held}


async def test_of_a_response_that_is_lost_the_next_one_has_no_room(gateway: RealtimeGateway) -> None:
    """Until as much is held again."""
    books = await books_of(gateway, budgeted("0.6"))
    books.hear(200)
    await books.response_begins("r1")
    lost = 200 * HEARD + ANSWER * SAID
    with pytest.raises(BudgetExceeded):
        await books.lose_and_hold()
    assert books.cost_nano_usd == lost


async def test_of_one_that_nobody_has_told_of_yet_as_much_is_held_besides(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    one = AHEAD_TOKENS * HEARD + ANSWER * SAID
    await books.response_begins("r1")
    await books.response_ends(("r1",), [])
    assert await held_nano_usd(gateway) == {2 * one}


async def test_responses_beside_the_conversation_are_each_held_for(gateway: RealtimeGateway) -> None:
    """Any number of them may go on at once; what they read says nothing about the conversation."""
    books = await books_of(gateway, budgeted("1.1"))
    books.hear(1_000)
    one = (1_000 + AHEAD_TOKENS) * HEARD + ANSWER * SAID
    await books.ask_beside(None)
    assert await held_nano_usd(gateway) == {2 * one}
    with pytest.raises(BudgetExceeded):
        await books.ask_beside(None)
    await books.response_begins("r1")
    await books.response_ends(("r1",), [Used(TURN, is_beside=True)])
    await books.ask_beside(None)
    assert min(await held_nano_usd(gateway)) == 2 * one + TURN_NANO_USD


async def test_a_follower_holds_for_what_was_said_since_the_last_response(gateway: RealtimeGateway) -> None:
    first = await books_of(gateway, budgeted("5"))
    first.hear(5_000)
    await first.keep()
    await gateway.clock.sleep(10)
    await books_of(gateway, epoch=2)
    assert await held_nano_usd(gateway) == {(5_000 + AHEAD_TOKENS) * HEARD + ANSWER * SAID}


@pytest.mark.parametrize(
    ("policy", "one_nano_usd"), [("charge", 200 * HEARD + ANSWER * SAID), ("release", 200 * 4_000 + 10 * SAID)]
)
async def test_of_several_that_are_lost_each_is_charged(
    gateway: RealtimeGateway, policy: Any, one_nano_usd: int
) -> None:
    """And nothing twice of the one that was told of."""
    books = await books_of(gateway, budgeted("5", lost_requests=policy))
    books.hear(200)
    for name in ("r1", "r2", "r3"):
        await books.ask_beside(None)
        await books.response_begins(name)
        books.say(name, 10)
    await books.response_ends(("r1",), [Used(TURN, is_beside=True)])
    await books.response_ends(("r2",), [])
    await books.lose_and_hold()
    assert books.cost_nano_usd == TURN_NANO_USD + 2 * one_nano_usd
    assert not books.is_answering


async def test_a_follower_charges_each_that_died_with_its_function(gateway: RealtimeGateway) -> None:
    first = await books_of(gateway, budgeted("5"))
    first.hear(200)
    for name in ("r1", "r2"):
        await first.ask_beside(None)
        await first.response_begins(name)
    await gateway.clock.sleep(10)
    follower = await books_of(gateway, epoch=2)
    assert follower.cost_nano_usd == 2 * (200 * HEARD + ANSWER * SAID)


async def test_what_is_told_while_the_next_goes_on_is_of_the_next(gateway: RealtimeGateway) -> None:
    """The one before was broken off, and may still be told of, or is lost."""
    books = await books_of(gateway, budgeted("5"))
    await books.response_begins("r1")
    await books.response_ends(("r1",), [])
    await books.response_begins("r2")
    await books.use([Used(TURN)])
    await books.response_ends(("r2",), [])
    assert books.is_answering
    await books.use([Used(TURN)])
    assert not books.is_answering
    assert books.cost_nano_usd == 2 * TURN_NANO_USD


async def test_two_that_end_with_one_message_are_told_of_with_it(gateway: RealtimeGateway) -> None:
    books = await books_of(gateway, budgeted("5"))
    await books.response_begins("r1")
    await books.response_begins("r2")
    await books.response_ends(("r1", "r2"), [Used(TURN)])
    assert not books.is_answering
