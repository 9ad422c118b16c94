"""/admin/tenants, in memory."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from gateway.model.directory import Change, Write
from gateway.model.limits import Allowance
from gateway.model.tenant import Tenant
from tests.unit.admin.conftest import ADMIN_KEY, Office, refusal

BUDGET = {"window": "month", "usd": "100"}


async def test_a_tenant_is_made_with_defaults_for_all_that_is_not_said(
    client: httpx.AsyncClient, office: Office
) -> None:
    answer = await client.post("/tenants", json={"id": "acme"})
    assert answer.status_code == 201
    assert answer.json() == {
        "object": "tenant",
        "id": "acme",
        "name": "",
        "status": "active",
        "approvals": [],
        "aliases": {},
        "allowance": {"limits": [], "budgets": [], "alerts": [50, 80, 100]},
        "user_allowance": {"limits": [], "budgets": [], "alerts": [50, 80, 100]},
        "hooks": [],
        "shards": 1,
        "default_max_tokens": None,
        "fallbacks": [],
        "timeouts": [],
        "max_retries": 0,
        "own_keys": [],
        "allows_unpriced_models": False,
        "without_ledger": "refuse",
        "lost_requests": "charge",
        "provider_urls": [],
        "webhooks": {"url": None, "secret_version": 1, "previous_until_s": 0},
        "created_at": int(office.clock.unix_s),
        "changed_at": int(office.clock.unix_s),
        "warnings": [],
    }
    again = await client.get("/tenants/acme")
    assert (again.json(), again.headers["etag"]) == (answer.json(), answer.headers["etag"])


async def test_a_tenant_is_made_once(client: httpx.AsyncClient, acme: str) -> None:
    assert refusal(await client.post("/tenants", json={"id": acme})) == (409, "conflict", "id")


async def test_what_was_read_can_be_changed_and_sent(client: httpx.AsyncClient, acme: str, office: Office) -> None:
    office.clock.unix_s += 60
    read = await client.get(f"/tenants/{acme}")
    changed = {**read.json(), "name": "Acme", "allowance": {"budgets": [BUDGET]}}
    answer = await client.put(f"/tenants/{acme}", json=changed, headers={"if-match": read.headers["etag"]})
    assert answer.status_code == 200
    assert answer.json()["name"] == "Acme"
    assert answer.json()["allowance"]["budgets"] == [{**BUDGET, "models": "*"}]
    assert answer.json()["changed_at"] - answer.json()["created_at"] == 60
    assert office.told()[1:] == [("admin.tenant.changed", {"fields": ["name", "allowance"]})]


async def test_to_replace_is_to_forget_what_is_not_said(client: httpx.AsyncClient, acme: str) -> None:
    answer = await client.put(f"/tenants/{acme}", json={"name": "Acme"})
    assert (answer.json()["name"], answer.json()["approvals"]) == ("Acme", [])


async def test_a_part_is_merged_member_by_member(client: httpx.AsyncClient, acme: str) -> None:
    first = {"allowance": {"budgets": [{"window": "day", "usd": 0.1}]}, "aliases": {"a": "openai/gpt-4o", "b": "x/y"}}
    await client.patch(f"/tenants/{acme}", json=first)
    second = {"allowance": {"alerts": [90]}, "aliases": {"b": None}, "default_max_tokens": 5}
    found = (await client.patch(f"/tenants/{acme}", json=second)).json()
    assert found["allowance"]["budgets"] == [{"window": "day", "usd": "0.1", "models": "*"}]
    assert found["allowance"]["alerts"] == [90]
    assert (found["aliases"], found["approvals"]) == ({"a": "openai/gpt-4o"}, ["openai/*"])
    cleared = await client.patch(f"/tenants/{acme}", json={"allowance": None, "default_max_tokens": None})
    assert cleared.json()["allowance"]["budgets"] == []
    assert cleared.json()["default_max_tokens"] is None


@pytest.mark.parametrize("usd", ["0.123456789", "999999.123456789", "1000000"])
async def test_money_is_exact_however_it_is_written(client: httpx.AsyncClient, acme: str, usd: str) -> None:
    body = f'{{"allowance": {{"budgets": [{{"window": "month", "usd": {usd}}}]}}}}'
    answer = await client.patch(f"/tenants/{acme}", content=body, headers={"content-type": "application/json"})
    await client.patch(f"/tenants/{acme}", json={"name": "again"})
    assert answer.json()["allowance"]["budgets"][0]["usd"] == usd
    assert (await client.get(f"/tenants/{acme}")).json()["allowance"]["budgets"][0]["usd"] == usd


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_version_that_has_gone_is_refused(client: httpx.AsyncClient, acme: str, method: str) -> None:
    old = (await client.get(f"/tenants/{acme}")).headers["etag"]
    await client.patch(f"/tenants/{acme}", json={"name": "somebody else's"})
    refused = await client.request(method, f"/tenants/{acme}", json={"name": "mine"}, headers={"if-match": old})
    assert refusal(refused) == (412, "precondition_failed", None)
    for form in ("{}", '"other", {}', "*"):
        current = (await client.get(f"/tenants/{acme}")).headers["etag"]
        tags = form.format(current)
        changed = await client.request(method, f"/tenants/{acme}", json={"name": form}, headers={"if-match": tags})
        assert changed.status_code == 200
        assert changed.headers["etag"] != current


async def test_a_change_that_changes_nothing_is_told_to_nobody(
    client: httpx.AsyncClient, acme: str, office: Office
) -> None:
    before = await client.get(f"/tenants/{acme}")
    office.clock.unix_s += 60
    after = await client.patch(f"/tenants/{acme}", json={"approvals": ["openai/*"]})
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])
    assert [name for name, _ in office.told()] == ["admin.tenant.created"]


ALL_KINDS = {
    "requests_per_minute": 1,
    "tokens_per_minute": 1,
    "concurrent_requests": 1,
    "concurrent_jobs": 1,
    "burst": {"requests": 1, "seconds": 1},
}
TOO_MANY = {
    "limits": [{**ALL_KINDS, "models": f"m{number}"} for number in range(16)],
    "budgets": [{"window": "day", "usd": 1, "models": f"m{number}"} for number in range(9)],
}


@pytest.mark.parametrize(
    ("body", "param", "pointer"),
    [
        ({"id": "Acme"}, "id", "/id"),
        ({}, "id", "/id"),
        ({"id": "beta", "aproval": []}, "aproval", "/aproval"),
        ({"id": "beta", "approvals": [""]}, "approvals[0]", "/approvals/0"),
        ({"id": "beta", "shards": 65}, "shards", "/shards"),
        ({"id": "beta", "status": "off"}, "status", "/status"),
        (
            {"id": "beta", "allowance": {"budgets": [{"window": "week", "usd": 1}]}},
            "allowance.budgets[0].window",
            "/allowance/budgets/0/window",
        ),
        (
            {"id": "beta", "allowance": {"budgets": [{**BUDGET, "usd": -1}]}},
            "allowance.budgets[0]",
            "/allowance/budgets/0",
        ),
        ({"id": "beta", "hooks": [{"kind": "magic", "id": "a"}]}, "hooks[0].kind", "/hooks/0/kind"),
        (
            {"id": "beta", "hooks": [{"kind": "deny_list", "id": "a", "phrases": ["x", " "]}]},
            "hooks[0].phrases[1]",
            "/hooks/0/phrases/1",
        ),
        (
            {"id": "beta", "hooks": [{"kind": "json_schema", "id": "a", "schema": {"type": 5}}]},
            "hooks[0].schema.type",
            "/hooks/0/schema/type",
        ),
        ({"id": "beta", "allowance": TOO_MANY}, "allowance.limits", "/allowance/limits"),
        ({"id": "beta", "user_allowance": TOO_MANY}, "user_allowance.limits", "/user_allowance/limits"),
        (
            {"id": "beta", "hooks": [{"kind": "mask_pii", "id": "a"}, {"kind": "size", "id": "a"}]},
            "hooks[1].id",
            "/hooks/1/id",
        ),
    ],
)
async def test_a_wrong_setting_is_named(
    client: httpx.AsyncClient, office: Office, body: dict[str, Any], param: str, pointer: str
) -> None:
    answer = await client.post("/tenants", json=body)
    assert refusal(answer) == (400, "validation_error", param)
    assert answer.json()["error"]["details"][0]["pointer"] == pointer
    assert office.directory.held == {}
    assert office.told() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
async def test_what_is_no_json_object(client: httpx.AsyncClient, acme: str, body: bytes) -> None:
    for method in ("PUT", "PATCH"):
        answer = await client.request(
            method, f"/tenants/{acme}", content=body, headers={"content-type": "application/json"}
        )
        assert refusal(answer)[:2] == (400, "validation_error")


async def test_another_content_type_and_a_body_that_is_too_large(client: httpx.AsyncClient, acme: str) -> None:
    form = await client.put(f"/tenants/{acme}", content=b"name=x", headers={"content-type": "text/plain"})
    assert refusal(form)[:2] == (415, "unsupported_media_type")
    assert refusal(await client.put(f"/tenants/{acme}", json={"name": "x" * 65_536}))[:2] == (413, "payload_too_large")


async def test_an_id_cannot_be_changed(client: httpx.AsyncClient, acme: str) -> None:
    for method in ("PUT", "PATCH"):
        answer = await client.request(method, f"/tenants/{acme}", json={"id": "other"})
        assert refusal(answer) == (400, "validation_error", "id")


async def test_what_means_nothing_is_stored_and_warned_of(client: httpx.AsyncClient) -> None:
    limits = {"limits": [{"requests_per_minute": 1}, {"models": "openia/*", "requests_per_minute": 1}]}
    budgets = {"budgets": [{**BUDGET, "models": "openai/gpt-4o"}, {**BUDGET, "models": "none/*"}]}
    tenant = {
        "id": "acme",
        "approvals": ["openai/*", "openia/*", "groq/*"],
        "aliases": {
            "good": "openai/gpt-4o",
            "bare": "gpt-4o",
            "un/known~": "openai/gpt-9",
            "two": "both",
            "shut": "together/both",
        },
        "allowance": limits,
        "user_allowance": budgets,
        "provider_urls": ["gs://acme/", "https://acme.example/media/"],
        "fallbacks": [{"models": "nobody/*", "fallback": ["good", "openai/gpt-9"]}],
        "timeouts": [{"models": "openai/*", "ttft_ms": 1}, {"models": "nobody/*", "total_ms": 1}],
    }
    answer = await client.post("/tenants", json=tenant)
    assert answer.status_code == 201
    assert [warning["pointer"] for warning in answer.json()["warnings"]] == [
        "/approvals/1",
        "/aliases/un~1known~0",
        "/aliases/two",
        "/aliases/shut",
        "/allowance/limits/1/models",
        "/user_allowance/budgets/1/models",
        "/provider_urls/1",
        "/fallbacks/0/models",
        "/fallbacks/0/fallback/1",
        "/timeouts/1/models",
    ]
    assert (await client.get("/tenants/acme")).json()["warnings"] == answer.json()["warnings"]


async def test_an_alias_may_be_a_group_of_models(client: httpx.AsyncClient, acme: str) -> None:
    group = {"models": ["openai/gpt-4o", {"model": "groq/llama", "weight": 0}]}
    aliases = {"fast": "openai/gpt-4o", "chat": group, "a/b~c": {"models": ["openai/gpt-9", "gpt-4o"]}}
    answer = (await client.patch(f"/tenants/{acme}", json={"aliases": aliases})).json()
    assert answer["aliases"]["fast"] == "openai/gpt-4o"
    assert answer["aliases"]["chat"] == {**group, "routing": "ordered"}
    assert [warning["pointer"] for warning in answer["warnings"]] == [
        "/aliases/chat/models/1",
        "/aliases/a~1b~0c/models/0",
    ]
    changed = (await client.patch(f"/tenants/{acme}", json={"aliases": {"chat": {"routing": "weighted"}}})).json()
    assert changed["aliases"]["chat"] == {**group, "routing": "weighted"}
    again = await client.put(f"/tenants/{acme}", json=changed)
    assert (again.status_code, again.json()["aliases"]) == (200, changed["aliases"])
    plain = (await client.patch(f"/tenants/{acme}", json={"aliases": {"chat": "openai/gpt-4o"}})).json()
    assert plain["aliases"]["chat"] == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        ({"models": []}, "aliases[...].models"),
        ({"models": ["openai/gpt-4o"] * 9}, "aliases[...].models"),
        ({"models": ["openai/gpt-4o"], "routing": "fastest"}, "aliases[...].routing"),
        ({"models": ["openai/gpt-4o"], "strategy": "weighted"}, "aliases[...].strategy"),
        ({"models": [{"model": "openai/gpt-4o", "weight": -1}]}, "aliases[...].models[0].weight"),
        ({"models": [{"model": "openai/gpt-4o", "weight": 1_001}]}, "aliases[...].models[0].weight"),
        ({"models": [{"model": "openai/gpt-4o", "weight": 0.75}]}, "aliases[...].models[0].weight"),
        ({"models": [{"weight": 1}]}, "aliases[...].models[0].model"),
        (5, "aliases[...]"),
        ({"models": [{"model": "openai/gpt-4o", "weight": 0}]}, "aliases.chat.models"),
        ({"models": ["openai/gpt-4o", "openai/gpt-4o"]}, "aliases.chat.models[1]"),
        ({"models": ["openai/gpt-4o", "other"]}, "aliases.chat.models[1]"),
        ({"models": ["chat"]}, "aliases.chat.models[0]"),
        ({"models": [{"model": "fast"}]}, "aliases.chat.models[0]"),
    ],
)
async def test_a_group_that_makes_no_sense_is_refused_with_its_place(
    client: httpx.AsyncClient, acme: str, chat: Any, param: str
) -> None:
    aliases = {"fast": "openai/gpt-4o", "other": {"models": ["openai/gpt-4o"]}, "chat": chat}
    answer = await client.patch(f"/tenants/{acme}", json={"aliases": aliases})
    assert refusal(answer) == (400, "validation_error", param)


async def test_a_rule_for_a_group_means_something(client: httpx.AsyncClient, acme: str) -> None:
    settings = {
        "aliases": {"chat": {"models": ["openai/gpt-4o"]}, "spare": {"models": ["openai/gpt-4o"]}},
        "fallbacks": [{"models": "chat", "fallback": ["spare"]}, {"models": "chats", "fallback": ["openai/gpt-4o"]}],
    }
    warnings = (await client.patch(f"/tenants/{acme}", json=settings)).json()["warnings"]
    assert [warning["pointer"] for warning in warnings] == ["/fallbacks/1/models"]


async def test_a_tenant_is_switched_off_and_on(client: httpx.AsyncClient, acme: str, office: Office) -> None:
    assert (await client.post(f"/tenants/{acme}/disable")).json()["status"] == "disabled"
    assert (await client.post(f"/tenants/{acme}/disable")).json()["status"] == "disabled"
    assert (await client.post(f"/tenants/{acme}/enable")).json()["status"] == "active"
    assert office.told()[1:] == [
        ("admin.tenant.disabled", {"fields": ["status"]}),
        ("admin.tenant.enabled", {"fields": ["status"]}),
    ]


async def test_only_a_tenant_that_is_switched_off_is_deleted_and_its_id_is_never_given_out_again(
    client: httpx.AsyncClient, acme: str, office: Office
) -> None:
    assert refusal(await client.delete(f"/tenants/{acme}"))[:2] == (409, "conflict")
    etag = (await client.post(f"/tenants/{acme}/disable")).headers["etag"]
    wrong = await client.delete(f"/tenants/{acme}", headers={"if-match": '"other"'})
    assert refusal(wrong)[:2] == (412, "precondition_failed")
    deleted = await client.delete(f"/tenants/{acme}", headers={"if-match": etag})
    assert deleted.json() == {"id": acme, "object": "tenant", "deleted": True}
    assert refusal(await client.delete(f"/tenants/{acme}"))[:2] == (404, "tenant_not_found")
    assert refusal(await client.post("/tenants", json={"id": acme})) == (409, "conflict", "id")
    assert office.told()[-1] == ("admin.tenant.deleted", {})


async def test_tenants_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    for name in ("gamma", "acme", "beta"):
        await client.post("/tenants", json={"id": name})
    first = (await client.get("/tenants", params={"limit": 2})).json()
    assert [tenant["id"] for tenant in first["data"]] == ["acme", "beta"]
    assert (first["first_id"], first["last_id"], first["has_more"]) == ("acme", "beta", True)
    rest = (await client.get("/tenants", params={"limit": 2, "after": first["last_id"]})).json()
    assert ([tenant["id"] for tenant in rest["data"]], rest["has_more"]) == (["gamma"], False)
    assert refusal(await client.get("/tenants", params={"limit": 101})) == (400, "validation_error", "limit")
    assert refusal(await client.get("/tenants", params={"page": 1})) == (400, "validation_error", "page")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tenants/nope"),
        ("PUT", "/tenants/nope"),
        ("PATCH", "/tenants/nope"),
        ("DELETE", "/tenants/nope"),
        ("POST", "/tenants/nope/disable"),
        ("GET", "/tenants/nope/ledger"),
        ("GET", "/tenants/nope/users"),
        ("POST", "/tenants/nope/users"),
        ("GET", "/tenants/nope/users/alice"),
        ("PUT", "/tenants/nope/users/alice"),
        ("GET", "/tenants/nope/users/alice/ledger"),
        ("GET", "/tenants/nope/keys"),
        ("POST", "/tenants/nope/keys"),
        ("POST", "/tenants/nope/keys/key_1/rotate"),
        ("GET", "/tenants/Not%20an%20id"),
    ],
)
async def test_a_tenant_that_there_is_not(client: httpx.AsyncClient, method: str, path: str) -> None:
    body = {"user_id": "alice"} if path.endswith("/keys") else {"id": "alice"} if path.endswith("/users") else {}
    answer = await client.request(method, path, json=body if method in ("POST", "PUT", "PATCH") else None)
    assert refusal(answer)[:2] == (404, "tenant_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/tenants/acme/explode", 404), ("PUT", "/tenants", 405)],
)
async def test_a_route_that_there_is_not(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    assert (await client.request(method, path)).status_code == status


async def test_two_changes_at_once_both_happen(client: httpx.AsyncClient, acme: str, office: Office) -> None:
    """The second one finds that what it read is outdated, and plans again."""
    commit, intruding = office.directory.commit, [True]

    async def raced(change: Any, now_s: float) -> None:
        if intruding and intruding.pop():
            await client.patch(f"/tenants/{acme}", json={"name": "first"})
        await commit(change, now_s)

    office.directory.commit = raced  # type: ignore[method-assign]
    answer = (await client.patch(f"/tenants/{acme}", json={"shards": 1, "default_max_tokens": 9})).json()
    assert (answer["name"], answer["default_max_tokens"]) == ("first", 9)


async def test_who_is_always_overtaken_is_told_so(client: httpx.AsyncClient, acme: str, office: Office) -> None:
    commit, numbers = office.directory.commit, iter(range(100))

    async def raced(change: Any, now_s: float) -> None:
        office.directory.commit = commit  # type: ignore[method-assign]
        await client.patch(f"/tenants/{acme}", json={"name": str(next(numbers))})
        office.directory.commit = raced  # type: ignore[method-assign]
        await commit(change, now_s)

    office.directory.commit = raced  # type: ignore[method-assign]
    assert refusal(await client.patch(f"/tenants/{acme}", json={"default_max_tokens": 9}))[:2] == (409, "conflict")
    assert next(numbers) == 5


async def test_nothing_that_is_told_has_a_value_or_a_key_in_it(
    client: httpx.AsyncClient, acme: str, office: Office
) -> None:
    await client.patch(f"/tenants/{acme}", json={"name": "Hush", "aliases": {"hush": "openai/gpt-4o"}})
    key = (await client.post(f"/tenants/{acme}/keys", json={"user_id": "alice", "label": "hush"})).json()["key"]
    text = json.dumps([event.facts for event in office.events.told]).lower()  # type: ignore[union-attr]
    assert not [word for word in ("hush", key.lower(), ADMIN_KEY.lower()) if word in text]


@pytest.mark.parametrize(
    "prefix", ["gs://", "gs://acme", "/etc/", "gs:///", "GS://acme/", "gs://acme/a b", "gs://" + "a" * 1024 + "/"]
)
async def test_the_beginning_of_an_address_has_its_whole_bucket(client: httpx.AsyncClient, prefix: str) -> None:
    answer = await client.post("/tenants", json={"id": "acme", "provider_urls": [prefix]})
    assert refusal(answer) == (400, "validation_error", "provider_urls[0]")


def numbers(budgets: int) -> dict[str, Any]:
    """An allowance that sets 64 numbers by its limits."""
    rule = {"requests_per_minute": 9, "tokens_per_minute": 9, "concurrent_requests": 9, "burst": {"requests": 9}}
    return {
        "limits": [{"models": "*" * (number + 1), **rule} for number in range(16)],
        "budgets": [{"window": "day", "usd": 1, "models": "*" * (number + 1)} for number in range(budgets)],
    }


@pytest.mark.parametrize("method", ["patch", "put"])
@pytest.mark.parametrize("member", ["allowance", "user_allowance"])
async def test_a_change_may_not_set_more_numbers_than_one_write_can_check(
    client: httpx.AsyncClient, office: Office, method: str, member: str
) -> None:
    await client.post("/tenants", json={"id": "acme", "approvals": ["openai/*"]})
    answer = await client.request(method, "/tenants/acme", json={member: numbers(budgets=9)})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == f"{member}.limits"
    stored = await office.directory.tenant("acme")
    assert stored is not None
    assert getattr(stored.value, member).numbers == 0
    answer = await client.request(method, "/tenants/acme", json={member: numbers(budgets=8)})
    assert answer.status_code == 200


async def test_a_tenant_with_more_than_that_can_still_be_disabled(client: httpx.AsyncClient, office: Office) -> None:
    """One that was stored before there was the limit."""
    tenant = Tenant(id="acme", allowance=msgspec.convert(numbers(budgets=9), Allowance))
    await office.directory.commit(Change((Write("acme", tenant, None, 0),)), 0)
    assert (await client.post("/tenants/acme/disable")).status_code == 200
