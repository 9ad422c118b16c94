"""Hooks of tenants through the deployed gateway: each kind, both stages, streamed and not, with what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import openai
import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import Gateway, check_response
from tests.e2e.customer import Customer, eventually
from tests.e2e.hooked import SECRET, Receiver, Tenant, deploy_plugin, put_by_hand, tenant_with
from tests.e2e.simulated import posts
from tests.e2e.test_governance import settled
from tests.e2e.test_silence import function_logs

pytestmark = pytest.mark.stack
MODEL = "openai/gpt-4o-mini"
MAIL = "joe.doe@example.org"
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@contextmanager
def sdk_of(local: Gateway, tenant: Tenant) -> Iterator[openai.OpenAI]:
    """The official client; every answer is held against the contract."""
    with (
        httpx2.Client(timeout=60, event_hooks={"response": [check_response]}) as transport,
        openai.OpenAI(base_url=local.http, api_key=tenant.key, max_retries=0, http_client=transport) as client,
    ):
        yield client


def say(local: Gateway, tenant: Tenant, text: str, stream: bool = False, **options: Any) -> tuple[str, Any, Any]:
    """What it says, its usage and report. Raises the SDK's errors."""
    messages: list[Any] = [{"role": "user", "content": text}]
    with sdk_of(local, tenant) as sdk:
        if not stream:
            reply = sdk.chat.completions.create(model=MODEL, messages=messages, max_tokens=50, **options)
            extra = reply.model_extra or {}
            return reply.choices[0].message.content or "", reply.usage, extra["gateway"]
        text, last = "", None
        for chunk in sdk.chat.completions.create(model=MODEL, messages=messages, max_tokens=50, stream=True, **options):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            last = chunk
        assert last is not None
        return text, last.usage, (last.model_extra or {})["gateway"]


def prompts(local: Gateway) -> list[str]:
    """What providers were asked since the log was cleared."""
    return [entry["body"]["messages"][-1]["content"] for entry in posts(local)]


@pytest.fixture(autouse=True)
def cleared(local: Gateway) -> None:
    httpx.delete(f"{local.simulators}/_sim/requests")


def spent(local: Gateway, tenant: Tenant) -> int:
    """Nano-USD settled this month at both levels, which agree; nothing is held any more."""
    values = set()
    for account in (f"T#{tenant.id}#0", f"U#{tenant.id}#0#alice"):
        item = settled(local, account)
        assert int(item["n"]) == 0
        [month] = [name for name in item if name.startswith("s") and len(name) == len("s2026-11")]
        assert item[month] == item[f"c{month[1:]}"]
        values.add(int(item[month]))
    [value] = values
    return value


def cost(usage: Any) -> int:
    nano_usd: int = round(usage.model_extra["cost_estimate"] * 1e9)
    return nano_usd


# -- webhooks


@STREAMS
def test_a_webhook_lets_pass_at_both_stages(local: Gateway, stream: bool) -> None:
    receiver = Receiver(local)
    tenant = tenant_with(local, receiver.hook(stages=["pre_call", "post_response"]))
    said, usage, report = say(local, tenant, "Hello", stream)
    assert said == "You said: Hello"
    assert [(run["stage"], run["action"]) for run in report["hooks"]] == [
        ("pre_call", "allow"),
        ("post_response", "allow"),
    ]
    assert spent(local, tenant) == cost(usage)
    before, after = receiver.received
    for message in (before, after):
        assert message["problem"] is None
        Webhook(SECRET).verify(message["body"], message["headers"])
        assert tenant.key not in json.dumps(message)
    assert json.loads(before["body"])["request"]["messages"][0]["content"] == "Hello"
    assert json.loads(after["body"])["response"]["choices"][0]["message"]["content"] == "You said: Hello"
    assert json.loads(before["body"])["request_id"] == json.loads(after["body"])["request_id"] == report["request_id"]


@STREAMS
def test_a_webhook_blocks_a_request(local: Gateway, stream: bool) -> None:
    receiver = Receiver(local, answer={"action": "block", "reason": "Not in this house."})
    tenant = tenant_with(local, receiver.hook())
    with pytest.raises(openai.PermissionDeniedError) as blocked:
        say(local, tenant, "Hello", stream)
    assert blocked.value.code == "request_blocked"
    assert blocked.value.body["hook"] == "moderation"  # type: ignore[index]
    assert "Not in this house." in blocked.value.message
    assert prompts(local) == []
    assert spent(local, tenant) == 0


@STREAMS
def test_a_webhook_changes_a_request(local: Gateway, stream: bool) -> None:
    patch = {"messages": [{"role": "user", "content": "Good night " * 40}]}
    tenant = tenant_with(local, Receiver(local, answer={"action": "modify", "patch": patch}).hook())
    said, usage, report = say(local, tenant, "Hello", stream)
    assert said.startswith("You said: Good night")
    assert report["hooks"][0]["action"] == "modify"
    assert spent(local, tenant) == cost(usage)


def test_a_request_that_a_hook_makes_too_dear_is_refused_and_given_back(local: Gateway) -> None:
    budget = {"budgets": [{"window": "month", "usd": "0.00015"}]}
    patch = {"messages": [{"role": "user", "content": "Good night " * 400}]}
    receiver = Receiver(local, answer={"action": "modify", "patch": patch})
    tenant = tenant_with(local, receiver.hook(), allowance=budget)
    with pytest.raises(openai.APIStatusError) as refused:
        say(local, tenant, "Hello")
    assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
    assert len(receiver.received) == 1
    assert prompts(local) == []
    assert spent(local, tenant) == 0


@STREAMS
def test_a_webhook_blocks_a_reply_which_is_paid(local: Gateway, stream: bool) -> None:
    receiver = Receiver(local, answer={"action": "block", "reason": "Not to be said."})
    tenant = tenant_with(local, receiver.hook(stages=["post_response"]))
    with pytest.raises(openai.PermissionDeniedError) as blocked:
        say(local, tenant, "Hello", stream)
    error: Any = blocked.value.body
    assert (error["code"], error["hook"]) == ("response_blocked", "moderation")
    assert len(prompts(local)) == 1
    assert spent(local, tenant) == round(error["usage"]["cost_estimate"] * 1e9) > 0


@STREAMS
def test_a_webhook_changes_a_reply(local: Gateway, stream: bool) -> None:
    patch = {"choices": [{"index": 0, "message": {"content": "Said otherwise."}}]}
    receiver = Receiver(local, answer={"action": "modify", "patch": patch})
    tenant = tenant_with(local, receiver.hook(stages=["post_response"]))
    said, usage, _ = say(local, tenant, "Hello", stream)
    assert said == "Said otherwise."
    assert spent(local, tenant) == cost(usage)


@STREAMS
@pytest.mark.parametrize("stage", ["pre_call", "post_response"])
@pytest.mark.parametrize(
    ("behaviour", "settings"),
    [
        ({"delay_s": 5}, {"timeout_ms": 100}),
        ({"status": 500}, {}),
        ({"raw": "<html>"}, {}),
        ({"answer": {"action": "modify", "patch": {"model": "x"}}}, {}),
    ],
    ids=["late", "500", "garbage", "patch"],
)
def test_a_failure_that_is_closed_lets_nothing_pass(
    local: Gateway, stage: str, stream: bool, behaviour: dict[str, Any], settings: dict[str, Any]
) -> None:
    tenant = tenant_with(local, Receiver(local, **behaviour).hook(stages=[stage], **settings))
    with pytest.raises(openai.InternalServerError) as failed:
        say(local, tenant, "Hello", stream)
    error: Any = failed.value.body
    assert (failed.value.status_code, error["code"], error["hook"]) == (503, "hook_unavailable", "moderation")
    assert error["retryable"] is (stage == "pre_call")
    assert spent(local, tenant) == (0 if stage == "pre_call" else round(error["usage"]["cost_estimate"] * 1e9))


@STREAMS
def test_one_that_is_open_is_gone_without_and_told_of(local: Gateway, stream: bool) -> None:
    hook = Receiver(local, delay_s=5).hook(stages=["pre_call", "post_response"], timeout_ms=100, on_failure="open")
    tenant = tenant_with(local, hook)
    said, _, report = say(local, tenant, "Hello", stream)
    assert said == "You said: Hello"
    assert [run["action"] for run in report["hooks"]] == ["failed", "failed"]
    lines = [line for line in function_logs(local).splitlines() if tenant.id.encode() in line]
    troubles = [json.loads(line) for line in lines if b"hook.failed_open" in line]
    assert [trouble["cause"] for trouble in troubles] == ["timeout", "timeout"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://[::ffff:10.0.0.1]/",
        "https://metadata.google.internal/",
    ],
)
def test_a_webhook_leads_nowhere_inside(local: Gateway, url: str) -> None:
    hook = {"kind": "webhook", "id": "inside", "url": url}
    with pytest.raises(httpx.HTTPStatusError) as refused:
        tenant_with(local, hook)
    error = refused.value.response.json()["error"]
    assert (error["code"], error["param"]) == ("validation_error", "hooks[0].url")
    tenant = tenant_with(local, {**hook, "url": "https://example.com/"})
    put_by_hand(local, tenant, hook)
    with pytest.raises(openai.InternalServerError) as failed:
        say(local, tenant, "Hello")
    assert failed.value.code == "hook_unavailable"
    assert any(cause in failed.value.message for cause in ("not_allowed", "not_public"))
    assert spent(local, tenant) == 0


def test_a_redirect_is_not_followed(local: Gateway) -> None:
    inside = Receiver(local)
    receiver = Receiver(local, status=307, location=inside.hook()["url"])
    tenant = tenant_with(local, receiver.hook())
    with pytest.raises(openai.InternalServerError, match="status_307"):
        say(local, tenant, "Hello")
    assert inside.received == []


# -- observing


@STREAMS
def test_an_observing_hook_is_told_and_changes_nothing(local: Gateway, stream: bool) -> None:
    patch = {"messages": [{"role": "user", "content": "Bye"}]}
    receiver = Receiver(local, answer={"action": "modify", "patch": patch}, delay_s=0.2)
    tenant = tenant_with(local, receiver.hook(mode="observe"))
    said, _, _ = say(local, tenant, "Hello", stream)
    assert said == "You said: Hello"
    assert len(receiver.received) == 1


def test_an_observed_stream_can_only_end_with_an_error(local: Gateway) -> None:
    receiver = Receiver(local, answer={"action": "block", "reason": "Too late."})
    tenant = tenant_with(local, receiver.hook(stages=["post_response"], mode="observe"))
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    headers = {"authorization": f"Bearer {tenant.key}"}
    with httpx.stream("POST", f"{local.http}/chat/completions", json=body, headers=headers, timeout=30) as answer:
        data = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    *chunks, last = map(json.loads, data)
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "You said: Hello"
    assert last["error"]["code"] == "response_blocked"
    assert spent(local, tenant) == round(last["error"]["usage"]["cost_estimate"] * 1e9)


def test_the_first_token_comes_at_once_past_a_hook_that_only_observes(local: Gateway) -> None:
    """The provider holds its stream after the first word until the client has seen that word."""
    gate = f"hooks-{time.time_ns()}"
    tenant = tenant_with(local, Receiver(local).hook(stages=["post_response"], mode="observe"))
    with sdk_of(local, tenant) as sdk:
        messages: list[Any] = [{"role": "user", "content": f"one two three [[gate={gate} gate_at=1]]"}]
        stream = sdk.chat.completions.create(model=MODEL, messages=messages, stream=True)
        first = next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        assert first.choices[0].delta.content
        httpx.post(f"{local.simulators}/_sim/gates/{gate}").raise_for_status()
        assert list(stream)[-1].usage


# -- functions


@pytest.fixture(scope="module")
def plugin(gateway: Gateway) -> dict[str, Any]:
    """The documented example, deployed as its README says."""
    if not gateway.simulators:
        pytest.skip("deploys into the local stack")
    function = deploy_plugin(gateway)
    assert function == "gateway-hook-house-rules:live"
    stages = ["pre_call", "post_response"]
    return {"kind": "lambda", "id": "house-rules", "function": function, "stages": stages, "timeout_ms": 10_000}


@STREAMS
def test_the_documented_plugin_lets_pass_blocks_and_changes(
    local: Gateway, plugin: dict[str, Any], stream: bool
) -> None:
    tenant = tenant_with(local, plugin)
    assert say(local, tenant, "Hello", stream)[0] == "You said: Hello"
    assert say(local, tenant, "Is it Initech?", stream)[0] == "You said: Is it another vendor?"
    with pytest.raises(openai.PermissionDeniedError) as blocked:
        say(local, tenant, "INTERNAL ONLY: our figures", stream)
    assert blocked.value.code == "request_blocked"
    assert len(prompts(local)) == 2


def test_a_function_that_is_not_there_fails_closed(local: Gateway) -> None:
    tenant = tenant_with(local, {"kind": "lambda", "id": "gone", "function": "gateway-hook-gone"})
    with pytest.raises(openai.InternalServerError, match="ResourceNotFoundException"):
        say(local, tenant, "Hello")


# -- guardrails


@STREAMS
@pytest.mark.parametrize("stage", ["pre_call", "post_response"])
def test_a_guardrail_blocks_and_masks(local: Gateway, stage: str, stream: bool) -> None:
    hook = {"kind": "bedrock_guardrail", "id": "bedrock", "guardrail_id": "gr1", "stages": [stage], "timeout_ms": 5_000}
    tenant = tenant_with(local, hook)
    assert say(local, tenant, "Hello", stream)[0] == "You said: Hello"
    assert say(local, tenant, f"Write to {MAIL}", stream)[0] == "You said: Write to {EMAIL}"
    with pytest.raises(openai.PermissionDeniedError, match="does not allow that") as blocked:
        say(local, tenant, "Something forbidden", stream)
    assert blocked.value.code == ("request_blocked" if stage == "pre_call" else "response_blocked")


def test_a_guardrail_that_does_not_exist_fails_closed(local: Gateway) -> None:
    tenant = tenant_with(local, {"kind": "bedrock_guardrail", "id": "bedrock", "guardrail_id": "doesnotexist"})
    with pytest.raises(openai.InternalServerError, match="status_400"):
        say(local, tenant, "Hello")


# -- built-in


@STREAMS
def test_what_is_masked_never_leaves_and_comes_back(local: Gateway, stream: bool) -> None:
    tenant = tenant_with(local, {"kind": "mask_pii", "id": "pii"})
    said, usage, _ = say(local, tenant, f"Write to {MAIL}, card 4111 1111 1111 1111", stream)
    assert said == f"You said: Write to {MAIL}, card 4111 1111 1111 1111"
    assert prompts(local) == ["Write to <EMAIL_1>, card <CARD_1>"]
    assert spent(local, tenant) == cost(usage)


def test_in_a_stream_that_is_cut_into_single_bytes_too(local: Gateway) -> None:
    tenant = tenant_with(local, {"kind": "mask_pii", "id": "pii"})
    assert say(local, tenant, f"Write to {MAIL} [[split_bytes=7]]", stream=True)[0] == f"You said: Write to {MAIL}"


def test_arguments_of_tools_are_masked_and_restored(local: Gateway) -> None:
    tenant = tenant_with(local, {"kind": "mask_pii", "id": "pii"})
    tool: Any = {"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}
    with sdk_of(local, tenant) as sdk:
        messages: list[Any] = [{"role": "user", "content": f'call send {{"to": "{MAIL}"}}'}]
        reply = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[tool])
        [call] = reply.choices[0].message.tool_calls or []
        assert json.loads(call.function.arguments) == {"to": MAIL}  # type: ignore[union-attr]
        messages += [reply.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": f"sent to {MAIL}"}]
        said = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[tool]).choices[0].message.content
    assert said == f"Tool said: sent to {MAIL}"
    entries = httpx.get(f"{local.simulators}/_sim/requests").text
    assert MAIL not in entries


@STREAMS
@pytest.mark.parametrize(
    ("hook", "text", "code"),
    [
        ({"kind": "deny_list", "phrases": ["Project Zeus"]}, "What is project  ZEUS?", "request_blocked"),
        ({"kind": "deny_list", "phrases": ["zeus"], "stages": ["post_response"]}, "Zeus!", "response_blocked"),
        ({"kind": "size", "max_prompt_characters": 10}, "Hello, hello!", "request_blocked"),
        ({"kind": "size", "max_reply_characters": 5, "stages": ["post_response"]}, "Hello", "response_blocked"),
        ({"kind": "json_schema", "schema": {"required": ["seed"]}}, "Hello", "request_blocked"),
        ({"kind": "json_schema", "schema": {}, "stages": ["post_response"]}, "Hello", "response_blocked"),
    ],
)
def test_guards_block(local: Gateway, hook: dict[str, Any], text: str, code: str, stream: bool) -> None:
    tenant = tenant_with(local, {"id": "guard", **hook})
    with pytest.raises(openai.PermissionDeniedError) as blocked:
        say(local, tenant, text, stream)
    error: Any = blocked.value.body
    assert (error["code"], error["hook"]) == (code, "guard")


@pytest.mark.parametrize(
    "hook",
    [
        {"kind": "deny_list", "phrases": ["zeus"]},
        {"kind": "size", "max_prompt_characters": 2_000, "max_reply_characters": 2_000},
        {"kind": "mask_pii"},
    ],
)
def test_guards_let_pass(local: Gateway, hook: dict[str, Any]) -> None:
    tenant = tenant_with(local, {"id": "guard", "stages": ["pre_call", "post_response"], **hook})
    for stream in (False, True):
        assert say(local, tenant, "Hello", stream)[0] == "You said: Hello"


# -- what is told


def test_the_audit_log_has_what_each_hook_said(local: Gateway) -> None:
    stages = {"pre_call": {"action": "allow"}, "post_response": {"action": "block", "reason": "Not to be said."}}
    receiver = Receiver(local, answers=stages)
    watcher = Receiver(local, answer={"action": "block", "reason": "Only watching."})
    hooks = [receiver.hook(stages=["pre_call", "post_response"]), watcher.hook(id="watcher", mode="observe")]
    tenant = tenant_with(local, *hooks)
    with pytest.raises(openai.PermissionDeniedError):
        say(local, tenant, "Hello")
    with httpx.Client() as http:
        customer = Customer(local, tenant.id, tenant.key, http)
        audit = eventually(lambda: found if len(found := customer.audit()) == 2 else None)
    [ended] = [line for line in audit if line["event"] != "request.started"]
    facts = ended["facts"]
    assert (ended["event"], facts["code"]) == ("request.blocked", "response_blocked")
    assert (facts["hook"], facts["reason"]) == ("moderation", "Not to be said.")
    assert {(run["id"], run["stage"], run["mode"], run["action"], run.get("reason")) for run in facts["hooks"]} == {
        ("moderation", "pre_call", "enforce", "allow", None),
        ("watcher", "pre_call", "observe", "block", "Only watching."),
        ("moderation", "post_response", "enforce", "block", "Not to be said."),
    }
    assert "Hello" not in json.dumps(audit)


def test_no_log_has_what_hooks_saw(local: Gateway) -> None:
    secret = f"secret{time.time_ns()}"
    receiver = Receiver(local, answers={"post_response": {"action": "block", "reason": "No."}})
    hooks = [{"kind": "mask_pii", "id": "pii"}, receiver.hook(stages=["pre_call", "post_response"])]
    tenant = tenant_with(local, *hooks, {"kind": "deny_list", "id": "words", "phrases": ["zzz"]})
    for text in (f"{secret}@example.org", f"{secret} zzz", f"{secret} [[status=500]]"):
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError):
                say(local, tenant, text, stream)
    logs = function_logs(local)
    assert tenant.id.encode() in logs
    for content in (secret, SECRET, SECRET.removeprefix("whsec_"), tenant.key):
        assert content.encode() not in logs


# -- embeddings


def test_texts_are_masked_and_judged_before_they_become_vectors(local: Gateway) -> None:
    receiver = Receiver(local)
    tenant = tenant_with(local, {"kind": "mask_pii", "id": "pii"}, receiver.hook(stages=["pre_call", "post_response"]))
    with sdk_of(local, tenant) as sdk:
        made = sdk.embeddings.create(model="openai/text-embedding-3-small", input=[f"Write to {MAIL}", "Hello"])
    report = (made.model_extra or {})["gateway"]
    assert [(run["id"], run["stage"], run["action"]) for run in report["hooks"]] == [
        ("pii", "pre_call", "modify"),
        ("moderation", "pre_call", "allow"),
        ("moderation", "post_response", "allow"),
    ]
    entries = posts(local)
    assert [entry["body"]["input"] for entry in entries] == [["Write to <EMAIL_1>", "Hello"]]
    before, after = (json.loads(message["body"]) for message in receiver.received)
    assert before["request"]["input"] == ["Write to <EMAIL_1>", "Hello"]
    assert after["response"]["data"] == [{"object": "embedding", "index": index} for index in range(2)]
    assert spent(local, tenant) == cost(made.usage)


@pytest.mark.parametrize(("stage", "code"), [("pre_call", "request_blocked"), ("post_response", "response_blocked")])
def test_embeddings_are_blocked_at_either_stage(local: Gateway, stage: str, code: str) -> None:
    receiver = Receiver(local, answer={"action": "block", "reason": "Not in this house."})
    tenant = tenant_with(local, receiver.hook(stages=[stage]))
    with sdk_of(local, tenant) as sdk, pytest.raises(openai.PermissionDeniedError) as blocked:
        sdk.embeddings.create(model="openai/text-embedding-3-small", input="Hello")
    assert blocked.value.code == code
    usage = blocked.value.body.get("usage")  # type: ignore[attr-defined]
    assert spent(local, tenant) == (round(usage["cost_estimate"] * 1e9) if usage else 0)
    assert bool(usage) == (stage == "post_response")
