"""The Type Registry, and tools out of it: on the deployed stack, on providers of three kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.contract import check

SCHEMA = "https://json-schema.org/draft/2020-12/schema"
PLACE, OLDER, OPEN = (f"gts.acme.e2e.geo.place.{version}~" for version in ("v1.1", "v1.0", "v1"))
LOOKUP = "gts.gateway.api.tools.function.v1~acme.e2e.geo.lookup.v1"
PLACES = [
    {"$schema": SCHEMA, "$id": f"gts://{OLDER}", "type": "object"},
    {
        "$schema": SCHEMA,
        "$id": f"gts://{PLACE}",
        "description": "Finds a place",
        "allOf": [{"$ref": f"gts://{OLDER}"}],
        "properties": {"name": {"type": "string"}, "inside": {"$ref": f"gts://{PLACE}"}},
        "required": ["name"],
    },
    {"id": LOOKUP, "description": "Looks a place up", "params": {"$ref": f"gts://{PLACE}"}},
]
MODELS = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"]
pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def registered(gateway: Any) -> Iterator[None]:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    with httpx.Client(base_url=gateway.http, headers=headers, timeout=60) as http:
        answer = http.post("/types", json={"types": PLACES})
        assert answer.status_code == 201, answer.text
        yield
        for type_id in (LOOKUP, PLACE, OLDER):
            assert http.delete(f"/types/{type_id}").status_code == 200


@pytest.mark.usefixtures("registered")
class TestTools:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("schema_id", [LOOKUP, OPEN])
    def test_a_registered_tool_is_called_by_its_id_over_turns(
        self, sdk: openai.OpenAI, model: str, schema_id: str
    ) -> None:
        tools: Any = [{"type": "reference", "schema_id": schema_id}]
        question: Any = [{"role": "user", "content": "Where is Oslo?"}]
        reply = sdk.chat.completions.create(model=model, messages=question, tools=tools, tool_choice="required")
        message: Any = reply.choices[0].message
        assert [call.function.name for call in message.tool_calls] == [schema_id]
        result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "There"}
        history = [*question, message, result]
        answer = sdk.chat.completions.create(model=model, messages=history, tools=tools)
        assert answer.choices[0].finish_reason == "stop"

    @pytest.mark.parametrize("model", MODELS)
    def test_a_stream_calls_it_by_its_id(self, sdk: openai.OpenAI, model: str) -> None:
        tools: Any = [{"type": "reference", "schema_id": LOOKUP}]
        choice: Any = {"type": "function", "function": {"name": LOOKUP}}
        stream = sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Hi"}], tools=tools, tool_choice=choice, stream=True
        )
        pieces = [piece for chunk in stream for one in chunk.choices for piece in one.delta.tool_calls or ()]
        assert [piece.function.name for piece in pieces if piece.function and piece.function.name] == [LOOKUP]

    def test_types_are_listed_and_read(self, http: httpx.Client) -> None:
        listed = http.get("/types", params={"pattern": "gts.acme.e2e.*"}).json()
        check("TypeList", listed)
        assert [one["id"] for one in listed["data"]] == [OLDER, PLACE]
        one = http.get(f"/types/{OPEN}").json()
        check("RegisteredType", one)
        assert (one["id"], one["document"]) == (PLACE, PLACES[1])

    def test_what_others_need_stays(self, http: httpx.Client) -> None:
        refused = http.delete(f"/types/{OLDER}")
        assert (refused.status_code, refused.json()["error"]["details"][0]["reason"]) == (400, f"{PLACE} needs it")


def test_what_is_not_registered_is_all_named(http: httpx.Client) -> None:
    ids = [f"gts.acme.e2e.no.such_{number}.v1~" for number in range(3)]
    tools = [{"type": "reference", "schema_id": schema_id} for schema_id in ids]
    body = {"model": MODELS[0], "messages": [{"role": "user", "content": "Hi"}], "tools": tools}
    answer = http.post("/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "schema_not_found")
    assert [detail["pointer"] for detail in answer.json()["error"]["details"]] == [
        f"/tools/{number}/schema_id" for number in range(3)
    ]


def test_a_bad_registration_leaves_nothing_behind(http: httpx.Client) -> None:
    good = {"$schema": SCHEMA, "$id": "gts://gts.acme.e2e.half.good.v1~"}
    answer = http.post("/types", json={"types": [good, {"$schema": SCHEMA, "$id": "nonsense"}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "types[1].$id")
    assert http.get("/types/gts.acme.e2e.half.good.v1~").status_code == 404
