"""The types that come with the gateway: they are registered properly, and they say what the API says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry

from gateway.adapters.types import DeployedTypes
from gateway.gts.bundle import bundle
from gateway.gts.registration import check, read_candidates
from gateway.gts.tools import needed_ids, resolve_tools
from gateway.model.chat import ChatCall, FunctionTool, ReferenceTool, UserMessage
from tests.unit.facts.contract import document, resolved

FOLDER = Path(__file__).parents[3] / "shared" / "schemas" / "gts"
DEPLOYED = DeployedTypes(FOLDER)
IDS = DEPLOYED.ids("")
TYPES: dict[str, Any] = {type_id: DEPLOYED.find(type_id) for type_id in IDS}
API = "gts.gateway.api."


def test_there_are_31_types_and_an_instance() -> None:
    assert [type_id.endswith("~") for type_id in IDS].count(True) == 31
    assert len(IDS) == 32


def test_all_of_them_could_be_registered_together() -> None:
    candidates, ill_named = read_candidates(list(TYPES.values()), "")
    assert ill_named == []
    assert check(candidates, {}) == ([], [])


def test_a_file_is_called_what_is_in_it() -> None:
    assert [candidate.id.text for candidate in read_candidates(list(TYPES.values()), "")[0]] == IDS


def test_every_type_is_of_the_gateway_and_has_words_for_people() -> None:
    for type_id in IDS:
        assert type_id.rstrip("~").rpartition("~")[2].removeprefix("gts.").startswith("gateway.")
        assert TYPES[type_id]["title"]
        assert TYPES[type_id]["description"].endswith(".")


@pytest.mark.parametrize("type_id", [type_id for type_id in IDS if type_id.endswith("~")])
def test_each_of_them_resolves(type_id: str) -> None:
    whole = bundle(TYPES[type_id], TYPES)
    assert "gts://" not in str(whole)
    jsonschema.Draft202012Validator.check_schema(whole)


def test_those_of_objects_can_be_tools() -> None:
    ids = [type_id for type_id in IDS if TYPES[type_id].get("type") == "object" or not type_id.endswith("~")]
    call = ChatCall(
        model="m", messages=[UserMessage(content="Hi")], tools=[ReferenceTool(schema_id=type_id) for type_id in ids]
    )
    assert needed_ids(call, TYPES) == set()
    resolved_call, names = resolve_tools(call, TYPES)
    tools = [tool.function for tool in resolved_call.tools or () if isinstance(tool, FunctionTool)]
    assert [names.back(tool.name) for tool in tools] == ids
    assert all(tool.parameters is not None and tool.parameters["type"] == "object" for tool in tools)


def examples(*starts: str) -> list[Any]:
    """Of the contract, by how they are called."""
    held = document()["components"]["examples"]
    return [pytest.param(resolved(held[name])["value"], id=name) for name in held if name.startswith(starts)]


def breaks(name: str, value: Any) -> list[str]:
    schema = bundle(TYPES[f"{API}{name}.v1~"], TYPES)
    return [error.message for error in jsonschema.Draft202012Validator(schema, registry=Registry()).iter_errors(value)]


@pytest.mark.parametrize("value", examples("ReplyText", "ReplyToolCalls"))
def test_replies_of_the_contract_are_of_their_type(value: Any) -> None:
    assert breaks("core.chat_response", value) == []
    assert breaks("core.chat_response", {**value, "usage": None}) != []


@pytest.mark.parametrize("value", examples("RequestMinimal", "RequestTools", "RequestStreaming", "RequestSampling"))
def test_requests_of_the_contract_are_of_their_type(value: Any) -> None:
    assert breaks("core.chat_request", value) == []
    assert breaks("core.chat_request", {**value, "messages": []}) != []


@pytest.mark.parametrize("value", examples("ErrorValidation", "ErrorKey", "ErrorTimeout"))
def test_errors_of_the_contract_are_of_their_type(value: Any) -> None:
    assert breaks("core.error", value) == []
