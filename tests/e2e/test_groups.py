"""Groups of models under one name: through the deployed stack, with the official client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import openai
import pytest

from gateway.model.ledger import suffix
from tests.e2e.contract import check
from tests.e2e.customer import Customer, eventually
from tests.e2e.tenants import put_tenant
from tests.e2e.test_fallback import FIRST, SECOND, THIRD, armed, report_of
from tests.e2e.test_fallback import client as official_client
from tests.e2e.test_fallback import customer as new_customer

client, customer = official_client, new_customer
HELLO: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
VECTORS = "openai/text-embedding-3-small", "openai/text-embedding-3-large", "azure/text-embedding-3-small"
GROUPS: dict[str, Any] = {
    "chat": {"models": [FIRST, SECOND]},
    "cheap": {"models": [SECOND, FIRST, THIRD], "routing": "lowest_cost"},
    "quick": {"models": [FIRST, {"model": SECOND, "weight": 0}], "routing": "lowest_latency"},
    "split": {"models": [{"model": FIRST, "weight": 3}, SECOND], "routing": "weighted"},
    "vectors": {"models": list(VECTORS)},
    "fast": FIRST,
}
pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def groups(customer: Customer) -> None:
    put_tenant(customer.local.aws_endpoint_url, customer.tenant_id, aliases=GROUPS)


def test_the_first_member_answers_and_the_next_when_it_fails(client: openai.OpenAI, customer: Customer) -> None:
    reply = client.chat.completions.create(**HELLO)
    report = report_of(reply)
    assert (reply.model, report["model_requested"], report["fallback_used"]) == (FIRST, "chat", False)
    with armed(customer.local, FIRST, "status=503"):
        reply = client.chat.completions.create(**HELLO)
    report = report_of(reply)
    assert (reply.model, report["model_used"], report["fallback_used"]) == (SECOND, SECOND, True)
    assert [one["status"] for one in report["attempts"]] == ["error", "ok"]


def test_a_stream_goes_on_with_the_next_member(client: openai.OpenAI, customer: Customer) -> None:
    with armed(customer.local, FIRST, "status=529"):
        chunks = list(client.chat.completions.create(**HELLO, stream=True))
    assert {chunk.model for chunk in chunks} == {SECOND}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "You said: Hello"


def test_the_cheapest_answers(client: openai.OpenAI, customer: Customer) -> None:
    """0.15 and 0.60 dollars a million, the same and more for priority, and 1 and 5."""
    assert client.chat.completions.create(**{**HELLO, "model": "cheap"}).model == THIRD
    with armed(customer.local, THIRD, "status=500"):
        assert client.chat.completions.create(**{**HELLO, "model": "cheap"}).model == FIRST


@pytest.mark.parametrize("name", ["quick", "split"])
def test_the_other_policies(client: openai.OpenAI, name: str) -> None:
    report = report_of(client.chat.completions.create(**{**HELLO, "model": name}))
    assert (report["model_used"] in ((FIRST,) if name == "quick" else (FIRST, SECOND)), report["fallback_used"]) == (
        True,
        False,
    )


def test_who_cannot_is_left_out_with_the_reason(client: openai.OpenAI, customer: Customer) -> None:
    approvals = ["anthropic/*"]
    put_tenant(customer.local.aws_endpoint_url, customer.tenant_id, aliases=GROUPS, approvals=approvals)
    report = report_of(client.chat.completions.create(**HELLO))
    assert (report["model_used"], report["fallback_used"]) == (SECOND, False)
    assert [(one["model"], one["code"]) for one in report["left_out"]] == [(FIRST, "model_not_approved")]
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(**{**HELLO, "model": "fast"})
    assert refused.value.code == "model_not_approved"


def test_what_one_api_lacks_another_has(client: openai.OpenAI, customer: Customer) -> None:
    aliases = {"chat": {"models": [SECOND, FIRST]}, "none": {"models": list(VECTORS[:2])}}
    put_tenant(customer.local.aws_endpoint_url, customer.tenant_id, aliases=aliases)
    reply = client.chat.completions.create(**HELLO, seed=1)
    assert reply.model == FIRST
    assert [one["code"] for one in report_of(reply)["attempts"]] == ["capability_not_supported", None]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{**HELLO, "model": "none"})
    assert (refused.value.code, refused.value.param) == ("capability_not_supported", "model")
    assert all(model in refused.value.message for model in VECTORS[:2])


def test_a_group_is_listed_beside_its_members(client: openai.OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {*GROUPS, FIRST, SECOND, THIRD} <= set(listed)
    split = client.models.retrieve("split").to_dict()
    check("Model", split)
    assert split == listed["split"].to_dict()
    members, (first, second) = split["gateway"]["members"], (listed[FIRST].to_dict(), listed[SECOND].to_dict())  # type: ignore[index]
    assert members == [{"model": FIRST, "weight": 3}, {"model": SECOND, "weight": 1}]
    least = min(one["gateway"]["context_tokens"] for one in (first, second))  # type: ignore[index]
    assert split["gateway"]["context_tokens"] == least  # type: ignore[index]


def test_vectors_have_the_length_of_the_first(client: openai.OpenAI, customer: Customer) -> None:
    with armed(customer.local, VECTORS[0], "status=503"):
        made = client.embeddings.create(model="vectors", input="Hello")
    assert (made.model, len(made.data[0].embedding)) == (VECTORS[2], 1536)
    left_out = report_of(made)["left_out"]
    assert [(one["model"], one["code"]) for one in left_out] == [(VECTORS[1], "capability_not_supported")]


def test_a_job_of_a_group(customer: Customer) -> None:
    with armed(customer.local, FIRST, "status=503"):
        job = customer.http.post("/chat/completions", json={**HELLO, "async": True}).json()

        def look() -> Any:
            found = customer.http.get(f"/jobs/{job['id']}").json()
            return found if found["status"] in ("completed", "failed") else None

        ended = eventually(look, 60)
    report = ended["result"]["body"]["gateway"]
    assert (ended["status"], report["model_requested"], report["model_used"]) == ("completed", "chat", SECOND)


def test_the_budget_is_charged_exactly_what_the_members_cost(client: openai.OpenAI, customer: Customer) -> None:
    budgets = [{"window": "month", "usd": "1", "models": pattern} for pattern in ("*", "openai/*", "anthropic/*")]
    settings = {"aliases": GROUPS, "allowance": {"budgets": budgets}}
    put_tenant(customer.local.aws_endpoint_url, customer.tenant_id, **settings)
    first = client.chat.completions.create(**HELLO)
    with armed(customer.local, FIRST, "status=500"):
        second = client.chat.completions.create(**HELLO)
    costs = [round(one.usage.model_extra["cost_estimate"] * 10**9) for one in (first, second)]
    month = f"s{datetime.now(UTC):%Y-%m}"
    names = [month, *(month + suffix(f"{model.partition('/')[0]}/*") for model in (FIRST, SECOND))]

    def settled() -> Any:
        account = customer.accounts()[f"T#{customer.tenant_id}#0"]
        spent = [int(account.get(name, 0)) for name in names]
        return spent if all(spent) and not any(name.startswith("h") for name in account) else None

    assert all(costs)
    assert eventually(settled) == [sum(costs), *costs]
