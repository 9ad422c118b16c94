"""The chat function from request bytes to reply bytes, with a scripted provider."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import msgspec
import pytest

from gateway.entry.http import cors_headers
from gateway.model.provider_errors import ProviderError
from gateway.model.tenant import Principal, Tenant
from tests.asgi import Answer
from tests.fakes import ListEvents, ManualClock, principal
from tests.unit.conftest import TENANT, Gateway

HELLO: dict[str, Any] = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()


def event(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": choices, **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


FIGURES = {"id": "c", "created": 1, "model": "gpt-4o", "choices": [], "usage": USAGE}
FINAL = b"data: " + json.dumps(FIGURES).encode() + b"\n\n"
STREAM = [
    event({"role": "assistant", "content": ""}),
    event({"content": "Hi"}),
    event({"content": "!"}),
    event({}, "stop"),
    FINAL,
    b"data: [DONE]\n\n",
]


async def test_a_reply_has_usage_cost_and_report(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    answer = await gateway.chat(HELLO)
    reply = answer.json
    assert answer.status == 200
    assert (reply["object"], reply["model"]) == ("chat.completion", "openai/gpt-4o")
    assert reply["choices"][0]["message"]["content"] == "Hi!"
    assert reply["usage"]["total_tokens"] == 12
    assert reply["usage"]["cost_estimate"] == (9 * 2.5 + 3 * 10) / 1e6
    report = reply["gateway"]
    assert (report["provider"], report["model_requested"], report["model_used"]) == (
        "openai",
        "openai/gpt-4o",
        "openai/gpt-4o",
    )
    assert report["fallback_used"] is False
    assert [attempt["status"] for attempt in report["attempts"]] == ["ok"]
    assert answer.headers["x-gateway-request-id"] == report["request_id"]


async def test_the_provider_gets_its_own_key_and_model_id_not_ours(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat({**HELLO, "model": "smart"})
    (sent,) = gateway.outbound.sent
    assert sent.headers["authorization"] == "Bearer provider-key"
    assert json.loads(sent.body)["model"] == "gpt-4o"
    assert b"gwk_test" not in sent.body


async def test_the_callers_trace_goes_on_to_the_provider_and_into_the_record(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    trace_id, invocation = "4bf92f3577b34da6a3ce929d0e0e4736", {"request_id": "8476a536", "trace_id": "Root=1-x"}
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "tracestate": "a=1", "x-request-id": "mine"}
    answer = await gateway.chat(HELLO, headers=headers, extensions={"aws": invocation})
    version, sent_id, span_id, flags = gateway.outbound.sent[0].headers["traceparent"].split("-")
    assert (version, sent_id, flags, span_id != "00f067aa0ba902b7") == ("00", trace_id, "01", True)
    assert gateway.outbound.sent[0].headers["tracestate"] == "a=1"
    (record,) = gateway.records.written
    assert (record.trace_id, record.lambda_request_id) == (trace_id, "8476a536")
    assert isinstance(gateway.world.events, ListEvents)
    assert {each.of.trace_id for each in gateway.world.events.told} == {trace_id}  # type: ignore[union-attr]
    assert answer.headers["x-request-id"] == "mine"


async def test_a_request_without_a_trace_begins_one(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    (record,) = gateway.records.written
    assert gateway.outbound.sent[0].headers["traceparent"].split("-")[1] == record.trace_id
    assert (len(record.trace_id), record.lambda_request_id) == (32, None)


@pytest.mark.parametrize("model", ["openai/gpt-4o", "gpt-4o", "smart"])
async def test_a_model_is_found_by_id_bare_id_and_alias(gateway: Gateway, model: str) -> None:
    gateway.answers(200, WHOLE)
    reply = (await gateway.chat({**HELLO, "model": model})).json
    assert (reply["gateway"]["model_requested"], reply["gateway"]["model_used"]) == (model, "openai/gpt-4o")


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("nope", 404, "model_not_found"),
        ("openai/nope", 404, "model_not_found"),
        ("nobody/gpt-4o", 404, "model_not_found"),
        ("both", 404, "model_not_found"),
        ("groq/llama", 403, "model_not_approved"),
        ("openai/gpt-3", 410, "model_deprecated"),
        ("openai/dall-e", 400, "capability_not_supported"),
    ],
)
async def test_a_model_that_cannot_be_used_is_refused_unsent(
    gateway: Gateway, model: str, status: int, code: str
) -> None:
    answer = await gateway.chat({**HELLO, "model": model})
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (status, code, "model")
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.outbound.sent == []


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer wrong", "Basic gwk_test", "gwk_test"])
async def test_a_wrong_key_is_refused_whatever_the_body(gateway: Gateway, authorization: str) -> None:
    answer = await gateway.chat(b"not json", headers={"authorization": authorization})
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert gateway.outbound.sent == []


@pytest.mark.parametrize(
    ("holder", "code"),
    [
        (principal(TENANT, status="revoked"), "invalid_api_key"),
        (principal(TENANT, expires_at_s=1_790_000_000), "invalid_api_key"),
        (principal(msgspec.structs.replace(TENANT, status="disabled")), "tenant_disabled"),
        (principal(TENANT, scopes=("embeddings",)), "scope_missing"),
        (principal(TENANT, models=("openai/gpt-3*",)), "model_not_approved"),
    ],
)
async def test_a_key_that_no_longer_counts_is_refused(gateway: Gateway, holder: Principal, code: str) -> None:
    gateway.hold(holder)
    answer = await gateway.chat(HELLO)
    assert answer.json["error"]["code"] == code
    assert gateway.outbound.sent == []


async def test_a_stream_ends_with_usage_and_report_on_its_last_chunk(gateway: Gateway) -> None:
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    *chunks, done = answer.events
    assert (answer.status, done) == (200, "[DONE]")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hi!"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert ["usage" in chunk for chunk in chunks] == [False, False, False, True]
    assert chunks[-1]["usage"]["cost_estimate"] == (9 * 2.5 + 3 * 10) / 1e6
    assert chunks[-1]["gateway"]["attempts"][0]["ttft_ms"] is not None


async def test_a_client_that_asks_for_usage_gets_openais_separate_chunk(gateway: Gateway) -> None:
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True, "stream_options": {"include_usage": True}})
    *_, finish, usage, done = answer.events
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 12, "[DONE]")


async def test_chunks_of_one_network_read_are_one_write(gateway: Gateway) -> None:
    gateway.answers(200, b"".join(STREAM), content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    assert len(answer.events) == 5
    assert len(answer.parts) <= 2


@pytest.mark.parametrize("stream", [False, True])
async def test_the_client_is_answered_before_the_record_is_written(gateway: Gateway, stream: bool) -> None:
    answer = Answer()
    gateway.records.on_write = lambda: answer.log.append("record")
    gateway.answers(200, *(STREAM if stream else [WHOLE]))
    await gateway.chat({**HELLO, "stream": stream}, answer=answer)
    assert answer.log[-2:] == ["last", "record"]


async def test_a_refusal_before_the_first_chunk_keeps_its_status(gateway: Gateway) -> None:
    gateway.answers(429, b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}')
    gateway.outbound.answer.headers["retry-after"] = "7"  # type: ignore[union-attr]
    answer = await gateway.chat({**HELLO, "stream": True})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["level"], error["retryable"]) == (429, "rate_limited", "provider", True)
    assert answer.headers["retry-after"] == "7"
    assert "x-should-retry" not in answer.headers


async def test_a_break_after_the_first_chunk_is_an_error_event_and_no_done(gateway: Gateway) -> None:
    gateway.answers(200, STREAM[0], STREAM[1], ProviderError("The connection to the provider failed."))
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (answer.status, answer.log[-1]) == (200, "last")
    assert answer.events[-1]["error"]["code"] == "provider_error"
    assert "[DONE]" not in answer.events
    assert gateway.records.written[0].event == "request.failed"
    assert gateway.outbound.still_open == 0


async def test_a_stream_that_ends_early_is_not_taken_for_complete(gateway: Gateway) -> None:
    gateway.answers(200, STREAM[0], STREAM[1], content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    assert answer.events[-1]["error"]["code"] == "provider_error"


@pytest.mark.parametrize("stream", [False, True])
async def test_garbage_is_a_provider_error_that_quotes_nothing(gateway: Gateway, stream: bool) -> None:
    gateway.answers(200, b"<html>internal-host.example</html>")
    answer = await gateway.chat({**HELLO, "stream": stream})
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    assert b"internal-host" not in answer.body


@pytest.mark.parametrize(("stream", "phase"), [(False, "total"), (True, "ttft")])
async def test_a_silent_provider_times_out(gateway: Gateway, stream: bool, phase: str) -> None:
    gateway.answers(200, asyncio.Event().wait)
    limits = {"ttft_ms": 20, "total_ms": 40} if stream else {"total_ms": 20}
    answer = await gateway.chat({**HELLO, "stream": stream, "timeouts": limits})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["phase"]) == (504, "provider_timeout", phase)
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.outbound.still_open == 0


async def test_a_stream_that_stalls_after_content_ends_by_its_total_limit(gateway: Gateway) -> None:
    gateway.answers(200, STREAM[0], STREAM[1], asyncio.Event().wait, content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True, "timeouts": {"ttft_ms": 20, "total_ms": 40}})
    assert (answer.events[-1]["error"]["code"], answer.events[-1]["error"]["phase"]) == ("provider_timeout", "total")


async def test_a_provider_without_figures_is_estimated_and_says_so(gateway: Gateway) -> None:
    gateway.answers(200, *STREAM[:4], STREAM[5], content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    usage = answer.events[-2]["usage"]
    assert (usage["estimated"], usage["prompt_tokens"], usage["completion_tokens"]) == (True, 2, 1)


async def test_overhead_is_what_was_not_waiting_for_the_provider(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)

    async def take_half_a_second() -> None:
        clock.running_s += 0.5

    gateway.answers(200, take_half_a_second, WHOLE)
    report = (await gateway.chat(HELLO)).json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (500.0, 0.0)


async def test_a_client_that_reads_slowly_is_not_overhead(gateway: Gateway) -> None:
    manual = gateway.world.clock
    assert isinstance(manual, ManualClock)
    clock: ManualClock = manual  # declared, so that it stays one inside

    class SlowReader(list[bytes]):
        def append(self, piece: bytes) -> None:
            clock.running_s += 2.0
            super().append(piece)

    gateway.answers(200, *STREAM, content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True}, answer=Answer(parts=SlowReader()))
    report, [line] = answer.events[-2]["gateway"], gateway.records.written
    assert report["latency_ms"] >= 2_000
    assert (report["overhead_ms"], line.overhead_ms) == (0.0, 0.0)
    assert line.latency_ms >= report["latency_ms"] + 2_000  # the last piece, too


async def test_one_record_per_request_with_figures_and_no_content(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat({**HELLO, "metadata": {"conversation_id": "c-7"}})
    (record,) = gateway.records.written
    assert record.event == "request.completed"
    assert (record.tenant_id, record.user_id, record.conversation_id) == ("acme", "alice", "c-7")
    assert (record.input_tokens, record.cost_nano_usd) == (9, 52_500)
    written = msgspec.json.encode(record)
    assert b"Hello" not in written
    assert b"Hi!" not in written


async def test_a_defect_is_a_500_that_tells_nothing(gateway: Gateway, capsysbinary: Any) -> None:
    gateway.outbound.answer = RuntimeError("secret prompt text")
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
    out = capsysbinary.readouterr().out
    assert b"secret prompt text" not in answer.body + out
    assert {json.loads(line)["trace_id"] for line in out.splitlines()} == {answer.json["error"]["trace_id"]}
    assert gateway.records.written[0].error == "internal_error"


async def test_the_callers_request_id_is_echoed_and_ours_is_our_own(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    answer = await gateway.chat(HELLO, headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-gateway-request-id"].startswith("req_")


async def test_a_hostile_request_id_is_replaced(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    answer = await gateway.chat(HELLO, headers={"x-request-id": "a b\tc"})
    assert answer.headers["x-request-id"] == answer.headers["x-gateway-request-id"]


async def test_an_alias_reaches_only_what_is_approved(gateway: Gateway) -> None:
    gateway.hold(principal(Tenant(id="acme", approvals=("groq/*",), aliases={"smart": "openai/gpt-4o"})))
    assert (await gateway.chat({**HELLO, "model": "smart"})).json["error"]["code"] == "model_not_approved"


async def test_a_browser_origin_is_named_only_when_the_owner_allows_one(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.answers(200, WHOLE)
    cors_headers.cache_clear()
    assert "access-control-allow-origin" not in (await gateway.chat(HELLO)).headers
    monkeypatch.setenv("GATEWAY_ALLOWED_ORIGIN", "https://app.example.org")
    cors_headers.cache_clear()
    answers = [await gateway.chat(HELLO), await gateway.chat({})]
    cors_headers.cache_clear()
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"https://app.example.org"}


@pytest.mark.parametrize(
    "around",
    [
        b'"provider_options": {"openai": {"x": %s}}',
        b'"response_schema": {"type": "object", "properties": {"a": {"const": %s}}}',
        b'"tools": [{"type": "function", "function": {"name": "f", "parameters": {"const": %s}}}]',
    ],
)
async def test_what_nests_too_deeply_is_refused_and_no_defect(gateway: Gateway, around: bytes) -> None:
    """Around the depth at which it can no longer be read there are some at which it can be read and nothing else."""
    seen = set()
    for depth in range(sys.getrecursionlimit() - 100, sys.getrecursionlimit() + 5):
        gateway.answers(200, WHOLE)
        deep = around % (b"[" * depth + b"]" * depth)
        answer = await gateway.chat(json.dumps(HELLO).encode()[:-1] + b", " + deep + b"}")
        seen.add((answer.status, answer.json.get("error", {}).get("code")))
    assert seen <= {(200, None), (400, "validation_error")}
    assert (400, "validation_error") in seen
