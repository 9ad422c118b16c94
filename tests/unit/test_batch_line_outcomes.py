"""Lines that their provider's batch did not answer, and where their media and keys go."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.batch import LineEnd
from gateway.model.errors import JobInterrupted, StorageUnavailable
from gateway.model.file import File, new_file_id
from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderRejected
from gateway.model.secret import Secret
from gateway.pipeline.batch_line import CANCELLED, CarriedOut
from gateway.pipeline.batch_line_native import Ready, given_line, native_of
from tests.batch_stage import Stage, chat
from tests.fakes import MemoryCredentials, MemoryFiles
from tests.native_stage import (
    GEMINI,
    PNG,
    NativeBatch,
    body_of,
    content_of,
    later,
    mini,
    native_stage,
    one,
    openai_result,
    picture,
    usage_of,
)
from tests.unit.file_provider import ORIGIN, FakeProvider

# -- what has not been answered ----------------------------------------------------------------------------------------


async def ended_by(outcome: Any, **tenant: Any) -> CarriedOut:
    batch = await NativeBatch.of([mini()], native_stage(**tenant))
    ready = await batch.ready()
    later(batch.stage)
    return await batch.given(ready, outcome)


async def test_what_the_provider_refused_costs_nothing() -> None:
    error = {"error": {"message": "no", "code": "bad"}}
    result = {"custom_id": "item-1", "response": {"status_code": 400, "body": error}, "error": None}
    carried = await one(mini(), result)
    assert (carried.end.ending, carried.end.status_code) == ("failed", 400)
    record = usage_of(carried)
    assert (record.outcome, record.provider, record.cost_nano_usd) == ("error", "openai", 0)
    assert carried.end.totals == replace(carried.end.totals, failed=1, cost_nano_usd=0, input_tokens=0, completed=0)


async def test_what_nobody_understands_may_have_been_paid() -> None:
    nonsense = {"custom_id": "item-1", "response": {"status_code": 200, "body": {"choices": 3}}, "error": None}
    for policy, is_charged in (("charge", True), ("release", False)):
        carried = await one(mini(), nonsense, native_stage(lost_requests=policy))
        assert (carried.end.status_code, body_of(carried)["error"]["code"]) == (502, "provider_error")
        held = carried.end.totals.held_nano_usd
        assert carried.end.totals.cost_nano_usd == (held if is_charged else 0)


@pytest.mark.parametrize(
    ("kind", "code", "ending"), [("expired", "batch_expired", "failed"), ("canceled", "batch_cancelled", "cancelled")]
)
async def test_what_was_not_begun_is_told_of_as_never_asked(kind: str, code: str, ending: str) -> None:
    batch = await NativeBatch.of([chat("a", "anthropic/claude-haiku-4-5")])
    carried = await batch.answered(await batch.ready(), {"custom_id": "item-1", "result": {"type": kind}})
    end: LineEnd = carried.end
    assert (end.error or {}).get("code") == code
    assert (end.ending, end.records, end.events, end.totals.cost_nano_usd) == (ending, (), (), 0)
    assert (end.totals.expired, end.totals.cancelled) == (int(kind == "expired"), int(kind == "canceled"))


async def test_a_line_that_was_never_given_to_its_provider_costs_nothing() -> None:
    end = (await ended_by(CANCELLED)).end
    assert (end.ending, end.records, end.totals.cancelled) == ("cancelled", (), 1)


async def test_of_a_batch_that_its_provider_refused_each_line_says_why() -> None:
    refused = ProviderRejected("The file is no JSON.", provider_code="bad_file")
    for _ in range(2):
        carried = await ended_by(refused)
        assert (carried.end.status_code, body_of(carried)["error"]["provider_code"]) == (400, "bad_file")
        assert body_of(carried)["error"]["request_id"] == carried.end.request_id
        record = usage_of(carried)
        assert (record.outcome, record.provider, record.attempt, record.cost_nano_usd) == ("error", "openai", 1, 0)


@pytest.mark.parametrize(("policy", "is_charged"), [("charge", True), ("release", False)])
async def test_a_line_of_which_nobody_knows_costs_what_its_tenants_policy_says(policy: str, is_charged: bool) -> None:
    carried = await ended_by(JobInterrupted("lost"), lost_requests=policy)
    held = carried.end.totals.held_nano_usd
    assert (carried.end.error or {})["code"] == "job_interrupted"
    assert (usage_of(carried).outcome, usage_of(carried).cost_nano_usd) == ("lost", held if is_charged else 0)


async def test_a_defect_ends_its_line_and_is_no_others() -> None:
    batch = await NativeBatch.of([mini()])
    ready = await batch.ready()
    [found] = await batch.read(openai_result())
    carried = await batch.given(ready, replace(found, reply=object()))
    assert (carried.end.status_code, body_of(carried)["error"]["code"]) == (500, "internal_error")


# -- media, and where things go ----------------------------------------------------------------------------------------


async def test_a_medium_that_cannot_be_kept_for_a_moment_is_kept_when_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "google/gemini-2.5-flash-image", "prompt": "A cat"}
    batch = await NativeBatch.of([{"custom_id": "i", "url": "/v1/images/generations", "body": body}])
    ready = await batch.ready()
    files = batch.stage.world.files
    assert isinstance(files, MemoryFiles)
    put, fails = files.put, 2

    async def failing(tenant_id: str, file: File, data: bytes) -> None:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise StorageUnavailable("not now")
        await put(tenant_id, file, data)

    monkeypatch.setattr(files, "put", failing)
    before = len(files.whole)
    assert (await batch.answered(ready, picture())).end.status_code == 200
    assert len(files.whole) == before + 1
    fails = 100
    assert (await batch.answered(ready, picture())).end.status_code == 503
    assert len(files.whole) == before + 1


async def test_of_a_reply_that_cannot_be_given_no_medium_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "google/gemini-2.5-flash-image", "messages": [{"role": "user", "content": "Two cats"}]}
    batch = await NativeBatch.of([{"custom_id": "i", "url": "/v1/chat/completions", "body": body}])
    ready = await batch.ready()
    two = picture()
    two["response"]["candidates"][0]["content"]["parts"] *= 2
    files = batch.stage.world.files
    assert isinstance(files, MemoryFiles)
    put, puts = files.put, 0

    async def every_second(tenant_id: str, file: File, data: bytes) -> None:
        nonlocal puts
        puts += 1
        if puts % 2 == 0:
            raise StorageUnavailable("not now")
        await put(tenant_id, file, data)

    monkeypatch.setattr(files, "put", every_second)
    assert (await batch.answered(ready, two)).end.status_code == 503
    assert not files.whole


async def test_the_bytes_of_a_file_go_into_the_batch() -> None:
    stage = native_stage()
    file_id = new_file_id("user_data", stage.clock.now_s(), b"0123456789")
    await stage.world.files.put("acme", File(file_id, "a.png", "image/png", len(PNG)), PNG)
    part = {"type": "image_url", "image_url": {"url": file_id}}
    batch = await NativeBatch.of([mini(messages=[{"role": "user", "content": [part]}])], stage)
    ready = await batch.ready()
    assert base64.b64encode(PNG) in ready.piece
    assert base64.b64encode(PNG) not in ready.kept
    await stage.world.files.delete("acme", file_id)
    gone = await batch.made_ready()
    assert isinstance(gone, CarriedOut)
    assert (gone.end.status_code, body_of(gone)["error"]["code"]) == (422, "media_not_found")


async def large(stage: Stage) -> NativeBatch:
    """More than Google takes in a request."""
    clip = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(16 * 2**20)
    file_id = new_file_id("user_data", stage.clock.now_s(), b"0123456789")
    await stage.world.files.put("acme", File(file_id, "a.mp4", "video/mp4", len(clip)), clip)
    part = {"type": "video", "url": file_id}
    body = {"model": "google/gemini-2.5-flash", "messages": [{"role": "user", "content": [part]}]}
    return await NativeBatch.of([{"custom_id": "v", "url": "/v1/chat/completions", "body": body}], stage)


async def test_what_is_too_large_for_a_request_its_provider_has_until_the_reply_is_there() -> None:
    stage, provider = native_stage(), FakeProvider()
    stage.world = replace(stage.world, outbound=provider)
    batch = await large(stage)
    ready = await batch.ready()
    assert b"/v1beta/files/f" in ready.piece
    assert len(ready.piece) < 10_000
    assert not [asked for asked in provider.asked if asked.startswith("DELETE")]
    text = {"content": {"role": "model", "parts": [{"text": "Seen."}]}, "finishReason": "STOP", "index": 0}
    later(stage)
    carried = await batch.answered(ready, {"key": "item-1", "response": {"candidates": [text], **GEMINI}})
    assert content_of(carried) == "Seen."
    [deleted] = [asked for asked in provider.asked if asked.startswith("DELETE")]
    assert deleted.startswith("DELETE v1beta/files/f")
    assert usage_of(carried).attempt == 1


async def test_what_was_uploaded_is_deleted_whatever_became_of_the_line() -> None:
    stage, provider = native_stage(), FakeProvider()
    stage.world = replace(stage.world, outbound=provider)
    batch = await large(stage)
    ready = await batch.ready()
    for outcome in (CANCELLED, JobInterrupted("lost"), ProviderRejected("no")):
        provider.sent.clear()
        await batch.given(ready, outcome)
        assert len([asked for asked in provider.asked if asked.startswith("DELETE")]) == 1


async def test_what_was_uploaded_with_a_tenants_own_key_is_deleted_with_it() -> None:
    stage, provider = native_stage(own_keys=("google",)), FakeProvider()
    keys = {"google": Credential(Secret("owners")), "google/acme": Credential(Secret("tenants"))}
    stage.world = replace(stage.world, outbound=provider, credentials=MemoryCredentials(keys))
    batch = await large(stage)
    ready = await batch.ready()
    stage.set_tenant(own_keys=())
    await batch.given(ready, CANCELLED)
    own = [request for request in provider.sent if request.url.startswith(f"{ORIGIN}/v1beta/")]
    assert {request.headers["x-goog-api-key"] for request in own} == {"tenants"}


async def test_a_tenants_own_key_is_the_one_that_its_batches_are_made_with() -> None:
    stage = native_stage(own_keys=("openai",))
    batch = await NativeBatch.of([mini()], stage)
    assert (await batch.native()).own_key
    assert (await batch.native()).reached.name == "openai/acme"
    ready = await batch.ready()
    stage.set_tenant(own_keys=())
    assert not (await batch.native()).own_key
    lines, line = await batch.lines(), await batch.line()
    kept = await native_of(lines, stage.world, own_key=True)
    assert kept.reached.name == "openai/acme"
    [found] = await batch.read(openai_result())
    assert (await given_line(ready.kept, found, 0, line, lines, stage.world)).end.status_code == 200


async def test_a_model_that_is_approved_no_more_still_gives_what_it_was_asked_for() -> None:
    batch = await NativeBatch.of([mini(), mini("b")])
    ready = await batch.ready()
    batch.stage.set_tenant(approvals=("google/*",))
    assert isinstance(ready, Ready)
    assert (await batch.answered(ready, openai_result())).end.status_code == 200
    refused = await batch.made_ready(at=1)
    assert isinstance(refused, CarriedOut)
    assert body_of(refused)["error"]["code"] == "model_not_approved"
