"""What the deployed stack says of itself: a line for each request by the conventions' names, alarms and a dashboard."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import httpx
import pytest

from tests.e2e.conftest import Gateway

pytestmark = pytest.mark.stack
WAIT_S = 10.0


def client(local: Gateway, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=local.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local stack takes any
    )


def line_of(local: Gateway, function: str, request_id: str) -> dict[str, Any]:
    """The request's line, which is written after its answer."""
    logs, deadline = client(local, "logs"), time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        group = f"/aws/lambda/llm-gateway-{function}"
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        messages = [event["message"] for page in pages for event in page["events"] if request_id in event["message"]]
        for message in messages:
            line: dict[str, Any] = json.loads(message)
            if str(line.get("event", "")).startswith("request."):
                return line
        time.sleep(0.2)
    raise AssertionError(f"no line of {request_id} within {WAIT_S} s")


def test_a_stream_leaves_one_line_with_names_of_the_conventions_and_metrics(local: Gateway, http: httpx.Client) -> None:
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    answer = http.post("/chat/completions", json=body)
    line = line_of(local, "chat", answer.headers["x-gateway-request-id"])
    assert (line["gen_ai.operation.name"], line["gen_ai.provider.name"]) == ("chat", "openai")
    assert (line["gen_ai.request.model"], line["gen_ai.request.stream"]) == ("gpt-4o-mini", True)
    assert (line["gateway.outcome"], line["gen_ai.response.finish_reasons"]) == ("ok", ["stop"])
    assert line["gen_ai.usage.input_tokens"] > 0
    assert 0 < line["gen_ai.client.inference.time_to_first_chunk"] <= line["gen_ai.client.inference.duration"]
    named = {metric["Name"] for one in line["_aws"]["CloudWatchMetrics"] for metric in one["Metrics"]}
    assert {"gateway.requests", "gateway.overhead_ms", "gateway.cost_nano_usd"} <= named


def test_the_other_functions_write_the_same_names(local: Gateway, http: httpx.Client) -> None:
    answer = http.get("/models/nope")
    line = line_of(local, "models", answer.headers["x-gateway-request-id"])
    assert (line["event"], line["error.type"], line["gateway.outcome"]) == (
        *("request.failed", "model_not_found", "client_error"),
    )
    assert (line["http.route"], line["gateway.function"], line["service"]) == (
        *("/v1/models/{model:path}", "models", "llm-gateway"),
    )
    assert line["lambda_request_id"]


def test_alarms_and_the_dashboard_are_deployed(local: Gateway) -> None:
    cloudwatch = client(local, "cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} >= {"llm-gateway-overhead", "llm-gateway-unread-records"}
    assert all("docs/runbooks.md#" in alarm["AlarmDescription"] for alarm in alarms)
    body = json.loads(cloudwatch.get_dashboard(DashboardName="llm-gateway")["DashboardBody"])
    assert "llm-gateway" in json.dumps(body["widgets"])
    assert "${" not in json.dumps(body)
