from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.entry.http import MAX_BODY_BYTES
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.event import NotHttp, http_request
from tests.unit.runtime.fake_runtime_api import http_event

MAX_EVENT_BYTES = 6 * 1024 * 1024
INVOCATION = Invocation("id-1", 1_700_000_000.5, "arn:aws:lambda:eu-west-1:1:function:f", "Root=1")


def scope_of(event: dict[str, Any]) -> dict[str, Any]:
    return http_request(event, INVOCATION, {})[0]


def test_the_largest_body_fits_into_an_event() -> None:
    """Messages of a conversation, in which quotes and line ends are escaped in the event; for a client there are the
    headers of API Gateway besides. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    message = json.dumps({"role": "user", "content": 'They "said":\n' + "word " * 30})
    body = f'{{"model": "m", "messages": [{", ".join([message] * (MAX_BODY_BYTES // (len(message) + 2) - 1))}]}}'
    assert MAX_BODY_BYTES - 500 < len(body) <= MAX_BODY_BYTES
    event = http_event("/v1/chat/completions", body=body, multiValueHeaders={"X-Any": ["x" * 10_240]})
    assert len(json.dumps(event).encode()) <= MAX_EVENT_BYTES


def test_scope() -> None:
    event = http_event(
        "/v1/files/a%20b",
        body="{}",
        resource="/v1/files/{id}",
        httpMethod="GET",
        multiValueHeaders={"X-Tag": ["1", "2"], "Host": ["api.example"], "X-Forwarded-Proto": ["http"]},
        multiValueQueryStringParameters={"q": ["a b", "ü&"], "limit": ["5"]},
    )
    state = {"started": True}
    scope, body = http_request(event, INVOCATION, state)
    assert body == b"{}"
    aws = scope.pop("extensions")["aws"]
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/files/a b",
        "raw_path": b"/v1/files/a%20b",
        "query_string": b"q=a+b&q=%C3%BC%26&limit=5",
        "root_path": "",
        "headers": [
            (b"x-tag", b"1"),
            (b"x-tag", b"2"),
            (b"host", b"api.example"),
            (b"x-forwarded-proto", b"http"),
        ],
        "client": ("203.0.113.9", 0),
        "server": ("api.example", 443),
        "state": {"started": True},
    }
    assert scope["state"] is not state
    assert aws == {
        "request_id": "id-1",
        "deadline_s": 1_700_000_000.5,
        "function_arn": "arn:aws:lambda:eu-west-1:1:function:f",
        "trace_id": "Root=1",
        "event": event,
    }
    assert aws["event"]["body"] is None


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (http_event(body="grüße"), "grüße".encode()),
        (http_event(body=None), b""),
        (http_event(body=base64.b64encode(b"\xff\x00").decode(), isBase64Encoded=True), b"\xff\x00"),
        (http_event(body="\ud800"), b"\xed\xa0\x80"),
    ],
)
def test_body(event: dict[str, Any], expected: bytes) -> None:
    assert http_request(event, INVOCATION, {})[1] == expected


@pytest.mark.parametrize(
    ("path", "resource", "stage", "seen"),
    [
        ("/v1/chat/completions", "/v1/chat/completions", "prod", "/v1/chat/completions"),
        ("/v1/files/x", "/v1/files/{id}", "prod", "/v1/files/x"),
        ("/llm/v1/files/x", "/v1/files/{id}", "prod", "/v1/files/x"),  # base path of a custom domain
        ("/llm/prod/v1/models", "/v1/models", "prod", "/v1/models"),  # and no stage in its mapping
        ("/chat/completions", "/chat/completions", "v1", "/v1/chat/completions"),  # the stage is the version
        ("/v1/chat/completions", "/chat/completions", "v1", "/v1/chat/completions"),
        ("/v1/models", "/{proxy+}", "prod", "/v1/models"),
        ("/", "/", "prod", "/"),
    ],
)
def test_path_below_the_apis_root(path: str, resource: str, stage: str, seen: str) -> None:
    event = http_event(path, resource=resource)
    event["requestContext"]["stage"] = stage
    assert scope_of(event)["path"] == seen


def test_event_with_the_least_of_members() -> None:
    scope = scope_of({"httpMethod": "GET", "headers": {"A": "b"}})
    assert (scope["path"], scope["headers"], scope["query_string"]) == ("/", [(b"a", b"b")], b"")
    assert scope["client"] == ("", 0)


@pytest.mark.parametrize("event", [None, [], "text", {}, {"detail": {}}])
def test_other_events_are_refused(event: Any) -> None:
    with pytest.raises(NotHttp):
        http_request(event, INVOCATION, {})
