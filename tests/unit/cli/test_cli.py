"""The command `gateway`, against the administration in memory."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

import cli.client
from cli.client import Gateway, Unreachable, place
from cli.main import main
from cli.settings import BadSetting, instant, seconds, settings
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.entry.admin import admin_app
from gateway.model.errors import StorageUnavailable
from tests.directory import FixedAdminKey, MemoryDirectory
from tests.fakes import ListEvents, ManualClock
from tests.record_fakes import NOW_S, MemoryUsage, record
from tests.unit.admin.conftest import ADMIN_KEY, Office

Run = Callable[..., "Result"]


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class InMemory(httpx.BaseTransport):
    """Carries requests to the administration, one event loop each. `failures` are raised first, or answered."""

    office: Office
    failures: list[Exception | httpx.Response] = field(default_factory=list)
    sent: list[httpx.Request] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        with contextlib.redirect_stdout(io.StringIO()):  # what the function logs is not what the command says
            return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(admin_app(self.office.world, self.office.usage), raise_app_exceptions=False)
        answer = await transport.handle_async_request(
            httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@pytest.fixture
def office() -> Office:
    ledger = MemoryLedger()
    clock = ManualClock(unix_s=time.time())
    return Office(MemoryDirectory(ledger), ledger, ListEvents(), FixedAdminKey(ADMIN_KEY), clock, MemoryUsage(clock))


@pytest.fixture
def network(office: Office) -> InMemory:
    return InMemory(office)


@pytest.fixture
def run(network: InMemory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What a terminal shows of a command, and how it ends."""
    monkeypatch.setenv("GATEWAY_URL", "http://gateway.example/v1")
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    monkeypatch.setenv("COLUMNS", "200")
    made = cli.client.Gateway
    monkeypatch.setattr(cli.client, "Gateway", lambda url, key: made(url, key, network))

    def call(*arguments: str) -> Result:
        monkeypatch.setattr("sys.argv", ["gateway", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        shown = capsys.readouterr()
        return Result(code, shown.out, shown.err)

    return call


def test_a_tenant_from_its_beginning_to_its_end(run: Run) -> None:
    made = run("tenant", "create", "acme", "--name", "Acme Corp.", "--approve", "openai/*", "--approve", "nope/*")
    assert made.code == 0
    assert re.search(r"^name +Acme Corp\. *$", made.out, re.MULTILINE)
    assert made.err == "warning: /approvals/1: No model of the catalog matches 'nope/*'.\n"
    assert re.search(r"^acme +Acme Corp\. +active +openai/\*, nope/\* +1 +20", run("tenant", "list").out, re.MULTILINE)
    changed = run("tenant", "set", "acme", "--set", 'allowance.budgets=[{"window":"month","usd":"9.5"}]', "--json")
    assert json.loads(changed.out)["allowance"]["budgets"] == [{"window": "month", "usd": "9.5", "models": "*"}]
    assert json.loads(run("tenant", "show", "acme", "--json").out)["name"] == "Acme Corp."
    replaced = json.loads(run("tenant", "set", "acme", "--replace", "--approve", "openai/*", "--json").out)
    assert (replaced["name"], replaced["allowance"]["budgets"]) == ("", [])
    assert run("tenant", "delete", "acme", "--yes").err.startswith("Disable the tenant before you delete it.")
    assert "disabled" in run("tenant", "disable", "acme").out
    assert "active" in run("tenant", "enable", "acme").out
    run("tenant", "disable", "acme")
    assert json.loads(run("tenant", "delete", "acme", "--yes", "--json").out)["deleted"] is True
    assert run("tenant", "list", "--json").out == "[]\n"


def test_settings_may_come_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "acme.json"
    file.write_text('{"name": "of the file", "shards": 2}')
    made = json.loads(run("tenant", "create", "acme", "--file", str(file), "--set", "shards=3", "--json").out)
    assert (made["name"], made["shards"]) == ("of the file", 3)
    file.write_text(run("tenant", "show", "acme", "--json").out.replace("of the file", "read and changed"))
    assert "read and changed" in run("tenant", "set", "acme", "--replace", "--file", str(file)).out
    overtaken = run("tenant", "set", "acme", "--replace", "--file", str(file))
    assert (overtaken.code, "precondition_failed" in overtaken.err) == (1, True)


def test_a_group_of_models_is_set_as_a_whole_and_in_part(run: Run) -> None:
    run("tenant", "create", "acme", "--set", 'approvals=["openai/*"]')
    group = '{"models": [{"model": "openai/gpt-4o", "weight": 3}, "azure/gpt-4o"]}'
    set_ = run("tenant", "set", "acme", "--set", f"aliases.chat={group}")
    assert (set_.code, set_.err) == (0, "warning: /aliases/chat/models/1: 'azure/gpt-4o' is no model of the catalog.\n")
    assert '"routing": "weighted"' in run("tenant", "set", "acme", "--set", "aliases.chat.routing=weighted").out
    refused = run("tenant", "set", "acme", "--set", 'aliases.all={"models": ["chat"]}')
    assert refused.code == 1
    assert "aliases.all.models[0]" in refused.err


def test_users(run: Run) -> None:
    run("tenant", "create", "acme")
    assert run("user", "create", "acme", "a/b@c", "--name", "Alice").code == 0
    changed = run("user", "set", "acme", "a/b@c", "--set", 'allowance.limits=[{"requests_per_minute":3}]', "--json")
    assert json.loads(changed.out)["allowance"]["limits"][0]["requests_per_minute"] == 3
    assert json.loads(run("user", "set", "acme", "new", "--replace", "--json").out)["id"] == "new"
    assert [user["id"] for user in json.loads(run("user", "list", "acme", "--json").out)] == ["a/b@c", "new"]
    assert "disabled" in run("user", "disable", "acme", "a/b@c").out
    assert "active" in run("user", "enable", "acme", "a/b@c").out
    assert "Alice" in run("user", "show", "acme", "a/b@c").out


def test_keys(run: Run) -> None:
    run("tenant", "create", "acme")
    shown = run("key", "issue", "acme", "alice", "--label", "laptop", "--scope", "chat", "--expires", "90d")
    assert re.search(r"^key +gwk_[\w-]{43} *$", shown.out, re.MULTILINE)
    assert "not shown again" in shown.err
    plain = run("key", "issue", "acme", "bob", "--plain")
    assert re.fullmatch(r"gwk_[\w-]{43}\n", plain.out)
    assert plain.err == ""
    [key] = json.loads(run("key", "list", "acme", "--user", "alice", "--json").out)
    assert (key["label"], key["scopes"]) == ("laptop", ["chat"])
    assert abs(key["expires_at"] - time.time() - 90 * 86_400) < 60
    assert key["hint"] in run("key", "list", "acme").out
    assert json.loads(run("key", "set", "acme", key["id"], "--expires", "never", "--json").out)["expires_at"] is None
    new = json.loads(run("key", "rotate", "acme", key["id"], "--overlap", "1h", "--json").out)
    old = json.loads(run("key", "show", "acme", key["id"], "--json").out)
    assert (new["label"], old["status"]) == ("laptop", "active")
    assert "revoked" in run("key", "revoke", "acme", key["id"]).out


def test_what_webhooks_are_signed_with(run: Run) -> None:
    run("tenant", "create", "acme", "--set", "webhooks.url=https://acme.example.com/jobs")
    old = run("webhook-secret", "show", "acme", "--plain").out.strip()
    assert old.startswith("whsec_")
    assert old in run("webhook-secret", "show", "acme").out
    new = json.loads(run("webhook-secret", "rotate", "acme", "--overlap", "1h", "--json").out)
    assert (new["version"], new["secret"] != old) == (2, True)
    assert abs(new["previous_until"] - time.time() - 3_600) < 60
    assert run("webhook-secret", "show", "acme", "--plain").out.strip() == new["secret"]
    assert json.loads(run("tenant", "show", "acme", "--json").out)["webhooks"]["url"] == "https://acme.example.com/jobs"


def test_the_ledger(run: Run, office: Office) -> None:
    run(
        "tenant",
        "create",
        "acme",
        "--set",
        'allowance={"budgets":[{"window":"month","usd":5}],"limits":[{"concurrent_requests":3}]}',
    )
    asyncio.run(office.ledger.add("T#acme#0", {"n": 2}))
    shown = run("ledger", "acme").out
    assert re.search(r"^month +\* +5 +0 +0 +5 +20", shown, re.MULTILINE)
    assert re.search(r"^concurrent_requests +\* +3 +2 +1 *$", shown, re.MULTILINE)
    assert json.loads(run("ledger", "acme", "--user", "alice", "--json").out)["level"] == "user"


def test_usage(run: Run, office: Office) -> None:
    office.clock.unix_s = NOW_S + 60
    models = ("openai/gpt-4o", "groq/both", "openai/gpt-4o")
    told = [record(f"req_{number}", model=model, cost_nano_usd=10**9) for number, model in enumerate(models)]
    asyncio.run(office.usage.add(told))
    tenant = told[0].of.tenant_id
    assert re.search(rf"^{tenant} +3 +0 +0 +0 +\d+ +3 *$", run("usage").out, re.MULTILINE)
    shown = run("usage", tenant, "--by", "model,user").out
    assert re.search(r"^openai/gpt-4o +alice +2 +0 +0 +0 +\d+ +2 *$", shown, re.MULTILINE)
    assert re.search(r"^total +3 +0 +0 +0 +\d+ +3 *$", shown, re.MULTILINE)
    empty = json.loads(run("usage", tenant, "--from", "2020-01-01", "--to", "2020-01-31", "--json").out)
    assert (empty["data"], empty["total"]["requests"]) == ([], 0)
    assert "none of tenant, day" in run("usage", "--by", "colour").err


def test_usage_is_shown_of_all_pages(run: Run, network: InMemory) -> None:
    row = {name: 0 for name in ("requests", "errors", "refused", "lost", "total_tokens")} | {"cost_usd": "0"}
    pages = [
        {
            "group_by": ["user"],
            "data": [{"user": name, **row}],
            "total": row,
            "has_more": bool(following),
            "next": following,
        }
        for name, following in (("alice", "cursor"), ("bob", None))
    ]
    network.failures = [httpx.Response(200, json=page) for page in pages]
    assert [one["user"] for one in json.loads(run("usage", "--by", "user", "--json").out)["data"]] == ["alice", "bob"]
    assert [request.url.params.get("after") for request in network.sent] == [None, "cursor"]


def test_a_refusal_names_the_place_and_what_to_quote(run: Run) -> None:
    refused = run("tenant", "create", "acme", "--set", "shards=0")
    assert refused.code == 1
    assert refused.out == ""
    first, second, third = refused.err.splitlines()
    assert first == "Expected `int` >= 1, at 'shards'."
    assert second == "  /shards: Expected `int` >= 1"
    assert re.fullmatch(r"  \(validation_error, 400, request req_[0-9a-f]{32}\)", third)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tenant", "set", "acme", "--set", "shards"], "--set takes PATH=VALUE"),
        (["tenant", "set", "acme", "--set", "a..b=1"], "--set takes PATH=VALUE"),
        (["tenant", "set", "acme", "--set", "a=1", "--set", "a.b=1"], "is no object"),
        (["tenant", "set", "acme", "--file", "/nowhere.json"], "cannot be read"),
        (["key", "issue", "acme", "alice", "--expires", "soon"], "neither never"),
        (["key", "rotate", "acme", "key_1", "--overlap", "1"], "is not a duration"),
    ],
)
def test_what_is_typed_wrongly_is_not_sent(run: Run, network: InMemory, arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert (result.code, said in result.err) == (2, True)
    assert network.sent == []


def test_without_an_address_and_a_key_there_is_a_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_ADMIN_KEY")
    result = run("tenant", "list")
    assert (result.code, result.err) == (
        2,
        "Set GATEWAY_ADMIN_KEY: where the gateway is, and its administrator's key.\n",
    )


def test_every_page_is_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.client, "PAGE", 2)
    for number in range(5):
        run("tenant", "create", f"t{number}")
    assert [tenant["id"] for tenant in json.loads(run("tenant", "list", "--json").out)] == [f"t{n}" for n in range(5)]


def test_an_answer_that_was_lost_is_asked_for_again_and_given_again(
    run: Run, network: InMemory, office: Office
) -> None:
    run("tenant", "create", "acme")
    lost = network.handle_request
    calls: list[str] = []

    def losing(request: httpx.Request) -> httpx.Response:
        answer = lost(request)
        calls.append(request.headers["idempotency-key"])
        if len(calls) == 1:
            raise httpx.ReadTimeout("lost", request=request)
        return answer

    network.handle_request = losing  # type: ignore[method-assign]
    issued = run("key", "issue", "acme", "alice", "--plain")
    assert issued.code == 0
    assert len(calls) == 2
    assert len(set(calls)) == 1
    network.handle_request = lost  # type: ignore[method-assign]
    assert len(json.loads(run("key", "list", "acme", "--json").out)) == 1


def test_a_gateway_that_fails_is_asked_three_times(run: Run, network: InMemory) -> None:
    wire = StorageUnavailable("Not now.").wire("req_1")
    network.failures = [httpx.Response(503, json=wire) for _ in range(3)]
    result = run("tenant", "list")
    assert (result.code, result.err.splitlines()[0], len(network.sent)) == (1, "Not now.", 3)


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.Response(502, html="<h1>")])
def test_what_is_no_gateway_is_said_to_be_none(
    run: Run, network: InMemory, failure: Exception | httpx.Response
) -> None:
    network.failures = [failure] * 3
    result = run("tenant", "list")
    assert result.code == 1
    assert "gateway.example" in result.err
    assert ADMIN_KEY not in result.err


def test_the_key_goes_in_the_header_and_nowhere_else(run: Run, network: InMemory) -> None:
    run("tenant", "list")
    [request] = network.sent
    assert request.headers["authorization"] == f"Bearer {ADMIN_KEY}"
    assert str(request.url) == "http://gateway.example/admin/tenants?limit=100"


def test_durations_and_instants() -> None:
    assert [seconds(text) for text in ("5s", "2m", "1h", "90d", "1w")] == [5, 120, 3600, 7_776_000, 604_800]
    assert instant("2027-01-31") == 1_801_353_600
    assert instant("2027-01-31T00:00:00+01:00") == 1_801_350_000
    assert instant("never") is None
    for wrong in ("", "1y", "-1d"):
        with pytest.raises(BadSetting):
            instant(wrong)


def test_a_value_is_json_where_it_is_json() -> None:
    assert settings(None, ["a=1", "b.c=[1]", "b.d=x", 'e="1"', "f="], id="t", name=None) == {
        "a": 1,
        "b": {"c": [1], "d": "x"},
        "e": "1",
        "f": "",
        "id": "t",
    }


def test_a_part_of_a_path_has_any_characters() -> None:
    assert place("tenants", "acme", "users", "a/b?c#d@e|f") == "/tenants/acme/users/a%2Fb%3Fc%23d@e%7Cf"


def test_a_client_that_reaches_nobody() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        Gateway("http://127.0.0.1:1", "key").get("/tenants")
