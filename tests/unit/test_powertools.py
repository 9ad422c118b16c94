"""Log lines and metrics of the functions that infer nothing, by Powertools and with the same names."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.entry.models import models_app
from gateway.entry.powertools import LINE_FIELDS, RestRecords, logger
from gateway.entry.rest import rest_app
from gateway.model import metrics
from gateway.model.telemetry import RestLine
from tests.asgi import call
from tests.unit.conftest import KEY, Gateway

SHARED = Path(__file__).parents[2] / "shared"
LINE = RestLine(
    event="request.completed",
    request_id="req_1",
    function="models",
    method="GET",
    route="/v1/models",
    status=200,
    outcome="ok",
    latency_ms=3.5,
)


def test_a_line_has_the_names_of_the_hot_functions(written: Any) -> None:
    RestRecords().write(LINE)
    [line], [figures] = written()
    assert set(line) <= LINE_FIELDS
    assert (line["event"], line["level"], line["service"]) == ("request.completed", "INFO", "llm-gateway")
    assert (line["request_id"], line["http.route"], line["gateway.latency_ms"]) == ("req_1", "/v1/models", 3.5)
    [directive] = figures["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "LlmGateway"
    assert directive["Dimensions"] == [["gateway.function", "service"]]
    named = {metric["Name"] for metric in directive["Metrics"]}
    assert named == {metrics.REST_REQUESTS, metrics.REST_LATENCY, metrics.REST_COLD_START}
    assert figures[metrics.REST_LATENCY] == [3.5]


def test_only_the_first_request_is_a_cold_start_and_only_ours_are_faults(written: Any) -> None:
    records = RestRecords()
    records.write(LINE)
    failed = RestLine(
        event="request.failed",
        request_id="req_2",
        function="models",
        method="GET",
        status=500,
        outcome="gateway_error",
        error="internal_error",
        latency_ms=1.0,
    )
    records.write(failed)
    [_, line], [_, figures] = written()
    assert line["level"] == "ERROR"
    assert metrics.REST_FAULTS in figures
    assert metrics.REST_COLD_START not in figures


def test_what_is_not_a_known_field_is_not_written(written: Any) -> None:
    try:
        int("a prompt")
    except ValueError:
        logger().exception("upload.left_behind", extra={"prompt": "a prompt", "request_id": "req_1"})
    [line], _ = written()
    assert "a prompt" not in json.dumps(line)
    assert (line["event"], line["request_id"]) == ("upload.left_behind", "req_1")


async def test_every_request_leaves_a_line_that_names_its_route_and_not_its_ids(gateway: Gateway, written: Any) -> None:
    app = models_app(gateway.world, SHARED)
    headers = {"authorization": f"Bearer {KEY}"}
    answer = await call(app, b"", headers, method="GET", path="/v1/models/openai/gpt-4o")
    refused = await call(app, b"", {}, method="GET", path="/v1/models/openai/gpt-4o")
    unknown = await call(app, b"", {}, method="GET", path="/v1/secret")
    (first, second, third), _ = written()
    assert (answer.status, refused.status, unknown.status) == (200, 401, 404)
    assert first["request_id"] == answer.headers["x-gateway-request-id"]
    assert (first["event"], first["http.route"]) == ("request.completed", "/v1/models/{model:path}")
    assert (second["error.type"], second["gateway.outcome"]) == ("invalid_api_key", "client_error")
    assert (third["error.type"], "http.route" in third) == ("not_found", False)
    assert second["trace_id"] == refused.json["error"]["trace_id"]


async def test_the_ids_of_the_invocation_and_of_the_callers_trace_are_in_the_line(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mangum passes the context of Lambda's own runtime on, which has the trace in the environment."""
    app, trace_id = rest_app(), "4bf92f3577b34da6a3ce929d0e0e4736"
    in_lambda = SimpleNamespace(aws_request_id="8476a536")

    async def invoked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "aws.context": in_lambda}, receive, send)

    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    await call(invoked, b"", {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}, method="GET", path="/v1/none")
    await call(invoked, b"", {}, method="GET", path="/v1/none")
    (first, second), _ = written()
    assert (first["lambda_request_id"], first["trace_id"]) == ("8476a536", trace_id)
    assert second["trace_id"] == "5759e988bd862e3fe1be46a994272793"


async def test_a_defect_is_a_fault_of_the_gateway(written: Any) -> None:
    app = rest_app()

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("a prompt")

    answer = await call(app, b"", {}, method="GET", path="/v1/broken")
    [line], lines = written()
    assert (answer.status, line["http.response.status_code"], line["gateway.outcome"]) == (500, 500, "gateway_error")
    assert "a prompt" not in json.dumps([line, *lines])
