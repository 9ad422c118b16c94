"""Orders of batches, and what is found wrong with their lines before anything is paid."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model import batch as limits
from gateway.model.group import ModelGroup
from gateway.model.limits import Allowance, Budget, Limits
from tests.batch_stage import CHAT, Stage, chat, chats, jsonl


async def errors_of(stage: Stage, batch_id: str) -> list[dict[str, Any]]:
    await stage.carried_on(batch_id)
    shown = await stage.shown(batch_id)
    assert shown["status"] == "failed"
    assert not stage.provider.asked
    assert await stage.check_books() == 0
    found: list[dict[str, Any]] = shown["errors"]["data"]
    return found


@pytest.mark.parametrize(
    ("order", "param"),
    [
        ({}, "input_file_id"),
        ({"requests": []}, "requests"),
        ({"requests": chats(1), "input_file_id": "file_1"}, "input_file_id"),
        ({"requests": chats(1), "endpoint": "/v1/audio/speech"}, "endpoint"),
        ({"requests": chats(1), "completion_window": "1h"}, "completion_window"),
        ({"requests": chats(1), "metadata": {"a": 1}}, "metadata"),
        ({"requests": chats(1), "webhook_url": "http://127.0.0.1/"}, "webhook_url"),
        ({"requests": chats(1), "model": "x"}, "model"),
    ],
)
async def test_an_order_that_is_none_is_refused_at_once(order: dict[str, Any], param: str) -> None:
    answer = await Stage.of().post(order)
    assert (answer.status, answer.json["error"]["code"]) == (400, "validation_error"), answer.body
    assert answer.json["error"]["param"].startswith(param)


async def test_one_that_is_too_large_is_told_how_to_come() -> None:
    answer = await Stage.of().post({"requests": [chat("a", text="x" * 7 * 1024 * 1024)]})
    assert (answer.status, answer.json["error"]["code"]) == (413, "payload_too_large")
    assert "POST /v1/files" in answer.json["error"]["message"]


async def test_a_file_that_is_no_batch_is_refused_at_once() -> None:
    stage = Stage.of()
    answer = await stage.post({"input_file_id": "file_nothing", "endpoint": CHAT})
    assert (answer.status, answer.json["error"]["param"]) == (404, "input_file_id")
    answer = await stage.post({"input_file_id": await stage.file(jsonl(chats(1)))})
    assert (answer.status, answer.json["error"]["param"]) == (400, "endpoint")


async def test_a_batch_is_answered_before_its_lines_are_read() -> None:
    stage = Stage.of()
    answer = await stage.post({"requests": chats(2), "metadata": {"day": "monday"}})
    shown = answer.json
    assert (shown["object"], shown["status"], shown["metadata"]) == ("batch", "validating", {"day": "monday"})
    assert shown["id"] in stage.executions.started
    assert shown["request_counts"] == {"total": 0, "completed": 0, "failed": 0}


async def test_all_errors_are_listed_with_their_lines() -> None:
    stage = Stage.of()
    lines = [
        json.dumps(chat("a")),
        "{no json",
        json.dumps(chat("a")),
        "",
        json.dumps({**chat("b"), "url": "/v1/embeddings"}),
        json.dumps({**chat("c"), "method": "GET"}),
        json.dumps(chat("d", model="openai/none")),
        json.dumps(chat("e", stream=True)),
        json.dumps(chat("f", fallback={"models": ["groq/llama"]})),
        json.dumps(chat("g", temperature="hot")),
        json.dumps({"custom_id": "h", "method": "POST", "url": CHAT}),
        json.dumps({**chat("i"), "body": {**chat("i")["body"], "async": True}}),
        json.dumps(chat("j", user="bob")),
        json.dumps(chat("k", user="alice")),
    ]
    batch_id = await stage.ordered_by_file("\n".join(lines).encode())
    found = [(error["line"], error["code"], error["param"]) for error in await errors_of(stage, batch_id)]
    assert found == [
        (2, "validation_error", None),
        (3, "validation_error", "custom_id"),
        (5, "validation_error", "url"),
        (6, "validation_error", "method"),
        (7, "model_not_found", "body.model"),
        (8, "validation_error", "body.stream"),
        (9, "validation_error", "body.fallback"),
        (10, "validation_error", "body.temperature"),
        (11, "validation_error", "body"),
        (12, "validation_error", "body.async"),
        (13, "validation_error", "body.user"),
    ]


async def test_what_is_wrong_is_said_of_the_line_and_of_where_it_came_from() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered_by_file(b"{no json\n")
    [error] = await errors_of(stage, batch_id)
    assert error["message"].startswith("The line is not valid JSON: ")
    assert (await stage.shown(batch_id))["error"]["param"] == "input_file_id"
    batch_id = await stage.ordered([chat("a", stream=True)])
    await errors_of(stage, batch_id)
    assert (await stage.shown(batch_id))["error"]["param"] == "requests"


@pytest.mark.parametrize("ends", [b"\r\n", b"\n\n", b"\r\n \r\n"])
async def test_a_file_may_be_written_as_other_systems_do(ends: bytes) -> None:
    stage = Stage.of()
    batch_id = await stage.ordered_by_file(b"\xef\xbb\xbf" + jsonl(chats(3)).replace(b"\n", ends))
    assert await stage.carried_on(batch_id) == "Completed"


async def test_an_empty_input_of_another_system_is_an_error() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered_by_file(b"\xef\xbb\xbf\r\n")
    assert [error["code"] for error in await errors_of(stage, batch_id)] == ["empty_file"]


async def test_an_empty_input_is_an_error() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered_by_file(b"\n\n")
    assert [error["code"] for error in await errors_of(stage, batch_id)] == ["empty_file"]


async def test_a_model_that_is_not_approved_is_an_error_of_its_line() -> None:
    stage = Stage.of(approvals=("openai/*",))
    batch_id = await stage.ordered([chat("a"), chat("b", model="groq/llama")])
    assert [(error["line"], error["code"]) for error in await errors_of(stage, batch_id)] == [(2, "model_not_approved")]


async def test_a_group_of_models_is_none_that_a_line_can_name() -> None:
    group = msgspec.convert({"models": ["openai/gpt", "groq/llama"]}, ModelGroup)
    stage = Stage.of(aliases={"either": group, "one": "openai/gpt"})
    batch_id = await stage.ordered([chat("a", model="one"), chat("b", model="either")])
    found = await errors_of(stage, batch_id)
    assert [(error["line"], error["param"]) for error in found] == [(2, "body.model")]


async def test_lines_that_are_too_long_or_too_many_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.batch_input.MAX_LINE_BYTES", 1_000)
    monkeypatch.setattr("gateway.pipeline.batch_split.MAX_LINES", 3)
    stage = Stage.of()
    lines = [chat("a"), chat("b", text="x" * 1_000), chat("c"), chat("d"), chat("e")]
    batch_id = await stage.ordered_by_file(lines)
    found = await errors_of(stage, batch_id)
    assert [error["line"] for error in found] == [2, 4]


async def test_no_more_errors_are_listed_than_anybody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.batch_split.MAX_ERRORS", 3)
    stage = Stage.of()
    batch_id = await stage.ordered_by_file(b"{\n" * 9)
    assert [error["line"] for error in await errors_of(stage, batch_id)] == [1, 2, 3]


@pytest.mark.parametrize("stretch", [1, 7, 64, 10_000])
async def test_a_file_is_read_in_stretches_of_any_size(stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.batch_input.STRETCH_BYTES", stretch)
    stage = Stage.of()
    data = jsonl(chats(3)).rstrip(b"\n") if stretch % 2 else jsonl(chats(3))
    batch_id = await stage.ordered_by_file(data)
    assert await stage.carried_on(batch_id) == "Completed"
    assert sorted(stage.provider.asked) == ["text 0", "text 1", "text 2"]


async def test_a_batch_that_its_budget_has_no_room_for_asks_nothing() -> None:
    stage = Stage.of(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal("0.0001")),)))
    batch_id = await stage.ordered(chats(3))
    [error] = await errors_of(stage, batch_id)
    assert (error["code"], error["line"]) == ("budget_exceeded", None)
    assert (await stage.shown(batch_id))["error"]["needed_usd"]


async def test_one_that_no_shard_of_its_budget_has_room_for_is_told_why() -> None:
    """What is left of all shards together would do."""
    budget = Budget(window="month", usd=Decimal("0.001"))
    stage = Stage.of(allowance=Allowance(budgets=(budget,)), shards=4)
    batch_id = await stage.ordered(chats(8))
    [error] = await errors_of(stage, batch_id)
    assert "has 0.001 USD left, but in no one of the shards" in error["message"]


async def test_a_budget_for_some_models_is_asked_for_their_lines_alone() -> None:
    """The lines of the other model cost more than it has."""
    budgets = (Budget(window="month", usd=Decimal("0.002"), models="groq/*"), Budget(window="month", usd=Decimal(1)))
    stage = Stage.of(allowance=Allowance(budgets=budgets))
    batch_id = await stage.ordered([*chats(40), chat("other", model="groq/llama")])
    assert await stage.carried_on(batch_id) == "Completed"
    await stage.check_books()


async def test_so_many_batches_at_once_as_jobs_may_run() -> None:
    stage = Stage.of(allowance=Allowance(limits=(Limits(concurrent_jobs=1),)))
    batch_id = await stage.ordered(chats(1))
    answer = await stage.post({"requests": chats(1)})
    assert (answer.status, answer.json["error"]["limit_kind"]) == (429, "concurrent_jobs")
    await stage.carried_on(batch_id)
    assert (await stage.post({"requests": chats(1)})).status == 200


async def test_an_order_that_comes_again_is_the_same_batch() -> None:
    stage = Stage.of()
    answers = [await stage.post({"requests": chats(1)}, **{"idempotency-key": "k"}) for _ in range(2)]
    assert answers[0].json["id"] == answers[1].json["id"]
    other = await stage.post({"requests": chats(2)}, **{"idempotency-key": "k"})
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_conflict")


async def test_a_key_for_batches_alone_asks_no_model() -> None:
    stage = Stage.of()
    [held] = stage.access.held.values()
    key = replace(held.key, scopes=("batches",))
    for name in stage.access.held:
        stage.access.held[name] = replace(held, key=key)
    batch_id = await stage.ordered(chats(1))
    assert [error["code"] for error in await errors_of(stage, batch_id)] == ["scope_missing"]


async def test_parts_have_so_many_lines_of_one_model() -> None:
    stage = Stage.of()
    lines = [chat(f"{model}-{number}", model) for number in range(60) for model in ("openai/gpt", "groq/llama")]
    batch_id = await stage.ordered(lines)
    await stage.step(batch_id, "prepare")
    batch = await stage.batch(batch_id)
    assert [(group.model, group.parts, group.lines) for group in batch.groups] == [
        ("openai/gpt", 2, 60),
        ("groq/llama", 2, 60),
    ]
    assert limits.PART_LINES == 50


async def test_what_waits_for_its_part_to_be_full_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.batch_split.BUFFERED_BYTES", 1_000)
    stage = Stage.of()
    lines = [chat(f"{model}-{number}", model) for number in range(20) for model in ("openai/gpt", "groq/llama")]
    batch_id = await stage.ordered(lines)
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert shown["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
