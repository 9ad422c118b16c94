"""Hooks around a chat: their order, what they may do, what their failures mean, and what is held, paid and told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.hook import Hook, HookFailed
from gateway.model.ledger import Account, Hold, Reserved
from gateway.model.record import AuditEvent, UsageRecord
from gateway.pipeline import hooks as chain
from tests.asgi import Answer
from tests.fakes import ManualClock, ScriptedHooks, principal
from tests.unit.conftest import Gateway
from tests.unit.test_admission import ALICE_ACCOUNT, COST, DAY, TENANT_ACCOUNT, books, budget, limited, tenant, told
from tests.unit.test_chat_function import FIGURES, HELLO, STREAM, WHOLE, event

MAIL = "joe@example.org"
ASK: dict[str, Any] = {**HELLO, "messages": [{"role": "user", "content": f"Write to {MAIL}"}]}


def hook(kind: str = "lambda", **settings: Any) -> Hook:
    of_kind: dict[str, Any] = {"lambda": {"function": "gateway-hook-x"}}.get(kind, {})
    made: Hook = msgspec.convert({"kind": kind, "id": kind.replace("_", "-"), **of_kind, **settings}, Hook)
    return made


def with_hooks(gateway: Gateway, *hooks: Hook, **settings: Any) -> ScriptedHooks:
    gateway.hold(principal(tenant(hooks=hooks, **settings)))
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    return gateway.world.hooks


def whole(content: str | None, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    return json.dumps({**FIGURES, "choices": [choice]}).encode()


def sent(gateway: Gateway) -> list[Any]:
    """Contents of the messages as the provider got them."""
    [request] = gateway.outbound.sent
    return [message["content"] for message in json.loads(request.body)["messages"]]


def text(events: list[Any]) -> str:
    chunks = [event for event in events if isinstance(event, dict) and "error" not in event]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def nothing_is_held(gateway: Gateway) -> None:
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert reading.holds == {}
        assert not any(reading.numbers.values())


async def all_is_settled(gateway: Gateway) -> None:
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert reading.holds == {}
        assert (reading.numbers["n"], reading.numbers[f"s{DAY}"], reading.numbers[f"c{DAY}"]) == (0, COST, COST)


# -- before the call


async def test_a_hook_is_asked_about_the_clients_own_request(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook())
    remote.answers["lambda"] = {"action": "allow"}
    body = {**HELLO, "model": "smart", "response_schema": {"type": "object"}, "metadata": {"conversation_id": "c-7"}}
    gateway.answers(200, whole("{}"))
    answer = await gateway.chat(body)
    assert answer.status == 200
    [question] = remote.questions
    assert question["request"] == body
    assert (question["tenant_id"], question["user_id"], question["model"]) == ("acme", "alice", "smart")
    assert (question["stage"], question["operation"], question["conversation_id"]) == ("pre_call", "chat", "c-7")
    assert question["request_id"] == answer.headers["x-gateway-request-id"]
    assert "gwk_test" not in json.dumps(question)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_request_is_never_made_and_costs_nothing(gateway: Gateway, stream: bool) -> None:
    with_hooks(gateway, hook(), allowance=limited(requests_per_minute=5)).answers["lambda"] = {
        "action": "block",
        "reason": "Not here.",
    }
    answer = await gateway.chat({**HELLO, "stream": stream})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["hook"]) == (403, "request_blocked", "lambda")
    assert (error["message"], error["retryable"]) == ("Not here.", False)
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.outbound.sent == []
    await nothing_is_held(gateway)
    [usage] = told(gateway, UsageRecord)
    assert (usage.outcome, usage.cost_nano_usd) == ("refused", 0)
    ended = told(gateway, AuditEvent)[-1]
    assert ended.event == "request.blocked"
    assert (ended.facts["hook"], ended.facts["reason"]) == ("lambda", "Not here.")
    assert [run["action"] for run in ended.facts["hooks"]] == ["block"]


async def test_what_one_changes_the_next_one_sees_and_the_provider_gets(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(id="first"), hook("mask_pii"), hook(id="second"))
    changed = [{"role": "user", "content": f"Mail {MAIL}"}]
    remote.answers |= {"first": {"action": "modify", "patch": {"messages": changed}}, "second": {"action": "allow"}}
    gateway.answers(200, WHOLE)
    reply = (await gateway.chat(HELLO)).json
    assert [question["request"]["messages"][0]["content"] for question in remote.questions] == [
        "Hello",
        "Mail <EMAIL_1>",
    ]
    assert sent(gateway) == ["Mail <EMAIL_1>"]
    assert [(run["id"], run["action"]) for run in reply["gateway"]["hooks"]] == [
        ("first", "modify"),
        ("mask-pii", "modify"),
        ("second", "allow"),
    ]
    await all_is_settled(gateway)


async def test_the_first_block_wins(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(id="first"), hook(id="second"))
    remote.answers["first"] = {"action": "block"}
    assert (await gateway.chat(HELLO)).json["error"]["hook"] == "first"
    assert len(remote.asked) == 1


async def test_a_request_without_hooks_says_nothing_of_them(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    assert "hooks" not in (await gateway.chat(HELLO)).json["gateway"]


# -- what a changed request needs


async def test_a_longer_request_is_held_for_in_place(gateway: Gateway) -> None:
    longer = [{"role": "user", "content": "Hello " * 500}]
    remote = with_hooks(gateway, hook(), allowance=limited(tokens_per_minute=10_000))
    holds: list[Hold] = []

    async def look() -> dict[str, Any]:
        holds.extend((await books(gateway)).holds.values())
        return {"action": "modify", "patch": {"messages": longer}}

    async def look_again() -> None:
        holds.extend((await books(gateway)).holds.values())
        assert (await books(gateway)).numbers["t29833333"] > 3_000

    remote.answers["lambda"] = look
    gateway.answers(200, look_again, WHOLE)
    answer = await gateway.chat({**HELLO, "max_tokens": 10})
    assert answer.status == 200
    before, during = holds
    assert during.cost_nano_usd > 3_000 * 2_500 > before.cost_nano_usd
    assert during.until_s == before.until_s
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 7_000
    await all_is_settled(gateway)
    assert (await books(gateway)).numbers["t29833333"] == 12


@pytest.mark.parametrize(
    ("allowance", "status", "code"),
    [
        (budget("0.002"), 402, "budget_exceeded"),
        (limited(tokens_per_minute=1_000), 429, "rate_limited"),
    ],
)
@pytest.mark.parametrize("level", ["allowance", "user_allowance"])
async def test_one_that_does_not_fit_any_more_is_refused_and_all_is_given_back(
    gateway: Gateway, allowance: Any, status: int, code: str, level: str
) -> None:
    longer = [{"role": "user", "content": "Hello " * 500}]
    remote = with_hooks(gateway, hook(), **{level: allowance})
    remote.answers["lambda"] = {"action": "modify", "patch": {"messages": longer}}
    answer = await gateway.chat({**HELLO, "max_tokens": 10})
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert "hook" in error["message"]
    if code == "budget_exceeded":
        assert (error["remaining_usd"], error["limit_usd"]) == ("0.002", "0.002")
        assert float(error["needed_usd"]) > 0.007
    assert gateway.outbound.sent == []
    await nothing_is_held(gateway)


class SilentLedger(MemoryLedger):
    """Does not answer when it is asked for more, whether that came through or not."""

    def __init__(self, *, comes_through: bool) -> None:
        super().__init__()
        self._comes_through = comes_through

    async def enlarge(self, account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        if self._comes_through:
            await super().enlarge(account, name, hold, larger)
        raise AdmissionUnavailable("Limits cannot be checked at the moment (Unreachable).")


@pytest.mark.parametrize("comes_through", [True, False])
async def test_what_nobody_knows_to_be_held_is_given_back_exactly(gateway: Gateway, comes_through: bool) -> None:
    gateway.world = replace(gateway.world, ledger=SilentLedger(comes_through=comes_through))
    remote = with_hooks(gateway, hook(), allowance=limited(tokens_per_minute=100_000))
    remote.answers["lambda"] = {"action": "modify", "patch": {"max_tokens": 500}}
    answer = await gateway.chat({**HELLO, "max_tokens": 10})
    assert (answer.status, answer.json["error"]["code"]) == (503, "admission_unavailable")
    assert gateway.outbound.sent == []
    await nothing_is_held(gateway)


async def test_a_shorter_request_keeps_what_is_held(gateway: Gateway) -> None:
    gateway.world = replace(gateway.world, ledger=SilentLedger(comes_through=False))  # which is not asked
    remote = with_hooks(gateway, hook())
    remote.answers["lambda"] = {"action": "modify", "patch": {"max_tokens": 5}}
    gateway.answers(200, WHOLE)
    assert (await gateway.chat({**HELLO, "max_tokens": 10})).status == 200
    assert json.loads(gateway.outbound.sent[0].body)["max_tokens"] == 5
    await all_is_settled(gateway)


async def test_what_the_model_cannot_do_is_refused_whoever_asks_for_it(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook())
    remote.answers["lambda"] = {"action": "modify", "patch": {"response_schema": {"type": "objekt"}}}
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["param"]) == (400, "response_schema.type")
    await nothing_is_held(gateway)


# -- failures


FAILURES: list[Any] = [HookFailed("unreachable"), b"<html>", {"action": "modify", "patch": {"model": "x"}}, {}]


@pytest.mark.parametrize("stage", ["pre_call", "post_response"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_hook_that_fails_closed_lets_nothing_pass(gateway: Gateway, failure: Any, stage: str) -> None:
    with_hooks(gateway, hook(stages=[stage])).answers["lambda"] = failure
    gateway.answers(200, WHOLE)
    answer = await gateway.chat(HELLO)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["hook"]) == (503, "hook_unavailable", "lambda")
    is_paid = stage == "post_response"
    assert error["retryable"] is not is_paid
    assert ("x-should-retry" in answer.headers) is is_paid
    assert (error["usage"] or {}).get("total_tokens") == (12 if is_paid else None)
    assert [trouble["event"] for trouble in gateway.records.troubles] == ["hook.failed_closed"]
    await (all_is_settled if is_paid else nothing_is_held)(gateway)
    assert told(gateway, AuditEvent)[-1].event == "request.failed"


@pytest.mark.parametrize("stage", ["pre_call", "post_response"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_one_that_fails_open_is_gone_without_and_told_of(gateway: Gateway, failure: Any, stage: str) -> None:
    with_hooks(gateway, hook(stages=[stage], on_failure="open")).answers["lambda"] = failure
    gateway.answers(200, WHOLE)
    answer = await gateway.chat(HELLO)
    assert answer.status == 200
    [run] = answer.json["gateway"]["hooks"]
    assert (run["stage"], run["action"]) == (stage, "failed")
    [trouble] = gateway.records.troubles
    assert (trouble["event"], trouble["hook"], trouble["stage"]) == ("hook.failed_open", "lambda", stage)
    assert (trouble["tenant_id"], bool(trouble["cause"])) == ("acme", True)
    [fact] = told(gateway, AuditEvent)[-1].facts["hooks"]
    assert fact["cause"] == trouble["cause"]


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


@pytest.mark.parametrize(("on_failure", "status"), [("closed", 503), ("open", 200)])
async def test_a_hook_that_is_late_has_failed(gateway: Gateway, on_failure: str, status: int) -> None:
    with_hooks(gateway, hook(timeout_ms=10, on_failure=on_failure)).answers["lambda"] = never
    gateway.answers(200, WHOLE)
    answer = await gateway.chat(HELLO)
    assert answer.status == status
    assert gateway.records.troubles[0]["cause"] == "timeout"
    if status == 503:
        assert "in time" in answer.json["error"]["message"]


async def test_all_hooks_of_a_stage_have_a_limit_together(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "STAGE_S", 0.03)
    hooks = [hook(id=f"h{number}", timeout_ms=10_000, on_failure="open") for number in range(3)]
    remote = with_hooks(gateway, *hooks)
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)

    async def slow() -> dict[str, Any]:
        clock.running_s += 0.02
        return {"action": "allow"}

    remote.answers = {"h0": slow, "h1": slow, "h2": never}
    gateway.answers(200, WHOLE)
    async with asyncio.timeout(5):
        runs = (await gateway.chat(HELLO)).json["gateway"]["hooks"]
    assert [run["action"] for run in runs] == ["allow", "allow", "failed"]


async def test_too_much_to_ask_about_is_too_large(gateway: Gateway) -> None:
    with_hooks(gateway, hook()).answers["lambda"] = {"action": "allow"}
    body = {**HELLO, "messages": [{"role": "user", "content": "x" * (5 * 1024 * 1024)}]}
    answer = await gateway.chat(body)
    assert (answer.status, answer.json["error"]["code"]) == (413, "payload_too_large")


async def test_a_request_without_bottom_is_no_defect(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii"))
    deep = b"[" * 800 + b"]" * 800
    body = json.dumps({**HELLO, "provider_options": {"openai": {"a": "deep"}}}).encode().replace(b'"deep"', deep)
    answer = await gateway.chat(body)
    assert (answer.status, answer.json["error"]["code"]) == (503, "hook_unavailable")
    assert gateway.records.troubles[0]["cause"] == "too_deep"


async def test_waiting_for_a_remote_hook_is_not_overhead(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)

    async def take_a_second() -> dict[str, Any]:
        clock.running_s += 1
        return {"action": "allow"}

    both = hook(stages=["pre_call", "post_response"])
    with_hooks(gateway, both).answers["lambda"] = take_a_second
    gateway.answers(200, WHOLE)
    report = (await gateway.chat(HELLO)).json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (2000.0, 0.0)
    assert [run["latency_ms"] for run in report["hooks"]] == [1000.0, 1000.0]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_hooks_took_the_provider_cannot_take_any_more(gateway: Gateway, stream: bool) -> None:
    """A request has 285 s, a stream 840, and a hook that has yet to agree 20 of them."""
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)

    async def take_long() -> dict[str, Any]:
        clock.running_s += 819.98 if stream else 264.98
        return {"action": "allow"}

    remote = with_hooks(gateway, hook(), hook(id="after", stages=["post_response"]))
    remote.answers["lambda"] = take_long
    gateway.answers(200, asyncio.Event().wait)
    async with asyncio.timeout(5):
        answer = await gateway.chat({**HELLO, "stream": stream})
    assert (answer.status, answer.json["error"]["code"]) == (504, "provider_timeout")


# -- after the call


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_reply_is_not_given_and_paid(gateway: Gateway, stream: bool) -> None:
    remote = with_hooks(gateway, hook(stages=["post_response"]))
    remote.answers["lambda"] = {"action": "block", "reason": "A competitor."}
    gateway.answers(200, *(STREAM if stream else [WHOLE]))
    answer = await gateway.chat({**HELLO, "stream": stream})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["hook"]) == (403, "response_blocked", "lambda")
    assert error["usage"]["total_tokens"] == 12
    assert b"Hi" not in answer.body
    await all_is_settled(gateway)
    [usage] = told(gateway, UsageRecord)
    assert (usage.outcome, usage.code, usage.cost_nano_usd) == ("error", "response_blocked", COST)
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.facts["hook"], ended.facts["reason"]) == ("request.blocked", "lambda", "A competitor.")
    [question] = remote.questions
    assert question["response"] == {
        "object": "chat.completion",
        "model": "openai/gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}],
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_a_changed_reply_is_what_the_client_gets(gateway: Gateway, stream: bool) -> None:
    remote = with_hooks(gateway, hook(stages=["post_response"]))
    patch = {"choices": [{"index": 0, "message": {"content": "Bye."}}]}
    remote.answers["lambda"] = {"action": "modify", "patch": patch}
    gateway.answers(200, *(STREAM if stream else [WHOLE]), content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": stream})
    if stream:
        *chunks, done = answer.events
        assert (text(chunks), done) == ("Bye.", "[DONE]")
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "stop"]
        reply = chunks[-1]
    else:
        reply = answer.json
        assert reply["choices"][0]["message"]["content"] == "Bye."
    assert reply["usage"]["total_tokens"] == 12
    assert [run["action"] for run in reply["gateway"]["hooks"]] == ["modify"]


async def test_a_stream_that_no_hook_changes_is_replayed_as_it_came(gateway: Gateway) -> None:
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    plain = (await gateway.chat({**HELLO, "stream": True})).events
    with_hooks(gateway, hook(stages=["post_response"])).answers["lambda"] = {"action": "allow"}
    replayed = (await gateway.chat({**HELLO, "stream": True})).events

    def shown(events: list[Any]) -> list[Any]:
        return [event["choices"] if isinstance(event, dict) else event for event in events]

    assert shown(replayed) == shown(plain)
    assert replayed[-2]["gateway"]["attempts"][0]["ttft_ms"] is not None


async def test_nothing_of_a_stream_is_seen_before_the_hook_has_spoken(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=["post_response"]))
    answer, seen = Answer(), []

    async def look() -> dict[str, Any]:
        seen.append(list(answer.log))
        return {"action": "allow"}

    remote.answers["lambda"] = look
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    await gateway.chat({**HELLO, "stream": True}, answer=answer)
    assert seen == [[]]
    assert text(answer.events) == "Hi!"


async def test_the_clients_own_schema_is_held_against_what_the_hooks_leave(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=["post_response"]))
    patch = {"choices": [{"index": 0, "message": {"content": '{"city": 5}'}}]}
    remote.answers["lambda"] = {"action": "modify", "patch": patch}
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    for stream in (False, True):
        parts = (
            [event({"content": '{"city": "Rome"}'}, "stop"), b"data: [DONE]\n\n"]
            if stream
            else [whole('{"city": "Rome"}')]
        )
        gateway.answers(200, *parts)
        answer = await gateway.chat({**HELLO, "response_schema": schema, "stream": stream})
        assert (answer.status, answer.json["error"]["details"][0]["pointer"]) == (422, "/city")


async def test_a_stream_that_breaks_while_it_is_held_back_is_paid_by_what_came(gateway: Gateway) -> None:
    with_hooks(gateway, hook(stages=["post_response"]))
    gateway.answers(200, STREAM[0], event({"content": "x" * 40}), content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    assert gateway.records.written[0].output_tokens == 10


# -- observing


class Log(list[str]):
    """Of an answer; tells when the last of it has left."""

    def __init__(self, answered: asyncio.Event) -> None:
        super().__init__()
        self._answered = answered

    def append(self, what: str) -> None:
        super().append(what)
        if what == "last":
            self._answered.set()


async def test_an_observing_hook_changes_nothing_and_the_client_does_not_wait_for_it(gateway: Gateway) -> None:
    both = hook(stages=["pre_call", "post_response"], mode="observe")
    remote = with_hooks(gateway, both)
    answered = asyncio.Event()

    async def wait_for_the_answer() -> dict[str, Any]:
        await answered.wait()
        return {"action": "block", "reason": "No."}

    remote.answers["lambda"] = wait_for_the_answer
    gateway.answers(200, WHOLE)
    async with asyncio.timeout(5):
        answer = await gateway.chat(HELLO, answer=Answer(log=Log(answered)))
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "Hi!")
    assert "hooks" not in answer.json["gateway"]
    facts = told(gateway, AuditEvent)[-1].facts["hooks"]
    assert [(run["stage"], run["mode"], run["action"], run["reason"]) for run in facts] == [
        ("pre_call", "observe", "block", "No."),
        ("post_response", "observe", "block", "No."),
    ]
    await all_is_settled(gateway)


async def test_one_that_only_watches_fails_open_always(gateway: Gateway) -> None:
    with_hooks(gateway, hook(mode="observe")).answers["lambda"] = HookFailed("unreachable")
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    assert [trouble["event"] for trouble in gateway.records.troubles] == ["hook.failed_open"]


async def test_a_defect_of_a_watcher_is_told_and_harms_nobody(gateway: Gateway) -> None:
    with_hooks(gateway, hook(mode="observe"))  # for which the world has no answer
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    assert gateway.records.troubles[0]["cause"] == "KeyError"


async def test_what_watches_a_built_in_way_changes_nothing_either(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii", mode="observe"), hook("deny_list", phrases=["joe"], mode="observe"))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(ASK)).status == 200
    assert sent(gateway) == [f"Write to {MAIL}"]
    facts = told(gateway, AuditEvent)[-1].facts["hooks"]
    assert [(run["id"], run["action"]) for run in facts] == [("mask-pii", "modify"), ("deny-list", "block")]


async def test_an_observed_stream_passes_and_can_only_end_with_an_error(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=["post_response"], mode="observe"))
    remote.answers["lambda"] = {"action": "block", "reason": "No."}
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    assert answer.status == 200
    assert text(answer.events) == "Hi!"
    error = answer.events[-1]["error"]
    assert (error["code"], error["hook"], error["usage"]["total_tokens"]) == ("response_blocked", "lambda", 12)
    assert "[DONE]" not in answer.events
    await all_is_settled(gateway)
    assert told(gateway, AuditEvent)[-1].event == "request.blocked"


@pytest.mark.parametrize(
    "said",
    [
        {"action": "allow"},
        HookFailed("x"),
        {"action": "modify", "patch": {"choices": [{"index": 0, "message": {"content": "Bye"}}]}},
    ],
)
async def test_else_it_ends_as_it_would(gateway: Gateway, said: Any) -> None:
    with_hooks(gateway, hook(stages=["post_response"], mode="observe")).answers["lambda"] = said
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (text(answer.events), answer.events[-1]) == ("Hi!", "[DONE]")
    assert len(answer.events[-2]["gateway"]["hooks"]) == 1


# -- masking


async def test_what_is_masked_comes_back_in_the_reply(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii"))
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"to": "<EMAIL_1>"}'}}
    gateway.answers(200, whole("To <EMAIL_1>", tool_calls=[call]))
    message = (await gateway.chat(ASK)).json["choices"][0]["message"]
    assert sent(gateway) == ["Write to <EMAIL_1>"]
    assert message["content"] == f"To {MAIL}"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": MAIL}


async def test_in_a_stream_too_wherever_a_token_is_cut(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii"))
    arguments = [
        event({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"to": "<EM'}}]})
    ]
    arguments += [event({"tool_calls": [{"index": 0, "function": {"arguments": 'AIL_1>"}'}}]})]
    pieces = [event({"content": piece}) for piece in ("To <", "EMAIL", "_1", "> and <EMAIL_1", "> <b", "> x <EMA")]
    gateway.answers(200, *pieces, *arguments, event({}, "stop"), b"data: [DONE]\n\n", content_type="text/event-stream")
    events = (await gateway.chat({**ASK, "stream": True})).events
    assert text(events) == f"To {MAIL} and {MAIL} <b> x <EMA"
    calls = [
        call for chunk in events[:-1] for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())
    ]
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"to": MAIL}
    assert events[-1] == "[DONE]"
    assert len(events) > 5  # it was not held back


async def test_hooks_after_it_never_see_what_it_masked(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook("mask_pii"), hook(stages=["pre_call", "post_response"]))
    remote.answers["lambda"] = {"action": "allow"}
    gateway.answers(200, whole("To <EMAIL_1>"))
    reply = (await gateway.chat(ASK)).json
    assert reply["choices"][0]["message"]["content"] == f"To {MAIL}"
    assert len(remote.questions) == 2
    assert MAIL not in json.dumps(remote.questions)


async def test_masking_a_reply_holds_a_stream_back(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii", stages=["pre_call", "post_response"]))
    pieces = [event({"content": piece}) for piece in ("<EMAIL_1> knows ann@ex", "ample.org")]
    gateway.answers(200, *pieces, event({}, "stop"), b"data: [DONE]\n\n", content_type="text/event-stream")
    assert text((await gateway.chat({**ASK, "stream": True})).events) == f"{MAIL} knows <EMAIL_2>"


async def test_nothing_that_is_told_or_logged_has_what_was_masked(gateway: Gateway, capsysbinary: Any) -> None:
    with_hooks(gateway, hook("mask_pii"), hook("deny_list", phrases=["write to"]))
    await gateway.chat(ASK)
    record = msgspec.json.encode([*gateway.records.written, *gateway.records.troubles]).decode()
    record += "".join(map(repr, told(gateway, AuditEvent)))
    assert "joe" not in record
    assert capsysbinary.readouterr().out == b""
