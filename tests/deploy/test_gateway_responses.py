"""What API Gateway answers by itself has the shape, the codes and the statuses of every other error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.places import REPOSITORY
from tests.deploy.conftest import Resources

MEMBERS = {"message", "type", "code", "param", "request_id", "retryable", "provider_code", "details"}
NAMED = {
    "ACCESS_DENIED",
    "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS",
    "DEFAULT_4XX",
    "DEFAULT_5XX",
    "EXPIRED_TOKEN",
    "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND",
    "THROTTLED",
    "UNSUPPORTED_MEDIA_TYPE",
    "WAF_FILTERED",
}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def responses(deployed: Resources) -> dict[str, Any]:
    body = deployed["Api"]["Properties"]["Body"]
    found: dict[str, Any] = body["x-amazon-apigateway-gateway-responses"]
    return found


@pytest.fixture(scope="module")
def edge_rows() -> dict[tuple[int, str], Row]:
    rows = json.loads((REPOSITORY / "shared" / "errors.json").read_text())["errors"]
    return {(row["status"], row["code"]): row for row in rows if row.get("edge")}


def error_of(response: dict[str, Any]) -> dict[str, Any]:
    rendered = response["responseTemplates"]["application/json"].replace("$context.requestId", "id-1")
    assert "$" not in rendered
    error: dict[str, Any] = json.loads(rendered)["error"]
    return error


def key_of(response: dict[str, Any]) -> tuple[int, str]:
    return int(response["statusCode"]), error_of(response)["code"]


def test_every_kind_that_can_occur_is_answered(responses: dict[str, Any]) -> None:
    assert set(responses) == NAMED


@pytest.mark.parametrize("kind", sorted(NAMED))
def test_an_answer_is_one_of_the_published_errors(
    responses: dict[str, Any], edge_rows: dict[tuple[int, str], Row], kind: str
) -> None:
    response = responses[kind]
    error, row = error_of(response), edge_rows[key_of(response)]
    assert set(error) == MEMBERS | set(row.get("members", []))
    assert (error["type"], error["retryable"]) == (row["type"], row["retryable"])
    assert (error["request_id"], error["details"]) == ("id-1", [])


@pytest.mark.parametrize("kind", sorted(NAMED))
def test_a_hopeless_retry_is_said_to_be_one(responses: dict[str, Any], kind: str) -> None:
    headers = responses[kind]["responseParameters"]
    told_off = headers.get("gatewayresponse.header.x-should-retry") == "'false'"
    assert told_off is not error_of(responses[kind])["retryable"]
    assert "gatewayresponse.header.Access-Control-Allow-Origin" in headers


def test_every_published_edge_error_is_answered_by_something(
    responses: dict[str, Any], edge_rows: dict[tuple[int, str], Row]
) -> None:
    assert {key_of(response) for response in responses.values()} == set(edge_rows)
