"""shared/errors.json, the error classes and what API Gateway answers say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from gateway.model import admin_errors, errors, idempotency_errors, provider_errors, realtime_errors
from tests.unit.facts.facts import ROOT, error_rows

STEPS_BUILT = {1, 2, 3, 4, 5, 6, 7, 8}
EDGE_ANSWER = re.compile(r'StatusCode: "(?P<status>\d+)".*?(?P<body>\{"error":.*?\}\})', re.DOTALL)


def below(parent: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for child in parent.__subclasses__():
        yield child
        yield from below(child)


# Classes with a code of their own; the rest only group others.
CLASSES = [error for error in below(errors.GatewayError) if error is not provider_errors.ProviderFailure]
ROWS = {(row["status"], row["code"]): row for row in error_rows()}


def edge_answers() -> dict[str, tuple[int, dict[str, object]]]:
    found = EDGE_ANSWER.findall((ROOT / "template.yaml").read_text())
    bodies = [(int(status), json.loads(body)["error"]) for status, body in found]
    return {error["code"]: (status, error) for status, error in bodies}


def test_leaves_that_stand_elsewhere_are_of_the_tree() -> None:
    assert {admin_errors.TenantNotFound, admin_errors.Conflict, idempotency_errors.RequestRunning} <= set(CLASSES)
    assert {realtime_errors.SessionExpired, realtime_errors.SlowConsumer, realtime_errors.SpokenTooFast} <= set(CLASSES)


def test_a_row_is_complete_and_unique() -> None:
    assert len(ROWS) == len(error_rows())
    for row in error_rows():
        required = {"status", "code", "type", "retryable", "step", "meaning"}
        assert required <= set(row) <= required | {"edge", "members"}, row["code"]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_class_is_a_row(error: type[errors.GatewayError]) -> None:
    row = ROWS[error.status, error.code]
    assert (row["type"], row["retryable"]) == (error.type, error.retryable)
    assert row["step"] in STEPS_BUILT


def test_every_row_of_a_built_step_is_answered_by_a_class_or_the_edge() -> None:
    answered = {(error.status, error.code) for error in CLASSES}
    edge = {(status, code) for code, (status, _) in edge_answers().items()}
    built = {key for key, row in ROWS.items() if row["step"] in STEPS_BUILT}
    assert built - answered - edge == set()


def test_the_edge_answers_as_the_gateway_does() -> None:
    answers = edge_answers()
    assert set(answers) == {row["code"] for row in error_rows() if row.get("edge")}
    for code, (status, error) in answers.items():
        row = ROWS[status, code]
        assert (error["type"], error["retryable"]) == (row["type"], row["retryable"]), code
        common = {"message", "type", "code", "param", "request_id", "retryable", "provider_code", "details"}
        assert set(error) == common | set(row.get("members", [])), code


def test_members_beyond_the_common_ones() -> None:
    timeout = provider_errors.ProviderTimeout("late", phase="ttft").wire("req_1")["error"]
    limited = provider_errors.ProviderRateLimited("slow").wire("req_1")["error"]
    refused = errors.InvalidRequest("no").wire("req_1")["error"]
    assert set(timeout) - set(refused) == set(ROWS[504, "provider_timeout"]["members"])
    assert set(limited) - set(refused) == set(ROWS[429, "rate_limited"]["members"])
