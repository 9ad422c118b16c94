"""The contract of sessions of voice, as it is published, and validators of its events."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema

from gateway.entry.contracts import contracts
from tests.unit.facts.facts import SHARED


@cache
def sockets() -> dict[str, Any]:
    return contracts(SHARED)[1]


def channel() -> dict[str, Any]:
    found: dict[str, Any] = sockets()["channels"]["realtime"]
    return found


def messages(operation: str) -> list[str]:
    """The types of its events."""
    listed = [reference["$ref"] for reference in sockets()["operations"][operation]["messages"]]
    return sorted(reference.rpartition("/")[2] for reference in listed)


@cache
def validator_of(kind: str) -> Any:
    """Of the events of this type."""
    payload = sockets()["components"]["messages"][kind]["payload"]
    return jsonschema.Draft7Validator({**payload, "components": sockets()["components"]})


def check(event: dict[str, Any]) -> None:
    """That the gateway has told somebody."""
    assert event["type"] in messages("speak"), event
    problems = [f"{error.json_path}: {error.message}" for error in validator_of(event["type"]).iter_errors(event)]
    assert not problems, (event, problems)
