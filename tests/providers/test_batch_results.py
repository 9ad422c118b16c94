"""How batches get on, and what each line of their results means, whoever answers them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderRateLimited, ProviderRejected
from gateway.model.reply import Reply
from gateway.providers.contract import (
    BATCH_TIER,
    BatchCounts,
    BatchState,
    Target,
)
from gateway.providers.wire import json_lines
from gateway.providers.wire.openai_chat import OpenAiChat
from tests.providers.batched import (
    BATCHED,
    Members,
    chats,
    embedding,
    lines,
    ok,
    read,
    target,
)

# -- how it gets on -------------------------------------------------------------------------------------------------


def openai_state(status: str, **members: Any) -> BatchState:
    body = {"id": "b", "object": "batch", "status": status, "input_file_id": "in", **members}
    return chats("openai").state(ok(**body), target("openai"))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *(("validating", "pending"), ("in_progress", "running"), ("finalizing", "running"), ("cancelling", "running")),
        *(("completed", "completed"), ("failed", "failed"), ("expired", "expired"), ("cancelled", "cancelled")),
    ],
)
def test_how_openais_gets_on(status: str, expected: str) -> None:
    counts = {"total": 5, "completed": 3, "failed": 1}
    state = openai_state(status, request_counts=counts, output_file_id="out", error_file_id="err")
    assert (state.remote_id, state.status, state.is_cancelling) == ("b", expected, status == "cancelling")
    assert state.is_over == (expected not in ("pending", "running"))
    assert state.counts == BatchCounts(total=5, answered=3, failed=1)
    assert state.outputs == ("out", "err")


def test_why_openai_refuses_a_batch() -> None:
    errors = [{"code": "invalid_json", "message": "Line 2 is no JSON.", "line": 2}, {"code": "x", "message": "Late."}]
    failure = openai_state("failed", errors={"object": "list", "data": errors}).failure
    assert isinstance(failure, ProviderRejected)
    assert failure.provider_code == "invalid_json"
    assert [(detail.pointer, detail.reason) for detail in failure.details] == [("/1", "Line 2 is no JSON.")]
    full = openai_state("failed", errors={"data": [{"code": "token_limit_exceeded", "message": "Enqueued"}]}).failure
    assert isinstance(full, ProviderRateLimited)
    assert isinstance(openai_state("failed").failure, ProviderRejected)


def anthropic_state(status: str, cancelled_at: str | None = None, **counts: int) -> BatchState:
    body = {"id": "b", "processing_status": status, "request_counts": counts, "cancel_initiated_at": cancelled_at}
    url = "https://elsewhere.example/results" if status == "ended" else None
    return chats("anthropic").state(ok(**body, results_url=url), target("anthropic"))


def test_how_anthropics_gets_on() -> None:
    running = anthropic_state("in_progress", processing=2, succeeded=1)
    assert (running.status, running.counts, running.outputs) == ("running", BatchCounts(3, 1), ())
    assert anthropic_state("canceling", "2026-01-01T00:00:00Z", processing=2).is_cancelling
    done = anthropic_state("ended", succeeded=1, errored=1)
    assert (done.status, done.counts, done.outputs) == ("completed", BatchCounts(2, 1, 1), ("b",))
    cut = anthropic_state("ended", "2026-01-01T00:00:00Z", succeeded=1, canceled=1)
    assert (cut.status, cut.outputs) == ("cancelled", ("b",))
    assert anthropic_state("ended", "2026-01-01T00:00:00Z", succeeded=2).status == "completed"
    assert anthropic_state("ended", succeeded=1, expired=1).status == "expired"


def google_state(state: str, **members: Any) -> BatchState:
    stats = {"requestCount": "3", "successfulRequestCount": "2", "failedRequestCount": "1"}
    body = {"name": "batches/b", "metadata": {"state": state, "batchStats": stats}, **members}
    return chats("google").state(ok(**body), target("google"))


@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        *(("PENDING", "pending"), ("RUNNING", "running"), ("SUCCEEDED", "completed"), ("FAILED", "failed")),
        *(("CANCELLED", "cancelled"), ("EXPIRED", "expired")),
    ],
)
def test_how_googles_gets_on(prefix: str, state: str, expected: str) -> None:
    found = google_state(prefix + state, response={"responsesFile": "files/out"} if state == "SUCCEEDED" else None)
    assert (found.remote_id, found.status, found.counts) == ("batches/b", expected, BatchCounts(3, 2, 1))
    assert found.outputs == (("files/out",) if state == "SUCCEEDED" else ())
    assert (found.failure is None) == (state != "FAILED")


def test_where_googles_results_stand_and_why_it_refuses() -> None:
    told = {"state": "BATCH_STATE_SUCCEEDED", "output": {"responsesFile": "files/out"}}
    assert chats("google").state(ok(name="batches/b", metadata=told), target("google")).outputs == ("files/out",)
    refused = google_state("BATCH_STATE_FAILED", error={"code": 3, "message": "The file is no JSON."})
    assert isinstance(refused.failure, ProviderRejected)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *(("QUEUED", "pending"), ("RUNNING", "running"), ("CANCELLATION_REQUESTED", "running")),
        *(("SUCCESS", "completed"), ("FAILED", "failed"), ("TIMEOUT_EXCEEDED", "expired"), ("CANCELLED", "cancelled")),
    ],
)
def test_how_mistrals_gets_on(status: str, expected: str) -> None:
    counts = {"total_requests": 3, "succeeded_requests": 2, "failed_requests": 1}
    job = {"id": "b", "status": status, **counts, "output_file": "out", "error_file": None}
    found = chats("mistral").state(ok(**job, errors=[{"message": "No such model.", "count": 1}]), target("mistral"))
    assert (found.remote_id, found.status, found.outputs) == ("b", expected, ("out",))
    assert found.counts == BatchCounts(3, 2, 1)
    assert found.is_cancelling == (status == "CANCELLATION_REQUESTED")
    assert isinstance(found.failure, ProviderRejected) == (expected == "failed")


@pytest.mark.parametrize("provider", BATCHED)
@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"id":"b","status":"asleep","processing_status":"asleep","request_counts":{},'
        b'"name":"batches/b","metadata":{"state":"ASLEEP"}}',
        b'{"id":"b","name":"batches/b","metadata":{"batchStats":{"requestCount":"many"}}}',
    ],
)
def test_what_is_no_state_says_nothing(provider: str, body: bytes) -> None:
    with pytest.raises(ProviderError):
        chats(provider).state(HttpResponse(200, {}, body), target(provider))


@pytest.mark.parametrize("provider", ["openai", "mistral", "google"])
def test_what_is_no_list_names_no_batch(provider: str) -> None:
    with pytest.raises(ProviderError):
        chats(provider).labelled(HttpResponse(200, {}, b"<html>"), "label", target(provider))
    assert chats(provider).labelled(ok(), "label", target(provider)) is None


# -- what came of each item -----------------------------------------------------------------------------------------

COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
GENERATED = {
    "candidates": [{"content": {"parts": [{"text": "4"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5},
}


def openai_line(item_id: str, status: int, body: Any) -> Members:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": item_id, "response": response, "error": None}


def openai_error(item_id: str, code: str) -> Members:
    return {"id": "batch_req_1", "custom_id": item_id, "response": None, "error": {"code": code, "message": "No."}}


def anthropic_error(kind: str) -> Members:
    return {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": "No."}}}


OPENAI = lines(
    openai_line("b", 200, COMPLETION),
    openai_line("a", 400, {"error": {"message": "No.", "type": "invalid_request_error"}}),
    openai_error("d", "batch_expired"),
    openai_error("c", "batch_cancelled"),
    openai_error("e", "request_timeout"),
    {"custom_id": "f"},
)
RESULTS = {
    "openai": OPENAI,
    "mistral": OPENAI,
    "anthropic": lines(
        {"custom_id": "b", "result": {"type": "succeeded", "message": MESSAGE}},
        {"custom_id": "a", "result": anthropic_error("invalid_request_error")},
        {"custom_id": "d", "result": {"type": "expired"}},
        {"custom_id": "c", "result": {"type": "canceled"}},
        {"custom_id": "e", "result": anthropic_error("api_error")},
        {"custom_id": "f", "result": {"type": "asleep"}},
    ),
    "google": lines(
        {"key": "b", "response": GENERATED},
        {"key": "a", "error": {"code": 3, "message": "No."}},
        {"key": "c", "error": {"code": 1, "message": "Stopped."}},
        {"key": "e", "error": {"code": 13, "message": "No."}},
        {"key": "f"},
    ),
}


@pytest.mark.parametrize("provider", RESULTS)
@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_each_line_is_the_result_of_an_item(provider: str, size: int) -> None:
    found = {one.item_id: one for one in read(chats(provider), target(provider), RESULTS[provider], size)}
    endings = {"b": "answered", "a": "failed", "d": "expired", "c": "cancelled", "e": "failed", "f": "failed"}
    if provider == "google":
        del endings["d"]
    assert {name: one.ending for name, one in found.items()} == endings
    reply, refused, cut, broken, nonsense = (found[name] for name in "bacef")
    assert reply.reply is not None
    assert reply.reply.choices[0].message.content == "4"
    assert reply.reply.service_tier == BATCH_TIER
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (10, 5)
    assert isinstance(refused.failure, ProviderRejected)
    assert cut.failure is not None
    assert (cut.failure.provider_code, cut.failure.is_refusal, cut.usage) == ("batch_cancelled", True, None)
    assert broken.failure is not None
    assert broken.failure.status in (502, 504)
    assert nonsense.failure is not None
    assert not nonsense.failure.is_refusal  # it may be paid


@pytest.mark.parametrize("provider", RESULTS)
def test_a_line_that_names_an_item_fails_it_and_another_is_counted(provider: str) -> None:
    name = "key" if provider == "google" else "custom_id"
    data = lines({name: "x", "response": 7, "result": 7}, {"no": "name"}) + b"\n<html>\n" + RESULTS[provider]
    parser = chats(provider).parser(target(provider))
    found = [*parser.feed(data), *parser.close()]
    assert (found[0].item_id, found[0].ending) == ("x", "failed")
    assert len(found) == 1 + RESULTS[provider].count(b"\n")
    assert parser.unreadable == 2


@pytest.mark.parametrize(
    ("provider", "line"),
    [
        ("openai", openai_line("x", 200, {"choices": "none"})),
        ("anthropic", {"custom_id": "x", "result": {"type": "succeeded", "message": {"type": "nothing"}}}),
        ("google", {"key": "x", "response": {"candidates": 7}}),
    ],
)
def test_an_answer_that_is_none_fails_its_item_alone(provider: str, line: Members) -> None:
    one, other = read(chats(provider), target(provider), lines(line) + RESULTS[provider].splitlines()[0])
    assert (one.item_id, one.ending, other.ending) == ("x", "failed", "answered")
    assert isinstance(one.failure, ProviderError)


def vector(provider: str, model: str, line: Members) -> tuple[bytes, int | None]:
    (found,) = read(embedding(provider), target(provider, model), lines(line))
    assert found.reply is not None
    return bytes(found.reply.vectors[0]), found.usage.prompt_tokens if found.usage else None


def test_vectors() -> None:
    data = {"object": "list", "data": [{"index": 0, "embedding": [0.5, 1]}], "usage": {"prompt_tokens": 3}}
    assert vector("openai", "text-embedding-3-small", openai_line("i", 200, data)) == (b"[0.5, 1]", 3)
    for unknown in ({"x": 1}, 2.5):  # what it cost is not known then
        odd = {"key": "i", "response": {"embedding": {"values": [0.5, 1]}, "tokenCount": unknown}}
        assert vector("google", "gemini-embedding-001", odd) == (b"[0.5, 1]", None)
    for told in ({"tokenCount": "3"}, {"tokenCount": 3}, {"usageMetadata": {"promptTokenCount": 3}}, {}):
        line = {"key": "i", "response": {"embedding": {"values": [0.5, 1]}, **told}}
        assert vector("google", "gemini-embedding-001", line) == (b"[0.5, 1]", 3 if told else None)


def test_a_line_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    line = msgspec.json.encode(openai_line("i", 400, {"error": {"message": "no"}})) + b"\n"
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", len(line))
    parser = chats("openai").parser(target("openai"))
    assert [found.item_id for found in parser.feed(line)] == ["i"]
    assert not [*parser.feed(b"x" * len(line))]
    assert not [*parser.feed(b"x")]
    assert not [*parser.feed(b"x" * 10)]
    assert [found.item_id for found in parser.feed(b"\n" + line)] == ["i"]
    assert not [*parser.close()]
    assert parser.unreadable == 1


def test_a_defect_of_reading_one_item_is_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    wire, parse = chats("openai").wire, OpenAiChat.parse  # type: ignore[attr-defined]  # of its items
    defects = [ZeroDivisionError()]

    def fails_once(self: OpenAiChat, response: HttpResponse, to: Target) -> Reply:
        if defects:
            raise defects.pop()
        return parse(self, response, to)

    monkeypatch.setattr(type(wire), "parse", fails_once)
    data = lines(openai_line("x", 200, COMPLETION), openai_line("y", 200, COMPLETION))
    broken, read_ = read(chats("openai"), target("openai"), data)
    assert (broken.ending, read_.ending) == ("failed", "answered")
    assert broken.failure is not None
    assert not broken.failure.is_refusal  # it may be paid
