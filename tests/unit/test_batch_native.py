"""Batches over the providers' own, from the order to the books: what becomes of each line, and of the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.entry.batch_task import BatchTask
from gateway.entry.runtime.client import Invocation
from gateway.model.errors import StorageUnavailable
from gateway.model.provider_errors import ProviderError
from gateway.model.shipment import Shipment
from gateway.providers.lookup import provider_named
from gateway.providers.wire.openai_batch import OpenAiBatch
from tests.batch_stage import chat
from tests.dying import Fate, Moment
from tests.machine import TaskFailed
from tests.shipping_stage import NativeStage

GIVE, WAIT, COLLECT = "Give it to the provider", "Wait for the provider", "Collect the results"


def requests(count: int = 4, model: str = "openai/gpt") -> list[dict[str, Any]]:
    return [chat(f"c-{number}", model, f"text {number}") for number in range(count)]


async def test_lines_are_answered_by_their_providers_own_batches() -> None:
    stage = NativeStage.native()
    models = ("openai/gpt", "anthropic/gpt", "google/gpt")
    lines = [chat(f"{model}-{number}", model, f"text {number}") for number in range(3) for model in models]
    batch_id = await stage.ordered(lines)
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert shown["counts"] == {"pending": 0, "in_progress": 0, "completed": 9, "failed": 0, "cancelled": 0}
    output = await stage.lines_of(shown["output_file_id"])
    assert sorted(line["custom_id"] for line in output) == sorted(line["custom_id"] for line in lines)
    assert {line["response"]["body"]["service_tier"] for line in output} == {"batch"}
    assert [len(made) for made in stage.providers.made] == [3, 3, 3]
    assert set(stage.providers.given().values()) <= {1}
    await stage.check_books()


async def test_a_batch_that_is_cancelled_before_it_was_given_asks_no_provider() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    for step in ({"step": "prepare"}, {"step": "pack", "group": 0, "part": 0}, {"step": "make_up", "group": 0}):
        await stage.step(batch_id, **step)
    await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert await stage.carried_on(batch_id) == "Cancelled"
    assert stage.providers.asked == []
    assert (await stage.shown(batch_id))["counts"]["cancelled"] == 4
    assert await stage.check_books() == 0


async def test_a_cancelled_batch_keeps_what_its_provider_had_done() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    stage.providers.batches()[0].looks = 2  # of which the first finds one item done
    with pytest.raises(TaskFailed, match="JobPending"):
        await stage.step(batch_id, "look", group=0, shipment=0)
    await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert await stage.carried_on(batch_id) == "Cancelled"
    shown = await stage.shown(batch_id)
    assert (shown["counts"]["completed"], shown["counts"]["cancelled"]) == (1, 2)
    errors = await stage.lines_of(shown["error_file_id"])
    assert {line["error"]["code"] for line in errors} == {"batch_cancelled"}
    assert [path for _, path in stage.providers.asked if path.endswith("/cancel")] != []
    assert await stage.check_books() > 0


async def test_lines_that_a_provider_did_not_come_to_in_time_expire() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered([*requests(3), chat("late", text="[[batch=expired]] [[looks=1]] late")])
    assert await stage.carried_on(batch_id) == "Failed"
    shown = await stage.shown(batch_id)
    assert shown["status"] == "expired"
    assert shown["counts"]["completed"] + shown["counts"]["failed"] == 4
    errors = await stage.lines_of(shown["error_file_id"])
    said = "The batch's time was over before its provider had answered this line."
    assert {(line["error"]["code"], line["error"]["message"]) for line in errors} == {("batch_expired", said)}
    await stage.check_books()


async def test_a_batch_whose_time_is_over_is_stopped_and_what_there_is_kept() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    stage.providers.batches()[0].looks = 9
    for _ in range(4):
        with pytest.raises(TaskFailed, match="JobPending"):
            await stage.step(batch_id, "look", group=0, shipment=0)
    stage.clock.unix_s += 24 * 3600
    assert await stage.carried_on(batch_id) == "Failed"
    shown = await stage.shown(batch_id)
    assert (shown["status"], shown["counts"]["completed"], shown["counts"]["failed"]) == ("expired", 1, 2)
    await stage.check_books()


@pytest.mark.parametrize("lost_requests", ["charge", "release"])
async def test_what_a_provider_never_tells_is_lost_an_hour_after_the_batchs_time(lost_requests: str) -> None:
    stage = NativeStage.native(lost_requests=lost_requests)
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)

    def is_broken(_method: str, _path: str) -> None:
        raise ProviderError("not now")

    stage.providers.on_ask = is_broken
    stage.clock.unix_s += 25 * 3600
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    errors = await stage.lines_of(shown["error_file_id"])
    assert [line["error"]["code"] for line in errors] == ["job_interrupted"] * 3
    assert (await stage.check_books() > 0) == (lost_requests == "charge")


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_provider_without_room_is_asked_again(provider: str) -> None:
    stage = NativeStage.native()
    stage.providers.refused = [429, 503, 529, 429]
    batch_id = await stage.ordered(requests(3, f"{provider}/gpt"))
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3
    assert stage.walk is not None
    assert stage.walk.entered.count(GIVE) == 5
    assert [len(made) for made in stage.providers.made] == [3]


@pytest.mark.parametrize(("provider", "is_answered"), [("openai", True), ("anthropic", False)])
async def test_a_provider_that_fails_is_asked_again_where_it_tells_what_it_has_made(
    provider: str, is_answered: bool
) -> None:
    stage = NativeStage.native()
    stage.providers.refused = [500]
    batch_id = await stage.ordered(requests(3, f"{provider}/gpt"))
    assert await stage.carried_on(batch_id) == "Completed"
    counts = (await stage.shown(batch_id))["counts"]
    assert (counts["completed"], counts["failed"]) == ((3, 0) if is_answered else (0, 3))
    await stage.check_books()


async def test_all_lines_end_with_what_their_batch_is_refused_with() -> None:
    stage = NativeStage.native()
    stage.providers.refused = [403]
    batch_id = await stage.ordered(requests(3))
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    errors = await stage.lines_of(shown["error_file_id"])
    assert [line["response"]["status_code"] for line in errors] == [502] * 3
    assert await stage.check_books() == 0


async def test_lines_of_a_batch_that_failed_as_a_whole_cost_nothing() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered([*requests(2), chat("failing", text="[[batch=failed]] no")])
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert (shown["counts"]["completed"], shown["counts"]["failed"]) == (0, 3)
    assert await stage.check_books() == 0


async def test_a_full_queue_of_the_provider_is_waited_for() -> None:
    """OpenAI takes the batch, and then finds that it has no room for it."""
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    [first] = stage.providers.batches()
    first.ends = "failed"
    first.facts["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}]}
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3
    assert [len(batch.done) for batch in stage.providers.batches()] == [3, 0]


async def test_what_one_batch_does_not_take_goes_into_several(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(provider_named("openai").batches.chat["chat_completions"].limits, items=20)
    monkeypatch.setattr(OpenAiBatch, "limits", property(lambda _self: few, lambda _self, _value: None))
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(110))
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 110
    assert sum(len(batch.items) for batch in stage.providers.batches()) == 110
    assert max(len(batch.items) for batch in stage.providers.batches()) <= 20
    assert max(stage.providers.given().values()) == 1
    await stage.check_books()


async def given(stage: NativeStage, batch_id: str) -> None:
    """As far as its only shipment is with its provider."""
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "pack", group=0, part=0)
    await stage.step(batch_id, "make_up", group=0)
    await stage.step(batch_id, "submit", group=0, shipment=0)


async def test_a_worker_whose_word_was_not_heard_loses_nothing_of_what_is_to_be_asked_again() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    [first] = stage.providers.batches()
    first.ends = "failed"
    first.facts["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}]}
    await stage.step(batch_id, "look", group=0, shipment=0)
    for _ in range(2):
        assert await stage.step(batch_id, "collect", group=0, shipment=0) == {"done": False}
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3


async def test_results_that_a_provider_has_no_more_are_lost() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    with pytest.raises(TaskFailed, match="JobPending"):
        await stage.step(batch_id, "look", group=0, shipment=0)
    await stage.step(batch_id, "look", group=0, shipment=0)
    [batch] = stage.providers.batches()
    stage.providers.apis["openai"]._batches._files.delete(batch.facts["files"]["output_file_id"].removeprefix("file-"))  # type: ignore[attr-defined]
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    errors = await stage.lines_of(shown["error_file_id"])
    assert [line["error"]["code"] for line in errors] == ["job_interrupted"] * 3
    await stage.check_books()


async def test_what_may_have_been_asked_for_is_not_looked_for_without_end() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    shipment = await stage.world.shipments.find("acme", batch_id, 0, 0)
    assert shipment is not None
    assert await stage.world.shipments.change(shipment.changed(remote_id=None))

    def is_broken(_method: str, _path: str) -> None:
        raise ProviderError("not now")

    stage.providers.on_ask = is_broken
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["failed"] == 3
    await stage.check_books()


async def test_what_a_stopped_execution_leaves_is_stopped_collected_and_ended_by_the_next_sweep() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    stage.providers.batches()[0].looks = 9
    stage.executions.started[batch_id] = False
    told = json.dumps({"tenant_id": "acme", "job_id": batch_id})
    invocation = Invocation("r-1", deadline_s=stage.clock.now_s() + 900)
    await BatchTask(stage.world).handle({"detail": {"input": told}}, invocation)
    assert stage.world.batch_workers.asked == [batch_id]  # type: ignore[attr-defined]  # of what keeps it
    assert await stage.step(batch_id, "bring_in") == {"left": 0}
    swept = await stage.swept()
    assert swept.ended == 1
    shown = await stage.shown(batch_id)
    assert (shown["status"], shown["counts"]["failed"]) == ("failed", 3)
    await stage.check_books()


async def test_news_that_meets_another_worker_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await given(stage, batch_id)
    stage.executions.started[batch_id] = False
    stage.clock.unix_s += 48 * 3600

    async def is_anothers(_shipment: Shipment) -> bool:
        return False

    news = {"detail": {"input": json.dumps({"tenant_id": "acme", "job_id": batch_id})}}
    with monkeypatch.context() as another:
        another.setattr(stage.world.shipments, "change", is_anothers)
        await BatchTask(stage.world).handle(news, Invocation("r-1", deadline_s=stage.clock.now_s() + 900))
    assert not (await stage.job(batch_id)).has_ended
    assert (await stage.swept()).ended == 1
    await stage.check_books()


async def _cannot_be_read(_moment: Moment) -> None:
    raise StorageUnavailable("not now")


async def test_a_batch_whose_input_broke_off_was_not_made() -> None:
    """Anthropic's request to make a batch carries it, and it does not tell what it has made."""
    stage = NativeStage.native()
    stage.fates[GIVE] = Fate("before batch_store.crate", _cannot_be_read)
    batch_id = await stage.ordered(requests(3, "anthropic/gpt"))
    assert await stage.carried_on(batch_id) == "Completed"
    assert stage.fates[GIVE].struck is not None
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3
    assert [len(made) for made in stage.providers.made] == [3]


async def test_lines_that_turn_out_too_large_for_a_batch_end_while_they_are_packed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With their media, say; where that are all of them there is nothing to ship."""
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests(3))
    await stage.step(batch_id, "prepare")
    small = replace(provider_named("openai").batches.chat["chat_completions"].limits, size_bytes=50)
    monkeypatch.setattr(OpenAiBatch, "limits", property(lambda _self: small, lambda _self, _value: None))
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    errors = await stage.lines_of(shown["error_file_id"])
    assert [line["response"]["status_code"] for line in errors] == [413] * 3
    assert stage.providers.asked == []
    assert await stage.check_books() == 0
