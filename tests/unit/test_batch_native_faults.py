"""Providers' own batches where their providers do not do as they should: what is refused, late, gone or too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.model.hook import DenyListHook
from gateway.model.http import HttpRequest, Sending
from gateway.model.provider_errors import ProviderError
from gateway.pipeline import batch_remote, batch_submit
from tests.batch_stage import chat
from tests.fakes import ScriptedIncoming
from tests.machine import TaskFailed
from tests.shipping_stage import NativeStage

GIVE = "Give it to the provider"


def requests(count: int = 3, model: str = "openai/gpt") -> list[dict[str, Any]]:
    return [chat(f"c-{number}", model, f"text {number}") for number in range(count)]


async def given(stage: NativeStage, batch_id: str) -> None:
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "pack", group=0, part=0)
    await stage.step(batch_id, "make_up", group=0)
    await stage.step(batch_id, "submit", group=0, shipment=0)


async def over(stage: NativeStage, batch_id: str) -> None:
    """As far as its provider has answered all of its only shipment."""
    await given(stage, batch_id)
    with pytest.raises(TaskFailed, match="JobPending"):
        await stage.step(batch_id, "look", group=0, shipment=0)
    await stage.step(batch_id, "look", group=0, shipment=0)


def deleted(stage: NativeStage) -> list[str]:
    return [path for method, path in stage.providers.asked if method == "DELETE"]


@pytest.mark.parametrize("status", [400, 403, 413])
async def test_what_a_provider_will_not_have_uploaded_ends_with_why(status: int) -> None:
    stage = NativeStage.native()
    stage.providers.faults["POST", "/files"] = [status] * 5_000
    batch_id = await stage.ordered(requests())
    assert await stage.carried_on(batch_id) == "Completed"
    errors = await stage.lines_of((await stage.shown(batch_id))["error_file_id"])
    assert [line["response"] is not None for line in errors] == [True] * 3
    assert stage.walk is not None
    assert stage.walk.entered.count(GIVE) == 1
    assert await stage.check_books() == 0


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_a_provider_may_have_uploaded_later_is_uploaded_later(status: int) -> None:
    stage = NativeStage.native()
    stage.providers.faults["POST", "/files"] = [status]
    batch_id = await stage.ordered(requests())
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3


async def test_an_input_of_which_no_batch_was_made_is_not_left_at_its_provider() -> None:
    stage = NativeStage.native()
    stage.providers.refused = [400]
    batch_id = await stage.ordered(requests())
    assert await stage.carried_on(batch_id) == "Completed"
    assert len(deleted(stage)) == 1


async def test_an_input_that_was_uploaded_before_the_batch_was_cancelled_is_not_left_at_its_provider() -> None:
    stage = NativeStage.native()
    stage.providers.refused = [429]
    batch_id = await stage.ordered(requests())
    with pytest.raises(TaskFailed, match="JobPending"):
        await given(stage, batch_id)
    await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert await stage.carried_on(batch_id) == "Cancelled"
    assert len(deleted(stage)) == 1


async def test_what_is_lost_is_not_left_at_its_provider() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await given(stage, batch_id)
    stage.providers.batches()[0].looks = 5_000
    stage.clock.unix_s += 25 * 3600
    assert await stage.carried_on(batch_id) == "Completed"
    assert len(deleted(stage)) == 1


@pytest.mark.parametrize("status", [409, 429, 500])
async def test_a_batch_that_is_over_is_collected_also_where_it_cannot_be_cancelled(status: int) -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await over(stage, batch_id)
    stage.providers.faults["POST", "/cancel"] = [status] * 5_000
    await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
    began_s = stage.clock.now_s()
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3
    assert stage.clock.now_s() - began_s < 60


async def test_a_batch_that_its_provider_lists_late_is_not_lost() -> None:
    """Its request got no answer, and the lists of large services are some seconds behind."""
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await given(stage, batch_id)
    shipment = await stage.world.shipments.find("acme", batch_id, 0, 0)
    assert shipment is not None
    assert await stage.world.shipments.change(shipment.changed(remote_id=None))
    [made] = stage.providers.batches()
    label = made.facts.pop("metadata")
    with pytest.raises(TaskFailed, match="JobPending"):
        await stage.step(batch_id, "submit", group=0, shipment=0)
    made.facts["metadata"] = label
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3
    assert len(stage.providers.made) == 1


async def test_a_batch_that_is_not_listed_after_minutes_is_lost() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await given(stage, batch_id)
    shipment = await stage.world.shipments.find("acme", batch_id, 0, 0)
    assert shipment is not None
    assert await stage.world.shipments.change(shipment.changed(remote_id=None))
    del stage.providers.batches()[0].facts["metadata"]
    began_s = stage.clock.now_s()
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["failed"] == 3
    assert stage.clock.now_s() - began_s < 600
    assert len(stage.providers.made) == 1


async def test_a_batch_that_its_provider_does_not_know_yet_is_not_lost() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await given(stage, batch_id)
    stage.providers.faults["GET", stage.providers.batches()[0].id] = [404, 404, 404]
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3


async def test_results_that_are_not_there_for_a_moment_are_not_lost() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    stage.providers.faults["GET", "/content"] = [404, 404]
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3


async def test_each_try_to_make_a_batch_has_a_label_of_its_own() -> None:
    """Who looks for the second by its label is not to find the first, of which nothing was made."""
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await given(stage, batch_id)
    [first] = stage.providers.batches()
    first.ends = "failed"
    first.facts["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}]}
    assert await stage.carried_on(batch_id) == "Completed"
    labels = [batch.facts["metadata"]["label"] for batch in stage.providers.batches()]
    assert len(set(labels)) == 2
    assert max(len(label) for label in labels) <= 64


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_result_that_nobody_can_read_ends_its_line_alone(is_named: bool) -> None:
    """It may have been paid, whether it says whose it is or not."""
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await over(stage, batch_id)
    [batch] = stage.providers.batches()
    files = stage.providers.apis["openai"]._batches._files  # type: ignore[attr-defined]  # as it keeps them
    file = files.find(batch.facts["files"]["output_file_id"].removeprefix("file-"))
    [first, *others] = file.data.splitlines(keepends=True)
    broken = b'{"custom_id": "%b", "response": 7}\n' % json.loads(first)["custom_id"].encode()
    file.data = b"".join([broken if is_named else b'{"custom_\n', *others, others[0], b'{"custom_id":"9-9"}\n'])
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert (shown["counts"]["completed"], shown["counts"]["failed"]) == (2, 1)
    [error] = await stage.lines_of(shown["error_file_id"])
    assert error["response"]["body"]["error"]["code"] == "provider_error"
    await stage.check_books()


@pytest.mark.parametrize("is_begun", [True, False])
async def test_results_that_do_not_come_are_asked_for_again(monkeypatch: pytest.MonkeyPatch, *, is_begun: bool) -> None:
    monkeypatch.setattr(batch_remote, "IDLE_S", 0.01)
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await over(stage, batch_id)
    opened = stage.providers.open

    @asynccontextmanager
    async def hanging(request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        async with opened(request, sending) as incoming:
            if request.url.endswith("/content"):
                if not is_begun:
                    await asyncio.Event().wait()
                incoming.parts = [b'{"custom', asyncio.Event().wait]
            yield incoming

    monkeypatch.setattr(stage.providers, "open", hanging)
    async with asyncio.timeout(5):
        with pytest.raises(TaskFailed, match="JobPending"):
            await stage.step(batch_id, "collect", group=0, shipment=0)
    monkeypatch.undo()
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3


async def test_results_that_break_off_are_read_again_and_given_once() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered([chat(f"c-{number}", text=f"text {number}") for number in range(60)])
    await stage.step(batch_id, "prepare")
    for part in range(2):
        await stage.step(batch_id, "pack", group=0, part=part)
    await stage.step(batch_id, "make_up", group=0)
    await stage.step(batch_id, "submit", group=0, shipment=0)
    stage.providers.batches()[0].looks = 0
    await stage.step(batch_id, "look", group=0, shipment=0)
    opened, tries = stage.providers.open, 0

    @asynccontextmanager
    async def cut(request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        nonlocal tries
        async with opened(request, sending) as incoming:
            if request.url.endswith("/content"):
                tries += 1
                if tries <= 3:
                    incoming.parts = [incoming.parts[0][: tries * 7_000 + 13], ProviderError("cut")]
            yield incoming

    stage.providers.open = cut  # type: ignore[method-assign]  # of this one
    assert await stage.carried_on(batch_id) == "Completed"
    assert tries == 4
    shown = await stage.shown(batch_id)
    assert shown["counts"]["completed"] == 60
    assert len(await stage.lines_of(shown["output_file_id"])) == 60
    await stage.check_books()


async def test_a_batch_that_was_cancelled_before_it_is_packed_asks_no_hook() -> None:
    stage = NativeStage.native(hooks=(DenyListHook(id="words", phrases=("text",)),))
    batch_id = await stage.ordered(requests())
    await stage.step(batch_id, "prepare")
    await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
    await stage.step(batch_id, "pack", group=0, part=0)
    [part] = await stage.parts(batch_id)
    assert (part.is_packed, part.crates) == (True, ())
    assert (part.totals.cancelled, part.totals.failed) == (3, 0)
    assert await stage.carried_on(batch_id) == "Cancelled"


async def test_without_the_providers_key_lines_end_with_why() -> None:
    stage = NativeStage.native()
    batch_id = await stage.ordered(requests())
    await stage.step(batch_id, "prepare")
    stage.world.credentials.held.pop("openai")  # type: ignore[attr-defined]  # of what keeps it
    await stage.carried_on(batch_id)
    shown = await stage.shown(batch_id)
    assert shown["counts"]["failed"] == 3
    errors = await stage.lines_of(shown["error_file_id"])
    assert {line["response"] and line["response"]["body"]["error"]["code"] for line in errors} == {"provider_error"}
    assert await stage.check_books() == 0


async def test_what_was_packed_for_one_key_is_not_given_with_another() -> None:
    """Its media lie in that one's account, and it is paid by that one's owner."""
    stage = NativeStage.native()
    held = stage.world.credentials.held  # type: ignore[attr-defined]  # of what keeps it
    held["openai/acme"] = held["openai"]
    batch_id = await stage.ordered([chat(f"c-{number}", text=f"text {number}") for number in range(60)])
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "pack", group=0, part=0)
    stage.set_tenant(own_keys=("openai",))
    await stage.step(batch_id, "pack", group=0, part=1)
    assert await stage.step(batch_id, "make_up", group=0) == {"shipments": [0, 1]}
    shipments = await stage.world.shipments.all("acme", batch_id)
    assert [(one.own_key, [crate.part for crate in one.crates]) for one in shipments] == [(False, [0]), (True, [1])]
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 60


async def test_what_was_packed_for_a_key_that_its_tenant_took_away_ends_with_that() -> None:
    stage = NativeStage.native(own_keys=("openai",))
    held = stage.world.credentials.held  # type: ignore[attr-defined]  # of what keeps it
    held["openai/acme"] = held["openai"]
    batch_id = await stage.ordered(requests())
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "pack", group=0, part=0)
    stage.set_tenant(own_keys=())
    del held["openai/acme"]
    assert await stage.carried_on(batch_id) == "Completed"
    errors = await stage.lines_of((await stage.shown(batch_id))["error_file_id"])
    assert {line["response"]["body"]["error"]["code"] for line in errors} == {"provider_error"}
    assert await stage.check_books() == 0


async def test_a_worker_gives_no_more_results_than_it_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has read and not given another reads again."""
    stage = NativeStage.native()
    lines = [chat(f"c-{number}", text=f"text {number}") for number in range(200)]
    batch_id = await stage.ordered(lines)
    await stage.step(batch_id, "prepare")
    for part in range(4):
        await stage.step(batch_id, "pack", group=0, part=part)
    await stage.step(batch_id, "make_up", group=0)
    await stage.step(batch_id, "submit", group=0, shipment=0)
    [batch] = stage.providers.batches()
    batch.items.sort(key=lambda item: int(item.name.partition("-")[2]))  # one of each part, and again
    batch.looks = 0
    await stage.step(batch_id, "look", group=0, shipment=0)
    put = stage.world.batch_store.put_piece

    async def slowly(*args: Any) -> bool:
        stage.clock.running_s += 400
        return await put(*args)

    monkeypatch.setattr(stage.world.batch_store, "put_piece", slowly)
    assert await stage.step(batch_id, "collect", group=0, shipment=0) == {"done": False}
    assert sum(part.pieces for part in await stage.parts(batch_id)) == 2
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 200


async def test_no_batch_is_made_when_time_was_over_while_its_input_was_uploaded() -> None:
    stage = NativeStage.native()

    def is_slow(method: str, path: str) -> None:
        if (method, path.rpartition("/")[2]) == ("POST", "files"):
            stage.clock.unix_s += 24 * 3600

    stage.providers.on_ask = is_slow
    batch_id = await stage.ordered(requests())
    assert await stage.carried_on(batch_id) == "Failed"
    assert stage.providers.made == []
    assert len(deleted(stage)) == 1
    assert (await stage.shown(batch_id))["status"] == "expired"


async def test_a_large_input_is_not_sent_again_and_again_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anthropic's batches carry it: 256 MB twice a minute, for a day, would be more than they cost."""
    monkeypatch.setattr(batch_submit, "AGAIN_BYTES_PER_S", 2)
    stage = NativeStage.native()
    stage.providers.refused = [429] * 3
    batch_id = await stage.ordered(requests(model="anthropic/gpt"))
    began_s = stage.clock.now_s()
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 3
    assert stage.clock.now_s() - began_s > 300
    assert len([path for method, path in stage.providers.asked if method == "POST"]) == 4


@pytest.mark.parametrize("lost_requests", ["charge", "release"])
async def test_a_result_that_is_counted_and_not_there_may_have_been_paid(lost_requests: str) -> None:
    stage = NativeStage.native(lost_requests=lost_requests)
    batch_id = await stage.ordered(requests())
    await over(stage, batch_id)
    [batch] = stage.providers.batches()
    files = stage.providers.apis["openai"]._batches._files  # type: ignore[attr-defined]  # as it keeps them
    file = files.find(batch.facts["files"]["output_file_id"].removeprefix("file-"))
    file.data = b"".join(file.data.splitlines(keepends=True)[:2])
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert (shown["counts"]["completed"], shown["counts"]["failed"]) == (2, 1)
    [part] = await stage.parts(batch_id)
    answered = part.totals.input_tokens * 500 + part.totals.output_tokens * 1_000
    assert (await stage.check_books() > answered) == (lost_requests == "charge")
