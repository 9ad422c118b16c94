"""Lines that are made ready for a provider's own batch, and given what comes out of it an hour later."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from gateway.model.chat import Json
from gateway.model.errors import StorageUnavailable
from gateway.model.file import File, StoredFile, new_file_id
from gateway.model.hook import DenyListHook, HookFailed, LambdaHook, MaskPiiHook
from gateway.model.limits import Allowance, Budget
from gateway.model.money import BATCH_TIER
from gateway.pipeline.admit import give_back
from gateway.pipeline.batch_line import CarriedOut
from tests.batch_stage import ACCOUNTS, Stage, chat
from tests.fakes import FixedFetcher, MemoryTypes, ScriptedHooks
from tests.native_stage import (
    COST,
    HOUR_S,
    PNG,
    NativeBatch,
    body_of,
    content_of,
    event_of,
    later,
    mini,
    native_stage,
    one,
    openai_result,
    picture,
    usage_of,
)

LOCATE = "gts.acme.app.geo.locate.v1~"
TYPES: dict[str, Json] = {
    LOCATE: {"$id": f"gts://{LOCATE}", "type": "object", "properties": {"town": {"type": "string"}}}
}


# -- as a request ------------------------------------------------------------------------------------------------------


async def test_a_line_is_asked_as_its_request_and_answered_as_that() -> None:
    batch = await NativeBatch.of([mini(text="Hello?", metadata={"conversation_id": "talk"})])
    ready = await batch.ready()
    piece = json.loads(ready.piece)
    assert (piece["custom_id"], piece["url"]) == ("item-1", "/v1/chat/completions")
    assert piece["body"]["messages"] == [{"role": "user", "content": "Hello?"}]
    assert piece["body"]["model"] == "gpt-4o-mini"
    assert not batch.stage.provider.asked
    later(batch.stage)
    carried = await batch.answered(ready, openai_result("Hello."))
    end, body = carried.end, body_of(carried)
    assert (end.ending, end.status_code, end.custom_id, end.at, end.line) == ("completed", 200, "a", 0, 1)
    assert content_of(carried) == "Hello."
    assert (body["object"], body["model"], body["service_tier"]) == ("chat.completion", "openai/gpt-4o-mini", "batch")
    assert body["usage"]["cost_estimate"] == pytest.approx(COST / 10**9)
    assert body["gateway"]["request_id"] == end.request_id
    assert (end.totals.completed, end.totals.cost_nano_usd) == (1, COST)
    assert (end.totals.input_tokens, end.totals.output_tokens) == (100, 20)
    assert carried.besides is None


async def test_what_is_told_of_it_is_what_is_told_of_a_request() -> None:
    """But for the price, and how long it took."""
    carried = await one(mini(metadata={"conversation_id": "talk"}), openai_result())
    record, ended = usage_of(carried), event_of(carried)
    of = record.of
    assert (of.operation, of.conversation_id, of.request_id) == ("chat", "talk", carried.end.request_id)
    assert of.batch_id is not None
    assert of.batch_id.startswith("batch_")
    assert (record.attempt, record.outcome, record.provider, record.model) == (1, "ok", "openai", "openai/gpt-4o-mini")
    assert (record.cost_nano_usd, record.service_tier, record.priced_as_default) == (COST, BATCH_TIER, False)
    assert record.model_requested == "openai/gpt-4o-mini"
    assert (record.latency_ms, record.queue_ms, record.ttft_ms) == (HOUR_S * 1000, None, None)
    assert record.overhead_ms == 0
    assert ended.event == "request.completed"
    assert (ended.facts["attempts"], ended.facts["cost_nano_usd"]) == (1, COST)
    assert ended.facts["latency_ms"] == HOUR_S * 1000


async def test_what_hooks_took_on_both_sides_is_no_time_of_the_gateways_own() -> None:
    stage = native_stage(hooks=(LambdaHook(id="h", function="gateway-hook-a", stages=("pre_call", "post_response")),))
    hooks = stage.world.hooks
    assert isinstance(hooks, ScriptedHooks)

    async def slowly() -> Any:
        later(stage, 2)
        return {"action": "allow"}

    hooks.answers["h"] = slowly
    carried = await one(mini(), openai_result(), stage)
    record = usage_of(carried)
    assert (record.overhead_ms, record.latency_ms) == (0, HOUR_S * 1000)
    assert event_of(carried).facts["latency_ms"] == (HOUR_S + 4) * 1000
    assert event_of(carried).facts["overhead_ms"] == 0


async def test_what_media_took_to_come_is_no_time_of_the_gateways_own() -> None:
    stage, url = native_stage(), "https://example.com/a.png"
    fetcher = stage.world.fetcher
    assert isinstance(fetcher, FixedFetcher)
    fetcher.there[url], fetcher.on_fetch = StoredFile(PNG, "image/png", "a.png"), lambda: later(stage, 3)
    part = {"type": "image_url", "image_url": {"url": url}}
    carried = await one(mini(messages=[{"role": "user", "content": [part]}]), openai_result(), stage)
    facts = event_of(carried).facts
    assert (facts["overhead_ms"], facts["latency_ms"]) == (0, (HOUR_S + 3) * 1000)


async def test_the_log_has_its_line_when_it_ends_and_not_before() -> None:
    batch = await NativeBatch.of([mini()])
    lines = batch.stage.world.records.written  # type: ignore[attr-defined]  # of what keeps them
    before = len(lines)
    ready = await batch.ready()
    assert len(lines) == before
    await batch.answered(ready, openai_result())
    assert [line.event for line in lines[before:]] == ["request.completed"]


async def test_nothing_of_it_is_told_before_its_end_is_written() -> None:
    batch = await NativeBatch.of([mini()])
    told = len(batch.stage.told)
    await batch.answered(await batch.ready(), openai_result())
    assert len(batch.stage.told) == told


async def test_a_model_is_not_found_slow_for_what_its_batches_take() -> None:
    batch = await NativeBatch.of([mini()])
    noted: list[Any] = []
    health = batch.stage.world.health
    health.note = lambda *_, **__: noted.append(1)  # type: ignore[method-assign]
    ready = await batch.ready()
    later(batch.stage)
    await batch.answered(ready, openai_result())
    assert not noted


async def test_embeddings_come_as_they_were_asked_for() -> None:
    body = {"model": "openai/text-embedding-3-small", "input": ["one", "two"], "encoding_format": "float"}
    batch = await NativeBatch.of([{"custom_id": "e", "url": "/v1/embeddings", "body": body}])
    ready = await batch.ready()
    assert ready.inputs == 2
    data = [{"object": "embedding", "index": place, "embedding": [0.5, place]} for place in range(2)]
    said = {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1_000, "total_tokens": 1_000}}
    result = {"custom_id": "item-1", "response": {"status_code": 200, "body": said}, "error": None}
    carried = await batch.answered(ready, result)
    assert [one["embedding"] for one in body_of(carried)["data"]] == [[0.5, 0], [0.5, 1]]
    assert usage_of(carried).cost_nano_usd == 1_000 * 10
    assert usage_of(carried).service_tier == BATCH_TIER
    short = {**result, "response": {"status_code": 200, "body": {**said, "data": data[:1]}}}
    wrong = await batch.answered(ready, short)
    assert (wrong.end.status_code, body_of(wrong)["error"]["code"]) == (502, "provider_error")
    assert wrong.end.totals.cost_nano_usd == 1_000 * 10


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/chat/completions"])
async def test_images_are_kept_as_those_of_a_request(path: str) -> None:
    model = "google/gemini-2.5-flash-image"
    asked = {"prompt": "A cat"} if "images" in path else {"messages": [{"role": "user", "content": "A cat"}]}
    batch = await NativeBatch.of([{"custom_id": "i", "url": path, "body": {"model": model, **asked}}])
    ready = await batch.ready()
    later(batch.stage, 20 * HOUR_S)
    carried = await batch.answered(ready, picture())
    assert carried.end.status_code == 200, body_of(carried)
    body = body_of(carried)
    [made] = body["data"] if "images" in path else body["choices"][0]["message"]["media"]
    stored = await batch.stage.world.files.get("acme", made["file_id"], 10_000)
    assert (stored.data, made["content_type"]) == (PNG, "image/png")
    assert made["url"].startswith("https://")
    assert usage_of(carried).service_tier == BATCH_TIER
    assert (usage_of(carried).cost_nano_usd or 0) >= 1_290 * 1_250


# -- what was promised of the reply ------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
WANTED = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}


async def test_a_schema_is_kept_to_where_the_provider_has_words_for_it() -> None:
    asked = mini(response_format=WANTED)
    assert content_of(await one(asked, openai_result('{"a": 1}'))) == '{"a": 1}'
    broken = await one(asked, openai_result('{"a": "b"}'))
    assert (broken.end.status_code, broken.end.totals.cost_nano_usd) == (422, COST)
    assert body_of(broken)["error"]["usage"]["cost_estimate"] == pytest.approx(COST / 10**9)


async def test_a_schema_that_is_asked_for_in_words_is_kept_to() -> None:
    model = "openai/gpt-3.5-turbo"
    batch = await NativeBatch.of([chat("a", model, response_format=WANTED)])
    ready = await batch.ready()
    assert b"JSON Schema" in ready.piece
    good = await batch.answered(ready, openai_result('```json\n{"a": 1}\n```'))
    assert content_of(good) == '{"a": 1}'
    assert (await batch.answered(ready, openai_result("Well."))).end.status_code == 422


async def test_a_schema_that_is_asked_for_as_a_tool_is_kept_to() -> None:
    batch = await NativeBatch.of([chat("a", "anthropic/claude-3-haiku-20240307", response_format=WANTED)])
    ready = await batch.ready()
    [tool] = json.loads(ready.piece)["params"]["tools"]
    block = {"type": "tool_use", "id": "t", "name": tool["name"], "input": {"a": 7}}
    usage = {"input_tokens": 100, "output_tokens": 20}
    of = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use"}
    message = {**of, "content": [block], "usage": usage}
    result = {"custom_id": "item-1", "result": {"type": "succeeded", "message": message}}
    carried = await batch.answered(ready, result)
    assert json.loads(content_of(carried)) == {"a": 7}
    assert body_of(carried)["choices"][0]["finish_reason"] == "stop"
    assert body_of(carried)["service_tier"] == "batch"


@pytest.mark.parametrize(
    ("tool", "known"),
    [
        ({"type": "function", "function": {"name": "locate", "parameters": {"type": "object"}}}, "locate"),
        ({"type": "reference", "schema_id": LOCATE}, LOCATE),
        ({"type": "inline_gts", "schema": TYPES[LOCATE]}, f"gts://{LOCATE}"),
    ],
)
async def test_a_tool_is_called_by_the_name_that_its_client_knows(tool: Json, known: str) -> None:
    """Whatever is registered by then."""
    stage = native_stage()
    types = stage.world.types
    assert isinstance(types, MemoryTypes)
    types.deployed.update(TYPES)
    batch = await NativeBatch.of([mini(tools=[tool])], stage)
    ready = await batch.ready()
    [asked] = json.loads(ready.piece)["body"]["tools"]
    called = {"id": "c1", "type": "function", "function": {"name": asked["function"]["name"], "arguments": "{}"}}
    types.deployed.clear()
    carried = await batch.answered(ready, openai_result(None, tool_calls=[called]))
    [call] = body_of(carried)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == known


# -- hooks -------------------------------------------------------------------------------------------------------------


async def test_what_a_hook_masked_is_put_back_hours_later() -> None:
    masks = MaskPiiHook(id="pii", stages=("pre_call",), finds=("email",))
    stage = native_stage(hooks=(masks,))
    batch = await NativeBatch.of([mini(text="I am ann@example.com")], stage)
    ready = await batch.ready()
    assert b"ann@example.com" not in ready.piece
    later(stage)
    assert content_of(await batch.answered(ready, openai_result("Hello <EMAIL_1>."))) == "Hello ann@example.com."


async def test_hooks_are_asked_once_before_and_once_after_and_told_of_together() -> None:
    asks = LambdaHook(id="asks", function="gateway-hook-a", stages=("pre_call", "post_response"))
    looks = LambdaHook(id="looks", function="gateway-hook-b", stages=("pre_call",), mode="observe")
    stage = native_stage(hooks=(asks, looks))
    hooks = stage.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    hooks.answers.update(asks={"action": "allow"}, looks={"action": "allow"})
    carried = await one(mini(), openai_result(), stage)
    assert [message.id.rpartition(".")[2] for _, message in hooks.asked] == ["pre_call", "pre_call", "post_response"]
    told = [(run["id"], run["stage"]) for run in event_of(carried).facts["hooks"]]
    assert sorted(told) == [("asks", "post_response"), ("asks", "pre_call"), ("looks", "pre_call")]


async def test_a_line_that_a_hook_blocks_is_not_given_to_its_provider() -> None:
    forbids = DenyListHook(id="no", stages=("pre_call",), phrases=("hello",))
    batch = await NativeBatch.of([mini(text="hello")], native_stage(hooks=(forbids,)))
    ended = await batch.made_ready()
    assert isinstance(ended, CarriedOut)
    assert (ended.end.status_code, body_of(ended)["error"]["code"]) == (403, "request_blocked")
    assert (ended.end.totals.failed, ended.end.totals.cost_nano_usd) == (1, 0)
    assert event_of(ended).event == "request.blocked"


async def test_a_reply_that_a_hook_blocks_is_paid_and_not_given() -> None:
    forbids = DenyListHook(id="no", stages=("post_response",), phrases=("hello",))
    carried = await one(mini(), openai_result("Hello."), native_stage(hooks=(forbids,)))
    assert (carried.end.status_code, carried.end.totals.cost_nano_usd) == (403, COST)
    assert b"Hello." not in bytes(carried.end.body)
    assert event_of(carried).event == "request.blocked"


async def test_a_hook_that_does_not_answer_for_a_moment_is_asked_again() -> None:
    """On either side: before, nothing is lost by it; after, the reply is paid."""
    stage = native_stage(hooks=(LambdaHook(id="h", function="gateway-hook-a", stages=("pre_call", "post_response")),))
    hooks = stage.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    fails = 2

    async def answer() -> Any:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise HookFailed("timeout")
        return {"action": "allow"}

    hooks.answers["h"] = answer
    batch = await NativeBatch.of([mini()], stage)
    ready = await batch.ready()
    fails = 2
    carried = await batch.answered(ready, openai_result())
    assert (carried.end.status_code, carried.end.totals.cost_nano_usd) == (200, COST)
    fails = 100
    given_up = await batch.answered(ready, openai_result())
    assert (body_of(given_up)["error"]["code"], given_up.end.totals.cost_nano_usd) == ("hook_unavailable", COST)


async def numbers(stage: Stage) -> list[int]:
    return [(await stage.numbers(account_id)).get("c", 0) for account_id in ACCOUNTS]


def lengthening(stage: Stage) -> None:
    stage.set_tenant(hooks=(LambdaHook(id="h", function="gateway-hook-a", stages=("pre_call",)),))
    hooks = stage.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    longer = {"messages": [{"role": "user", "content": "x" * 800}]}
    hooks.answers["h"] = {"action": "modify", "patch": longer}


async def test_what_a_hook_adds_is_held_besides_until_the_line_is_booked_however_long_that_takes() -> None:
    batch = await NativeBatch.of([mini()])
    lengthening(batch.stage)
    before = await numbers(batch.stage)
    ready = await batch.ready()
    held = await numbers(batch.stage)
    assert all(now > then + 700 * 75 for now, then in zip(held, before, strict=True))
    later(batch.stage, 5)
    again = await batch.ready()  # by another worker, of which nobody knows how far the first one came
    assert await numbers(batch.stage) == held
    reading = await batch.stage.world.ledger.read(ACCOUNTS[0])
    job = await batch.stage.job(batch.batch_id)
    assert min(hold.until_s for hold in reading.holds.values() if not hold.is_job) >= job.expires_at_s
    later(batch.stage)
    carried = await batch.answered(again, openai_result())
    assert carried.besides is not None
    await give_back(carried.besides)
    assert await numbers(batch.stage) == before
    assert ready.piece == again.piece


async def test_what_was_held_for_a_try_that_failed_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hook may say something else the next time."""
    stage = native_stage()
    file_id = new_file_id("user_data", stage.clock.now_s(), b"0123456789")
    await stage.world.files.put("acme", File(file_id, "a.png", "image/png", len(PNG)), PNG)
    picture_part = {"type": "image_url", "image_url": {"url": file_id}}
    batch = await NativeBatch.of([mini(messages=[{"role": "user", "content": [picture_part]}])], stage)
    lengthening(stage)
    hooks = stage.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    lengths = [800, 400]

    async def shorter_and_shorter() -> Any:
        texts = [{"type": "text", "text": "x" * lengths.pop(0)}, picture_part]
        return {"action": "modify", "patch": {"messages": [{"role": "user", "content": texts}]}}

    async def silent(*_: Any) -> Any:
        monkeypatch.undo()
        raise StorageUnavailable("not now")

    hooks.answers["h"] = shorter_and_shorter
    monkeypatch.setattr(stage.world.files, "get", silent)
    before = await numbers(stage)
    await batch.ready()
    assert all(now - then < 500 * 75 for now, then in zip(await numbers(stage), before, strict=True))


async def test_a_line_that_a_hook_makes_too_dear_fails_alone() -> None:
    batch = await NativeBatch.of([mini()])
    [group] = await batch.groups
    lengthening(batch.stage)
    budget = Budget(window="month", usd=Decimal(group.held_nano_usd + 1) / 10**9)
    batch.stage.set_tenant(allowance=Allowance(budgets=(budget,)))
    ended = await batch.made_ready()
    assert isinstance(ended, CarriedOut)
    assert body_of(ended)["error"]["code"] == "budget_exceeded"


async def test_a_line_that_a_hook_makes_one_for_another_api_is_not_mixed_with_others() -> None:
    batch = await NativeBatch.of([chat("a", "openai/gpt-5.4", reasoning_effort="low")])
    batch.stage.set_tenant(hooks=(LambdaHook(id="h", function="gateway-hook-a", stages=("pre_call",)),))
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    hooks = batch.stage.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    hooks.answers["h"] = {"action": "modify", "patch": {"tools": [tool]}}
    ended = await batch.made_ready()
    assert isinstance(ended, CarriedOut)
    assert body_of(ended)["error"]["code"] == "capability_not_supported"
    assert "direct" in body_of(ended)["error"]["message"]
