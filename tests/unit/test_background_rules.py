"""A late reply is what its request was promised, whatever its tenant may do by the time it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.fakes import MemoryCatalog, MemoryTypes
from tests.unit.test_background import COST, Gateway, gateway, response

__all__ = ["gateway"]

TYPE = "gts.x.test.acme.answer.v1~"
SCHEMA = {
    "$id": f"gts://{TYPE}",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
}
WANTED = {
    "type": "json_schema",
    "json_schema": {"name": "reply", "schema": {"type": "object", "properties": {"b": {"$ref": f"gts://{TYPE}"}}}},
}


def withdrawn(gateway: Gateway) -> None:
    gateway.allow(approvals=("nothing/*",))


def deleted(gateway: Gateway) -> None:
    types(gateway).own.clear()


def disabled(gateway: Gateway) -> None:
    gateway.allow(status="disabled")


def shut_down(gateway: Gateway) -> None:
    assert isinstance(gateway.world.catalog, MemoryCatalog)
    models = gateway.world.catalog.held["openai"]
    models["deep"] = msgspec.structs.replace(models["deep"], shutdown="2020-01-01")


def types(gateway: Gateway) -> MemoryTypes:
    assert isinstance(gateway.world.types, MemoryTypes)
    return gateway.world.types


@pytest.mark.parametrize("change", [withdrawn, deleted, disabled, shut_down])
@pytest.mark.parametrize(("said", "code"), [('{"b":{"a":1}}', None), ('{"b":{"a":"x"}}', "validation_error")])
async def test_what_changes_meanwhile_takes_no_reply_away(
    gateway: Gateway, change: Callable[[Gateway], None], said: str, code: str | None
) -> None:
    types(gateway).own["acme", TYPE] = (SCHEMA, frozenset())
    job_id = await gateway.handed_over(response_format=WANTED)
    change(gateway)
    gateway.remote.looks = [response("completed", said)]
    await gateway.looked(job_id)
    job: Any = gateway.only
    assert (job.error["code"] if job.error else None) == code, job.error
    assert (job.result is None, job.cost_nano_usd) == (code is not None, COST)
