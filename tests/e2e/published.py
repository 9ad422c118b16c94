"""The published contract, with ids and bodies that lead somewhere, for requests made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.known_ids import Ids

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """`is_public`: it asks for no key."""

    id: str
    method: str
    path: str
    is_public: bool

    @property
    def label(self) -> str:
        """As Schemathesis says it."""
        return f"{self.method.upper()} {self.path}"


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                described = item[method]
                yield Operation(described["operationId"], method, path, described.get("security") == [])


def document_of(origin: str, ids: Ids, bodies: Mapping[str, Any]) -> dict[str, Any]:
    """The document as it is served, with these as its examples."""
    published = httpx.get(f"{origin}/openapi.json", timeout=60).raise_for_status().json()
    document: dict[str, Any] = _without_schemas_of_streams(published)
    parameters = document["components"]["parameters"]
    for item in document["paths"].values():
        of_all = item.pop("parameters", [])
        for described in (item[method] for method in METHODS if method in item):
            known = ids.get(described["operationId"], {})
            named = [
                parameters[one["$ref"].split("/")[-1]] if "$ref" in one else one
                for one in (*of_all, *described.get("parameters", []))
            ]
            described["parameters"] = [_with_example(one, known) for one in named]
            if described["operationId"] in bodies:
                content = described["requestBody"]["content"]["application/json"]
                content["examples"] = {"known": {"value": bodies[described["operationId"]]}}
    return document


def _with_example(parameter: dict[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    if parameter["name"] not in known:
        return parameter
    kept = {name: member for name, member in parameter.items() if name != "examples"}
    return {**kept, "example": known[parameter["name"]]}


def _without_schemas_of_streams(document: Any) -> Any:
    """Events are described by `x-event-schema`, which the other tests of the contract read; theirs is a text."""
    if isinstance(document, list):
        return [_without_schemas_of_streams(member) for member in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {} if name == "text/event-stream" else _without_schemas_of_streams(member)
        for name, member in document.items()
    }
