"""The front port: routes, limits, errors, WebSocket."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.local.stack_process import Stack

pytestmark = pytest.mark.stack

ENVELOPE = {"message", "type", "code", "param", "request_id", "retryable", "provider_code", "details"}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_a_request_reaches_its_function_with_where_it_came_from(patched: Stack) -> None:
    event = httpx.get(f"{patched.front}/v1/plain?action=echo&x=1&x=2", headers={"x-own": "yes"}).json()
    authority = patched.front.removeprefix("http://")
    assert event["path"] == "/v1/plain"
    assert event["multiValueQueryStringParameters"]["x"] == ["1", "2"]
    headers = event["headers"]
    assert (headers["host"], headers["x-forwarded-host"]) == (authority, authority)
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("http", authority.partition(":")[2])
    assert headers["x-own"] == "yes"


@pytest.mark.parametrize("path", ["/", "/v2/plain", "/realtime", "/_front/other"])
def test_other_paths_do_not_reach_the_stage(patched: Stack, path: str) -> None:
    assert httpx.get(f"{patched.front}{path}").status_code == 404


def test_an_unknown_path_is_answered_in_our_envelope(patched: Stack) -> None:
    answer = httpx.get(f"{patched.front}/elsewhere")
    error = error_of(answer)
    assert set(error) == ENVELOPE
    assert (error["code"], error["retryable"]) == ("not_found", False)
    assert answer.headers["x-request-id"] == error["request_id"]
    assert answer.headers["x-should-retry"] == "false"


def test_the_templates_gateway_response_passes_unchanged(patched: Stack) -> None:
    answer = httpx.get(f"{patched.front}/v1/nowhere")
    assert answer.status_code == 404
    assert error_of(answer)["message"] == "from the template"
    assert answer.headers["x-request-id"] == error_of(answer)["request_id"]


def test_a_failed_function_is_answered_in_our_envelope(patched: Stack) -> None:
    for path in ("/v1/plain?action=fail", "/v1/stream?fail=before"):
        answer = httpx.get(f"{patched.front}{path}")
        assert answer.status_code == 502
        assert set(error_of(answer)) == ENVELOPE
        assert error_of(answer)["code"] == "internal_error"


def test_a_functions_own_error_passes_unchanged(patched: Stack) -> None:
    answer = httpx.get(f"{patched.front}/v1/stream?status=418")
    assert (answer.status_code, answer.text) == (418, "data: 0\n\n")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("size_bytes", [10 * 1024 * 1024 + 1, 20_000_000])
def test_more_than_ten_megabytes_is_refused_at_the_edge(patched: Stack, size_bytes: int) -> None:
    answer = httpx.post(f"{patched.front}/v1/plain?action=size", content=b"x" * size_bytes, timeout=20)
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "payload_too_large"


def test_more_than_six_megabytes_does_not_reach_a_function(patched: Stack) -> None:
    answer = httpx.post(f"{patched.front}/v1/stream", content=b"x" * 7_000_000, timeout=20)
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "payload_too_large"


def test_a_client_that_leaves_does_not_disturb_the_function(patched: Stack) -> None:
    with httpx.stream("GET", f"{patched.front}/v1/stream?chunks=40&delay_s=0.01") as answer:
        pid = answer.headers["x-pid"]
        next(answer.iter_raw())
    later = {httpx.get(f"{patched.front}/v1/stream").headers["x-pid"] for _ in range(30)}
    assert pid in later or len(later) == 1


# -- Control -------------------------------------------------------------------------------------------------------


def test_health_tells_what_is_deployed(patched: Stack) -> None:
    health = httpx.get(f"{patched.front}/_front/health").json()
    assert health["status"] == "ok"
    assert health["aws_endpoint_url"] == patched.aws_endpoint_url
    assert health["routes"]["rest"] == {"api_id": patched.outputs["ApiId"], "stage": "live"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"rest": {"api_id": "x"}}', b'{"rest": {"api_id": 1, "stage": "a"}}'])
def test_bad_routes_are_refused(patched: Stack, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert httpx.post(f"{patched.front}/_front/routes", content=body, headers=headers).status_code == 400


def test_a_web_page_cannot_set_routes(patched: Stack) -> None:
    headers = {"content-type": "text/plain"}
    assert httpx.post(f"{patched.front}/_front/routes", content=b"{}", headers=headers).status_code == 415


# -- WebSocket -----------------------------------------------------------------------------------------------------


@pytest.fixture
def websocket_url(patched: Stack) -> str:
    return patched.front.replace("http:", "ws:")


@pytest.mark.parametrize("path", ["/realtime", "/v1/realtime?model=x"])
def test_messages_reach_the_websocket_stage(websocket_url: str, path: str) -> None:
    with connect(f"{websocket_url}{path}") as connection:
        connection.send(json.dumps({"say": "hello"}))
        assert json.loads(connection.recv(timeout=5)) == {"said": "hello"}


def test_the_function_chooses_the_subprotocol(websocket_url: str) -> None:
    with connect(f"{websocket_url}/realtime", subprotocols=["realtime", "other"]) as connection:  # type: ignore[list-item]  # plain strings are what goes over the wire
        assert connection.subprotocol == "other"
    with connect(f"{websocket_url}/realtime") as connection:
        assert connection.subprotocol is None


def test_the_function_refuses_with_a_status_of_its_own(websocket_url: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{websocket_url}/realtime?status=402"):
        pass
    assert (refused.value.response.status_code, refused.value.response.body) == (402, b'{"said": "status"}')


@pytest.mark.parametrize(
    ("message", "code"), [(json.dumps({"say": "x" * 128 * 1024}), 1009), (b"binary", 1003)], ids=["too big", "binary"]
)
def test_a_message_the_stage_does_not_take_closes_the_connection(
    websocket_url: str, message: str | bytes, code: int
) -> None:
    with connect(f"{websocket_url}/realtime") as connection:
        connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def test_a_large_message_passes(websocket_url: str) -> None:
    with connect(f"{websocket_url}/realtime") as connection:
        connection.send(json.dumps({"say": "x" * 120 * 1024}))
        assert len(connection.recv(timeout=5)) > 120 * 1024


def test_another_path_refuses_the_handshake(websocket_url: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{websocket_url}/v1/else"):
        pass
    assert refused.value.response.status_code in {403, 404}
