"""What `POST /v1/jobs` orders, and its Idempotency-Keys."""

from __future__ import annotations

from typing import Any

from tests.unit.test_jobs import CHAT, Gateway, gateway

__all__ = ["gateway"]

KEYED = {"idempotency-key": "k-1"}
ENDPOINT = "/v1/chat/completions"
EMBEDDING = {"model": CHAT["model"], "input": "Hi"}


async def test_a_key_is_each_route_s_own(gateway: Gateway) -> None:
    order: dict[str, Any] = {"endpoint": ENDPOINT, "body": CHAT}
    first = await gateway.post("/v1/jobs", headers=KEYED, **order)
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200
    again = await gateway.post("/v1/jobs", headers=KEYED, **order)
    assert (first.status, again.status, again.json["id"]) == (202, 202, first.json["id"])


async def test_the_endpoint_is_part_of_what_is_ordered(gateway: Gateway) -> None:
    first = await gateway.post("/v1/jobs", headers=KEYED, endpoint=ENDPOINT, body=CHAT)
    other = await gateway.post("/v1/jobs", headers=KEYED, endpoint="/v1/embeddings", body=EMBEDDING)
    assert (first.status, other.status, other.json["error"]["code"]) == (202, 409, "idempotency_conflict")
