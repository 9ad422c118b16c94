"""What is relied on of a store of types, in memory and in DynamoDB with files beside it."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.types import KEYS_PER_READ, DynamoTypes
from gateway.adapters.http_client import HttpClient
from gateway.adapters.types import DeployedTypes
from gateway.model.claim import Claim, Claimed
from gateway.model.errors import StorageUnavailable
from gateway.ports import Types
from tests.fakes import MemoryTypes
from tests.ports.conftest import aws_api

OURS = "gts.gateway.api.core.usage.v1~"
OUR_FUNCTION = "gts.gateway.api.tools.function.v1~gateway.example.weather.forecast.v1"
DEPLOYED = {
    OURS: {"$id": f"gts://{OURS}", "title": "Usage"},
    OUR_FUNCTION: {"id": OUR_FUNCTION},
    "gts.gateway.api.core.edition.v1.4~": {"title": "4"},
}


NOW_S = 1_790_000_000


def claim(number: int, ends_at_s: int = NOW_S + 86_400) -> Claim:
    return Claim(request_hash="a", request_id=f"req_{number}", ends_at_s=ends_at_s, is_asked=True)


def an_id(name: str, version: str = "v1") -> str:
    return f"gts.acme.app.orders.{name}.{version}~"


@pytest.fixture(params=["memory", "dynamodb"])
def types(request: pytest.FixtureRequest, tmp_path: Path) -> Types:
    if request.param == "memory":
        return MemoryTypes(deployed=dict(DEPLOYED))
    for type_id, document in DEPLOYED.items():
        kind = ".schema.json" if type_id.endswith("~") else ".json"
        (tmp_path / f"{type_id}{kind}").write_text(json.dumps(document))
    table = request.getfixturevalue("tenants_table")
    return DynamoTypes(request.getfixturevalue("dynamodb_api"), table, DeployedTypes(tmp_path), timeout_s=5.0)


async def test_what_is_put_is_found_as_it_was(types: Types) -> None:
    document = {"$id": an_id("order"), "properties": {"é": {"const": 1.5}, "": {"default": [None, {}]}}}
    await types.put("acme", {an_id("order"): document}, {})
    assert await types.find("acme", [an_id("order")]) == {an_id("order"): document}


async def test_what_nobody_registered_is_missing(types: Types) -> None:
    assert await types.find("acme", [an_id("order"), an_id("order", "v1.2")]) == {}
    assert await types.find("acme", []) == {}


async def test_a_tenant_sees_its_own_and_the_gateways(types: Types) -> None:
    await types.put("acme", {an_id("order"): {"of": "acme"}}, {})
    await types.put("other", {an_id("order"): {"of": "other"}, an_id("secret"): {}}, {})
    wanted = [OURS, OUR_FUNCTION, an_id("order"), an_id("secret")]
    assert await types.find("acme", wanted) == {
        OURS: DEPLOYED[OURS],
        OUR_FUNCTION: DEPLOYED[OUR_FUNCTION],
        an_id("order"): {"of": "acme"},
    }
    assert await types.ids("acme", "") == {an_id("order"): "tenant", **dict.fromkeys(DEPLOYED, "gateway")}


async def test_an_idempotency_key_goes_with_what_is_put(types: Types) -> None:
    first = Claimed("acme", "k", claim(1))
    assert await types.claimed("acme", "k", NOW_S) is None
    assert await types.put("acme", {an_id("order"): {"by": 1}}, {}, first) is None
    assert await types.claimed("acme", "k", NOW_S) == claim(1)
    assert await types.claimed("other", "k", NOW_S) is None
    assert await types.put("acme", {an_id("order"): {"by": 2}}, {}, Claimed("acme", "k", claim(2))) == claim(1)
    assert await types.find("acme", [an_id("order")]) == {an_id("order"): {"by": 1}}
    assert await types.put("acme", {an_id("order"): {"by": 1}}, {}, first) is None  # the answer to the first was lost
    assert await types.claimed("acme", "k", NOW_S + 86_400) is None
    later = claim(2, ends_at_s=NOW_S + 2 * 86_400)
    assert await types.put("acme", {an_id("order"): {"by": 2}}, {}, Claimed("acme", "k", later)) is None
    assert list(await types.ids("acme", "gts.acme.")) == [an_id("order")]


async def test_ids_are_listed_in_order_by_how_they_begin(types: Types) -> None:
    names = ["b", "a", "c"]
    await types.put("acme", {an_id(name): {} for name in names}, {})
    listed = await types.ids("acme", "")
    assert list(listed) == sorted(listed)
    assert list(await types.ids("acme", "gts.acme.app.")) == [an_id(name) for name in "abc"]
    assert list(await types.ids("acme", "gts.gateway.api.core.")) == ["gts.gateway.api.core.edition.v1.4~", OURS]
    assert await types.ids("acme", "gts.acme.app.orders.d") == {}


async def test_an_open_minor_version_is_the_newest_that_there_is(types: Types) -> None:
    versions = {version: {"version": version} for version in ("v1.2", "v1.10", "v2.20", "v10.3")}
    await types.put("acme", {an_id("order", version): held for version, held in versions.items()}, {})
    await types.put("acme", {f"{an_id('order', 'v1.11')}x.y.z.child.v1~": {}}, {})
    assert await types.find("acme", [an_id("order")]) == {an_id("order", "v1.10"): {"version": "v1.10"}}
    assert await types.find("acme", [an_id("order"), an_id("order", "v1.2")]) == {
        an_id("order", "v1.10"): {"version": "v1.10"},
        an_id("order", "v1.2"): {"version": "v1.2"},
    }
    edition = "gts.gateway.api.core.edition.v1~"
    assert await types.find("acme", [edition]) == {"gts.gateway.api.core.edition.v1.4~": {"title": "4"}}


async def test_an_exact_id_comes_before_a_newer_minor_version(types: Types) -> None:
    await types.put("acme", {an_id("order"): {"exact": True}, an_id("order", "v1.10"): {}}, {})
    assert await types.find("acme", [an_id("order")]) == {an_id("order"): {"exact": True}}


async def test_put_again_is_put_anew(types: Types) -> None:
    await types.put("acme", {an_id("order"): {"n": 1}}, {an_id("order"): [OURS]})
    await types.put("acme", {an_id("order"): {"n": 2}}, {})
    assert await types.find("acme", [an_id("order")]) == {an_id("order"): {"n": 2}}
    assert await types.dependents("acme", OURS) == []


async def test_what_depends_on_a_type_is_known(types: Types) -> None:
    needs = {an_id("a"): [OURS, an_id("b")], an_id("b"): [OURS]}
    await types.put("acme", {an_id("a"): {}, an_id("b"): {}, an_id("c"): {}}, needs)
    await types.put("other", {an_id("d"): {}}, {an_id("d"): [OURS]})
    assert await types.dependents("acme", OURS) == [an_id("a"), an_id("b")]
    assert await types.dependents("acme", an_id("b")) == [an_id("a")]
    assert await types.dependents("acme", an_id("a")) == []


async def test_what_is_deleted_is_gone(types: Types) -> None:
    await types.put("acme", {an_id("a"): {}, an_id("b"): {}}, {})
    await types.delete("acme", an_id("a"))
    await types.delete("acme", an_id("a"))
    assert await types.find("acme", [an_id("a"), an_id("b")]) == {an_id("b"): {}}
    assert list(await types.ids("acme", "gts.acme.")) == [an_id("b")]


async def test_more_than_one_read_takes_are_found(types: Types) -> None:
    documents = {an_id(f"t{number}"): {"n": number} for number in range(KEYS_PER_READ + 20)}
    ids = list(documents)
    await types.put("acme", {type_id: documents[type_id] for type_id in ids[:KEYS_PER_READ]}, {})
    await types.put("acme", {type_id: documents[type_id] for type_id in ids[KEYS_PER_READ:]}, {})
    assert await types.find("acme", ids) == documents
    assert set(await types.ids("acme", "gts.acme.")) == set(ids)


class CountedApi:
    """Passes calls on and keeps their names; answers may be changed on the way."""

    def __init__(self, api: AwsApi) -> None:
        self._api, self.calls, self.leaves = api, list[str](), 0

    async def call(self, operation: str, payload: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        self.calls.append(operation)
        if operation == "BatchGetItem" and self.leaves:
            self.leaves -= 1
            return {"Responses": {}, "UnprocessedKeys": payload["RequestItems"]}
        return await self._api.call(operation, payload, timeout_s)


@pytest.fixture
def counted(dynamodb_api: AwsApi) -> CountedApi:
    return CountedApi(dynamodb_api)


def dynamo(api: Any, table: str, folder: Path) -> DynamoTypes:
    return DynamoTypes(api, table, DeployedTypes(folder), timeout_s=5.0)


async def test_many_ids_are_one_round_trip_and_the_gateways_own_none(
    counted: CountedApi, tenants_table: str, tmp_path: Path
) -> None:
    (tmp_path / f"{OURS}.schema.json").write_text("{}")
    types = dynamo(counted, tenants_table, tmp_path)
    await types.put("acme", {an_id(name): {} for name in "abc"}, {})
    counted.calls.clear()
    await types.find("acme", [OURS])
    assert counted.calls == []
    await types.find("acme", [an_id(name) for name in "abc"])
    assert counted.calls == ["BatchGetItem"]


async def test_what_dynamodb_leaves_is_read_again_but_not_for_ever(
    counted: CountedApi, tenants_table: str, tmp_path: Path
) -> None:
    types = dynamo(counted, tenants_table, tmp_path)
    await types.put("acme", {an_id("a"): {"n": 1}}, {})
    counted.leaves = 2
    assert await types.find("acme", [an_id("a")]) == {an_id("a"): {"n": 1}}
    counted.leaves = 1_000
    with pytest.raises(StorageUnavailable):
        await types.find("acme", [an_id("a")])


async def test_listing_goes_on_over_pages(dynamodb_api: AwsApi, tenants_table: str, tmp_path: Path) -> None:
    """DynamoDB ends a page after a megabyte of items, whatever is asked of them."""
    types = dynamo(dynamodb_api, tenants_table, tmp_path)
    for name in "abcdefgh":
        await types.put("acme", {an_id(name): {"description": "x" * 200_000}}, {an_id(name): [OURS]})
    assert list(await types.ids("acme", "")) == [an_id(name) for name in "abcdefgh"]
    assert await types.dependents("acme", OURS) == [an_id(name) for name in "abcdefgh"]


async def test_a_type_is_no_tenant_and_a_tenant_no_type(
    dynamodb_api: AwsApi, tenants_table: str, tmp_path: Path
) -> None:
    types = dynamo(dynamodb_api, tenants_table, tmp_path)
    item = {"pk": {"S": "T#acme"}, "sk": {"S": "T"}, "status": {"S": "active"}}
    await dynamodb_api.call("PutItem", {"TableName": tenants_table, "Item": item}, 5.0)
    await types.put("acme", {an_id("a"): {}}, {})
    assert await types.ids("acme", "") == {an_id("a"): "tenant"}


async def test_all_or_none_is_put(dynamodb_api: AwsApi, tenants_table: str, tmp_path: Path) -> None:
    types = dynamo(dynamodb_api, tenants_table, tmp_path)
    with pytest.raises(StorageUnavailable):
        await types.put("acme", {an_id("a"): {}, an_id("b"): {"description": "x" * 500_000}}, {})
    assert await types.find("acme", [an_id("a"), an_id("b")]) == {}


async def test_a_silent_store_does_not_hold_the_caller(aws_keys: None, http_client: HttpClient, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts by its backlog and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        api = aws_api(http_client, url, "dynamodb", "DynamoDB_20120810", "1.0")
        async with asyncio.timeout(5):
            with pytest.raises(StorageUnavailable):
                await DynamoTypes(api, "tenants", DeployedTypes(tmp_path), 0.1).find("acme", [an_id("a")])


async def test_a_dead_store_is_told(dynamodb_api: AwsApi, tmp_path: Path) -> None:
    types = dynamo(dynamodb_api, "no-such-table", tmp_path)
    for asking in (types.find("a", [OURS]), types.ids("a", ""), types.dependents("a", OURS), types.delete("a", OURS)):
        with pytest.raises(StorageUnavailable, match="ResourceNotFound"):
            await asking


async def test_types_lie_where_no_account_of_a_tenant_does(
    dynamodb_api: AwsApi, tenants_table: str, tmp_path: Path
) -> None:
    """Whoever may write them is bound to their partitions by IAM: template.yaml."""
    types = DynamoTypes(dynamodb_api, tenants_table, DeployedTypes(tmp_path), timeout_s=5.0)
    await types.put("acme", {an_id("order"): {}}, {}, Claimed("acme", "k", claim(1)))
    found = await dynamodb_api.call("Scan", {"TableName": tenants_table}, 5.0)
    assert {item["pk"]["S"] for item in found["Items"]} == {"TYPES#acme"}
