"""Every provider's refusals: the status decides, whatever the body holds, and nothing private gets through."""

from __future__ import annotations

import json
import pkgutil

import pytest

import gateway.providers
from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import (
    ProviderError,
    ProviderFailure,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefusedSize,
    ProviderRejected,
    ProviderTimeout,
)
from gateway.providers.contract import ChatWire, Target
from gateway.providers.lookup import has_provider, provider_named
from gateway.providers.wire.failures import public_reason, retry_after_s
from gateway.providers.wire.openai_chat import OpenAiChat

WIRES = [
    (name, api)
    for _, name, _ in pkgutil.iter_modules(gateway.providers.__path__)
    if has_provider(name)
    for api in sorted(provider_named(name).wires)
]
MEANING: dict[int, type[ProviderFailure]] = {
    400: ProviderRejected,
    401: ProviderError,
    402: ProviderError,
    403: ProviderError,
    404: ProviderLacksModel,
    408: ProviderTimeout,
    413: ProviderRefusedSize,
    418: ProviderError,
    422: ProviderRejected,
    429: ProviderRateLimited,
    500: ProviderError,
    502: ProviderError,
    503: ProviderError,
    529: ProviderError,
    599: ProviderError,
}
PRIVATE = "Ask ops@corp.example about key sk-abcdef1234567890 at https://internal.corp.example/x or db1.corp.internal"
SHAPES: dict[str, object] = {
    "chat_completions": {"error": {"message": PRIVATE, "type": "some_type", "param": None, "code": "some_code"}},
    "messages": {"type": "error", "error": {"type": "some_type", "message": PRIVATE}},
    "generate_content": {"error": {"code": 400, "status": "SOME_STATUS", "message": PRIVATE}},
    "responses": {"error": {"message": PRIVATE, "type": "some_type", "param": None, "code": "some_code"}},
    "cohere_chat": {"id": "e", "message": PRIVATE},
    "converse": {"__type": "com.amazon.some#SomeType", "message": PRIVATE},
}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "html": f"<html><h1>502 Bad Gateway</h1>{PRIVATE}</html>".encode(),
    "text": PRIVATE.encode(),
    "not utf-8": b'{"error": "\xff\xfe"}',
    "half": b'{"error": {"mess',
    "null": b"null",
    "number": b"7",
    "string": json.dumps(PRIVATE).encode(),
    "list": b"[]",
    "list of numbers": b"[1]",
    "empty object": b"{}",
    "error null": b'{"error": null}',
    "error number": b'{"error": 1, "code": [], "message": {}, "param": 5}',
    "error text": json.dumps({"error": PRIVATE, "code": PRIVATE}).encode(),
    "detail text": json.dumps({"detail": PRIVATE}).encode(),
    "detail list": json.dumps({"detail": [{"loc": 5, "msg": PRIVATE}, 3]}).encode(),
    "details nested": json.dumps({"message": {"detail": [7]}, "error": {"message": {"detail": PRIVATE}}}).encode(),
    "deep": b"[" * 100_000,
}
HEADERS = {"content-type": "text/plain", "retry-after": "1.2"}


def wire_of(name: str, api: str) -> tuple[ChatWire, Target]:
    model = ModelFacts(id="m", name="M", api=api)
    return provider_named(name).wires[api], Target(name, model, "http://model.example/v1")


def check(failure: ProviderFailure, status: int) -> None:
    assert type(failure) is MEANING[status]
    assert failure.retry_after_s == (2 if status in (402, 418, 429) or status >= 500 else None)
    told = json.dumps(failure.wire("r"))
    for secret in ("sk-abc", "corp", "ops@"):
        assert secret not in told


@pytest.mark.parametrize("status", MEANING)
@pytest.mark.parametrize(("name", "api"), WIRES)
def test_a_documented_body(name: str, api: str, status: int) -> None:
    wire, target = wire_of(name, api)
    failure = wire.fail(HttpResponse(status, HEADERS, json.dumps(SHAPES[api]).encode()), target)
    check(failure, status)
    if api == "chat_completions" and status != 408:
        assert failure.provider_code == "some_code"
    assert ("[removed]" in failure.message) is (status in (400, 422))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("name", "api"), WIRES)
def test_any_other_body(name: str, api: str, body: str) -> None:
    wire, target = wire_of(name, api)
    for status in MEANING:
        check(wire.fail(HttpResponse(status, HEADERS, BODIES[body]), target), status)


@pytest.mark.parametrize("space", [" ", "%20"])
@pytest.mark.parametrize("api", ["chat_completions", "responses"])
def test_a_400_that_speaks_of_our_key_is_not_the_clients_fault(api: str, space: str) -> None:
    wire, target = wire_of("xai", api)
    said = "Incorrect API key provided: xa***. You can obtain an API key from https://console.x.ai.".replace(" ", space)
    body = {"code": "Client specified an invalid argument", "error": said}
    failure = wire.fail(HttpResponse(400, {}, json.dumps(body).encode()), target)
    assert (type(failure), "credentials" in failure.message) == (ProviderError, True)
    body = {"code": "invalid-argument", "error": f"{said!r} is no prompt"}
    assert type(wire.fail(HttpResponse(400, {}, json.dumps(body).encode()), target)) is ProviderRejected


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("name", "api"), WIRES)
def test_nonsense_with_status_200_is_the_providers_failure(name: str, api: str, body: str) -> None:
    wire, target = wire_of(name, api)
    with pytest.raises(ProviderFailure):
        wire.parse(HttpResponse(200, {}, BODIES[body]), target)
    for data in (BODIES[body], b"data: " + BODIES[body] + b"\n\n"):
        parser = wire.stream(target)
        with pytest.raises(ProviderFailure):
            list(parser.feed(data))
            list(parser.close())


@pytest.mark.parametrize(
    ("error", "meaning", "code"),
    [
        ({"code": 429, "message": "x"}, ProviderRateLimited, "429"),
        ({"code": "rate_limit_exceeded", "message": "x"}, ProviderRateLimited, "rate_limit_exceeded"),
        ({"type": "insufficient_quota"}, ProviderRateLimited, "insufficient_quota"),
        ({"type": "overloaded_error"}, ProviderError, "overloaded_error"),
        ({"type": "invalid_request_error", "message": "Too long"}, ProviderRejected, "invalid_request_error"),
        ({"status_code": 413, "message": "x"}, ProviderRefusedSize, None),
        ({"code": "413"}, ProviderRefusedSize, "413"),
        ({"code": "model_not_found"}, ProviderLacksModel, "model_not_found"),
        ({"type": "timeout"}, ProviderTimeout, None),
        ({"type": "authentication_error"}, ProviderError, "authentication_error"),
        ({"message": "x"}, ProviderError, None),
        ({"code": True, "status": 200}, ProviderError, None),
        ("just a text", ProviderError, None),
        (["text"], ProviderError, None),
    ],
)
def test_an_error_inside_an_openai_stream_or_reply(
    error: object, meaning: type[ProviderFailure], code: str | None
) -> None:
    wire, target = OpenAiChat(), wire_of("openai", "chat_completions")[1]
    body = json.dumps({"error": error}).encode()
    with pytest.raises(ProviderFailure) as in_reply:
        wire.parse(HttpResponse(200, {}, body), target)
    with pytest.raises(ProviderFailure) as in_stream:
        list(wire.stream(target).feed(b"data: " + body + b"\n\n"))
    with pytest.raises(ProviderFailure) as as_event:
        list(wire.stream(target).feed(b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"))
    for failure in (in_reply.value, in_stream.value, as_event.value):
        assert type(failure) is meaning
        assert failure.provider_code == code


@pytest.mark.parametrize(
    "private",
    [
        "llm-7f9c:8000",
        "10.3.4.5",
        "Bearer ABCDEF1234567890",
        "arn:aws:iam::123456789012:role/LlmRole",
        "api.corp.example.org",
        "/srv/models/secret",
        "my.host.cloud",
        "https://inside.example/x",
        "sk-abcdefgh1234",
    ],
)
def test_what_a_reason_says_of_us_is_removed(private: str) -> None:
    assert private not in public_reason(f"could not reach {private} for this")


@pytest.mark.parametrize(
    "useful",
    [
        "This model's maximum context length is 8192 tokens, 9000 were given.",
        "temperature must be <= 1",
        "messages.0.content: field required",
        "messages[0].content[1].image_url is invalid",
        "gpt-4.1-mini does not support response_format.json_schema.schema",
    ],
)
def test_what_a_reason_says_of_the_request_stays(useful: str) -> None:
    assert public_reason(useful) == useful


@pytest.mark.parametrize(("header", "value"), [("retry-after-ms", "9" * 5000), ("retry-after", "9" * 5000)])
def test_an_absurd_wait_is_not_passed_on(header: str, value: str) -> None:
    assert retry_after_s({header: value}) in (None, 86_400)
