"""/v1/types, in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from gateway.entry.types import MAX_BODY_BYTES, types_app
from gateway.model.tenant import Tenant
from gateway.pipeline import tenant_types
from tests.fakes import MemoryTypes, principal
from tests.unit.conftest import KEY, Gateway
from tests.unit.facts.contract import component, problems

SCHEMA = "https://json-schema.org/draft/2020-12/schema"
OURS = "gts.gateway.api.tools.function.v1~"
POINT, PLACE = "gts.acme.app.geo.point.v1~", "gts.acme.app.geo.place.v1.2~"
LOOKUP = f"{OURS}acme.app.geo.lookup.v1"
AUTH = {"authorization": f"Bearer {KEY}"}


def a_type(type_id: str, **body: Any) -> dict[str, Any]:
    return {"$schema": SCHEMA, "$id": f"gts://{type_id}", **body}


@pytest.fixture
def types() -> MemoryTypes:
    return MemoryTypes(deployed={OURS: a_type(OURS, type="object", required=["description"], title="Function")})


@pytest.fixture
async def client(gateway: Gateway, types: MemoryTypes) -> AsyncIterator[httpx.AsyncClient]:
    app = types_app(replace(gateway.world, types=types))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH) as client:
        yield client


async def register(client: httpx.AsyncClient, *documents: Any) -> httpx.Response:
    return await client.post("/v1/types", json={"types": list(documents)})


async def test_what_is_registered_can_be_read(client: httpx.AsyncClient) -> None:
    place = a_type(PLACE, title="Place", properties={"at": {"$ref": f"gts://{POINT}"}})
    lookup = {"id": LOOKUP, "description": "Looks up", "params": {"$ref": f"gts://{PLACE}"}}
    answer = await register(client, lookup, place, a_type(POINT, description="Where"))
    assert answer.status_code == 201
    assert [described["id"] for described in answer.json()["data"]] == [LOOKUP, PLACE, POINT]
    assert problems(component("TypesRegistered"), answer.json()) == []
    one = await client.get(f"/v1/types/{PLACE}")
    assert problems(component("RegisteredType"), one.json()) == []
    assert one.json() == {
        "id": PLACE,
        "object": "type",
        "kind": "type",
        "origin": "tenant",
        "uuid": "ed19916c-8a27-54d8-b0ff-a3d3f0e80791",
        "title": "Place",
        "description": None,
        "document": place,
    }
    described = (await client.get(f"/v1/types/{LOOKUP}")).json()
    assert (described["kind"], described["document"]) == ("instance", lookup)


async def test_what_was_registered_with_an_idempotency_key_is_not_again(
    client: httpx.AsyncClient, types: MemoryTypes
) -> None:
    async def keyed(*documents: Any, key: str = "k-1") -> httpx.Response:
        return await client.post("/v1/types", json={"types": list(documents)}, headers={"idempotency-key": key})

    old, new = a_type(POINT, description="old"), a_type(POINT, description="new")
    first = await keyed(old)
    await register(client, new)
    again = await keyed(old)
    assert (again.status_code, again.json()) == (201, first.json())
    assert types.own["acme", POINT][0] == new
    other = await keyed(new)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert other.json()["error"]["first_request_id"] == first.headers["x-gateway-request-id"]
    assert (await keyed(old, key="k-2")).status_code == 201
    assert types.own["acme", POINT][0] == old
    refused = await keyed(a_type(PLACE, properties={"at": {"$ref": "gts://gts.acme.app.geo.no.v1~"}}), key="k-3")
    assert refused.status_code == 422
    assert (await keyed(a_type(PLACE), key="k-3")).status_code == 201  # a refusal is nobody's first request
    too_long = await keyed(old, key="k" * 256)
    assert (too_long.status_code, too_long.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_of_two_at_once_with_one_idempotency_key_one_registers(
    client: httpx.AsyncClient, types: MemoryTypes
) -> None:
    documents = [a_type(POINT, description=text) for text in ("old", "new")]
    sent = [
        client.post("/v1/types", json={"types": [document]}, headers={"idempotency-key": "k-1"})
        for document in documents
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*sent))
    assert statuses == [201, 409]


async def test_an_idempotency_key_takes_a_place_in_the_transaction(client: httpx.AsyncClient) -> None:
    types = [a_type(f"gts.acme.app.geo.point{number}.v1~") for number in range(100)]
    keyed = {"idempotency-key": "k-1"}
    answer = await client.post("/v1/types", json={"types": types}, headers=keyed)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "types")
    assert (await client.post("/v1/types", json={"types": types[1:]}, headers=keyed)).status_code == 201
    assert (await register(client, *types)).status_code == 201


async def test_an_open_minor_version_is_read_as_the_newest(client: httpx.AsyncClient) -> None:
    await register(client, a_type(PLACE), a_type(PLACE.replace("v1.2", "v1.1")))
    assert (await client.get(f"/v1/types/{PLACE.replace('v1.2', 'v1')}")).json()["id"] == PLACE


async def test_types_are_listed_page_by_page_and_by_pattern(client: httpx.AsyncClient) -> None:
    await register(client, a_type(POINT), a_type(PLACE), a_type(f"{PLACE}acme.app.geo.town.v1~"))
    whole = (await client.get("/v1/types")).json()
    ids = [described["id"] for described in whole["data"]]
    assert ids == [PLACE, f"{PLACE}acme.app.geo.town.v1~", POINT, OURS]
    assert (whole["first_id"], whole["last_id"], whole["has_more"]) == (PLACE, OURS, False)
    assert [described["origin"] for described in whole["data"]] == ["tenant", "tenant", "tenant", "gateway"]
    assert problems(component("TypeList"), whole) == []
    page = (await client.get("/v1/types", params={"limit": 2, "after": ids[0]})).json()
    assert ([described["id"] for described in page["data"]], page["has_more"]) == (ids[1:3], True)
    some = (await client.get("/v1/types", params={"pattern": "gts.acme.app.geo.place.v1~*"})).json()
    assert [described["id"] for described in some["data"]] == [f"{PLACE}acme.app.geo.town.v1~"]
    none = (await client.get("/v1/types", params={"pattern": "gts.nobody.*"})).json()
    assert none == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_another_tenant_sees_nothing_of_it(client: httpx.AsyncClient, gateway: Gateway) -> None:
    await register(client, a_type(PLACE))
    other = hashlib.sha256(b"gwk_other").hexdigest()
    gateway.access.held[other] = principal(Tenant(id="other"), "eve")
    headers = {"authorization": "Bearer gwk_other"}
    assert (await client.get(f"/v1/types/{PLACE}", headers=headers)).status_code == 404
    assert len((await client.get("/v1/types", headers=headers)).json()["data"]) == 1


async def test_what_nobody_needs_can_be_deleted(client: httpx.AsyncClient) -> None:
    await register(client, a_type(POINT), a_type(PLACE, items={"$ref": f"gts://{POINT}"}))
    refused = await client.delete(f"/v1/types/{POINT}")
    assert refused.status_code == 400
    assert refused.json()["error"]["details"] == [{"pointer": "", "reason": f"{PLACE} needs it"}]
    deleted = await client.delete(f"/v1/types/{PLACE}")
    assert deleted.json() == {"id": PLACE, "object": "type", "deleted": True}
    assert problems(component("TypeDeleted"), deleted.json()) == []
    assert (await client.delete(f"/v1/types/{POINT}")).status_code == 200
    assert (await client.delete(f"/v1/types/{POINT}")).json()["error"]["code"] == "schema_not_found"


async def test_an_id_may_get_another_document(client: httpx.AsyncClient) -> None:
    await register(client, a_type(POINT, title="One"))
    assert (await register(client, a_type(POINT, title="Two"))).status_code == 201
    assert (await client.get(f"/v1/types/{POINT}")).json()["title"] == "Two"


async def test_everything_wrong_is_told_and_nothing_stored(client: httpx.AsyncClient, types: MemoryTypes) -> None:
    answer = await register(
        client,
        a_type(POINT),
        a_type(PLACE, type="objekt", properties={"a": {"minLength": -1}}),
        {"$schema": SCHEMA, "$id": "nonsense"},
        {"id": LOOKUP},
        a_type(f"{POINT}acme.app.geo.pole.v1~", items={"$ref": "gts://gts.no.such.thing.here.v1~"}),
        a_type("gts.gateway.api.core.mine.v1~"),
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "validation_error", "types[2].$id")
    assert {detail["pointer"] for detail in error["details"]} == {
        *("/types/2/$id", "/types/5", "/types/1/type", "/types/1/properties/a/minLength", "/types/3", "/types/4"),
    }
    assert problems(component("ErrorEnvelope"), answer.json()) == []
    assert types.own == {}


async def test_what_is_only_not_registered_is_told_so(client: httpx.AsyncClient, types: MemoryTypes) -> None:
    answer = await register(client, a_type(f"{POINT}acme.app.geo.pole.v1~"), a_type(PLACE, not_=1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "schema_not_found")
    assert types.own == {}


@pytest.mark.parametrize("type_id", [OURS, "gts.gateway.api.core.new.v1~", f"{POINT}gateway.api.core.new.v1~"])
async def test_the_gateways_own_are_not_to_be_touched(client: httpx.AsyncClient, type_id: str) -> None:
    await register(client, a_type(POINT))
    assert "gateway's own" in (await register(client, a_type(type_id))).json()["error"]["message"]


async def test_the_gateways_own_stay(client: httpx.AsyncClient) -> None:
    assert (await client.delete(f"/v1/types/{OURS}")).status_code == 400
    assert (await client.get(f"/v1/types/{OURS}")).json()["origin"] == "gateway"


async def test_a_tenant_has_only_so_many(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_types, "MAX_OWN_TYPES", 2)
    assert (await register(client, a_type(POINT), a_type(PLACE))).status_code == 201
    assert (await register(client, a_type(PLACE))).status_code == 201
    refused = await register(client, a_type("gts.acme.app.geo.third.v1~"))
    assert "at most 2 types" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/types/nonsense", 400, "validation_error"),
        ("GET", f"/v1/types/{PLACE}", 404, "schema_not_found"),
        ("DELETE", "/v1/types/gts.*", 400, "validation_error"),
        ("GET", "/v1/types?pattern=gts*", 400, "validation_error"),
        ("GET", "/v1/types?limit=101", 400, "validation_error"),
        ("GET", "/v1/types?colour=red", 400, "validation_error"),
        ("PUT", "/v1/types", 405, "method_not_allowed"),
        ("GET", "/v1/typos", 404, "not_found"),
    ],
)
async def test_refusals_have_the_one_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert problems(component("ErrorEnvelope"), answer.json()) == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"types": []}', "application/json", 400),
        (b'{"types": [1]}', "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"types": [{}], "colour": "red"}', "application/json", 400),
        (b"nonsense", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"types": [{"a": NaN}]}', "application/json", 400),
        (b'{"types": [' + b"{}," * 100 + b"{}]}", "application/json", 400),
        (b'{"types": [{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}]}", "application/json", 400),
        (b'{"types": [{"a": "' + b"x" * MAX_BODY_BYTES + b'"}]}', "application/json", 413),
        (b"{}", "text/plain", 415),
    ],
)
async def test_a_body_that_is_no_registration_is_refused(
    client: httpx.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    answer = await client.post("/v1/types", content=body, headers={"content-type": content_type})
    assert answer.status_code == status


async def test_types_need_a_key(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("GET", f"/{PLACE}"), ("DELETE", f"/{PLACE}")):
        answer = await client.request(method, f"/v1/types{path}", headers={"authorization": "Bearer nobody"})
        assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_what_takes_too_long_to_check_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenant_types, "CPU_LIMIT_S", 0.05)
    slow = a_type(POINT, properties={"name": {"pattern": "^(a+)+$"}})
    answer = await register(client, slow, {"id": f"{POINT}acme.app.geo.oslo.v1", "name": "a" * 60 + "!"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "types")


async def test_a_parameter_that_nobody_knows_is_pointed_at_whatever_it_is_called(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/types", params={"a/b~": ""}, headers=AUTH)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["pointer"] == "/a~1b~0"
