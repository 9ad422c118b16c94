"""What providers say by themselves: what is believed of it, and what it says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.entry.provider_webhooks import ROUTE
from gateway.hooks.signature import signed_headers
from gateway.model.callback import News
from gateway.model.errors import InvalidSignature, UnreadableBody
from gateway.model.secret import Secret
from gateway.model.standard_webhooks import signature_of
from gateway.providers.contract import Callback
from gateway.providers.lookup import provider_named, provider_names
from gateway.providers.wire.standard_callback import TOLERANCE_S, StandardCallback, last_part
from scripts.draw_machine import PAGE
from tests.unit.facts.contract import document

# Published by Svix, whose scheme became the standard: https://docs.svix.com/receiving/verifying-payloads/how-manual
VECTOR_KEY = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
VECTOR_S = 1_614_265_330

NOW_S = 1_790_000_000
OLD, NEW = (Secret(f"whsec_{base64.b64encode(letter * 24).decode()}") for letter in (b"o", b"n"))
COMPLETED = {"id": "evt_1", "object": "event", "type": "response.completed", "data": {"id": "resp_1"}}


def callback(provider: str) -> Callback:
    found = provider_named(provider).callback
    assert found is not None
    return found


def heard(event: Any, provider: str = "openai", *, by: Secret = NEW, known: tuple[Secret, ...] = (NEW,)) -> News | None:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return callback(provider).verify(signed_headers("msg_1", NOW_S, body, [by]), body, known, NOW_S)


def test_the_published_vector() -> None:
    signed = signature_of(VECTOR["webhook-id"], VECTOR["webhook-timestamp"], VECTOR_BODY, VECTOR_KEY)
    assert signed == VECTOR["webhook-signature"]
    silent = StandardCallback({}, {})
    body = b'{"type": "test"}'
    with pytest.raises(InvalidSignature):
        silent.verify(VECTOR, body, [VECTOR_KEY], VECTOR_S)
    with pytest.raises(UnreadableBody):  # it is believed, and is no event
        silent.verify(VECTOR, VECTOR_BODY, [VECTOR_KEY], VECTOR_S)


@pytest.mark.parametrize(
    ("provider", "event", "news"),
    [
        ("openai", COMPLETED, News("resp_1", "completed")),
        ("openai", {**COMPLETED, "type": "response.incomplete"}, News("resp_1", "completed")),
        ("openai", {**COMPLETED, "type": "response.failed"}, News("resp_1", "failed")),
        ("openai", {**COMPLETED, "type": "response.cancelled"}, News("resp_1", "cancelled")),
        ("openai", {"type": "realtime.call.incoming", "data": {"call_id": "c"}}, None),
        ("google", {"type": "video.generated", "version": "v1", "data": {"id": "abc"}}, News("abc", "completed")),
        ("google", {"type": "video.generated", "data": {"id": "models/veo/operations/abc"}}, News("abc", "completed")),
        ("google", {"type": "batch.succeeded", "data": {"id": "batch_1"}}, None),
    ],
)
def test_what_a_provider_says(provider: str, event: dict[str, Any], news: News | None) -> None:
    assert heard(event, provider) == news


@pytest.mark.parametrize("by", [OLD, NEW])
def test_while_a_secret_is_replaced_both_are_good(by: Secret) -> None:
    assert heard(COMPLETED, by=by, known=(OLD, NEW)) == News("resp_1", "completed")
    body = json.dumps(COMPLETED).encode()
    both = signed_headers("msg_1", NOW_S, body, [OLD, NEW])
    assert callback("openai").verify(both, body, [by], NOW_S) == News("resp_1", "completed")


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": str(NOW_S + 1)},
        {"webhook-timestamp": "9" * 5_000},
        {"webhook-timestamp": "²"},
        {"webhook-timestamp": "-1"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ü"},
        {"webhook-signature": "v1a,AAAA v2,AAAA"},
    ],
)
def test_nothing_else_is_believed(changed: dict[str, str]) -> None:
    body = json.dumps(COMPLETED).encode()
    headers = {**signed_headers("msg_1", NOW_S, body, [NEW]), **changed}
    with pytest.raises(InvalidSignature):
        callback("openai").verify(headers, body, [NEW], NOW_S)


def test_another_body_another_key_and_no_header_are_not_believed() -> None:
    body = json.dumps(COMPLETED).encode()
    headers = signed_headers("msg_1", NOW_S, body, [NEW])
    for given, sent, known in (
        (headers, body + b" ", [NEW]),
        (headers, body, [OLD]),
        ({}, body, [NEW]),
        (headers, body, []),
    ):
        with pytest.raises(InvalidSignature):
            callback("openai").verify(given, sent, known, NOW_S)


@pytest.mark.parametrize("off_s", [-TOLERANCE_S, TOLERANCE_S])
def test_what_was_recorded_is_not_believed_for_long(off_s: int) -> None:
    body = json.dumps(COMPLETED).encode()
    headers = signed_headers("msg_1", NOW_S + off_s, body, [NEW])
    assert callback("openai").verify(headers, body, [NEW], NOW_S) is not None
    further = signed_headers("msg_1", NOW_S + off_s + (1 if off_s > 0 else -1), body, [NEW])
    with pytest.raises(InvalidSignature):
        callback("openai").verify(further, body, [NEW], NOW_S)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"type": 1}',
        b'{"type": "response.completed"}',
        b'{"type": "response.completed", "data": {"id": ""}}',
        json.dumps({"type": "response.completed", "data": {"id": "x" * 513}}).encode(),
    ],
)
def test_what_is_signed_and_says_nothing(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        heard(body)


def test_news_has_the_name_that_the_provider_gave() -> None:
    assert callback("openai").name_of("resp_1") == "resp_1"
    assert callback("google").name_of("models/veo/operations/abc") == last_part("abc") == "abc"


KEPT_S = {
    # https://ai.google.dev/gemini-api/docs/video: generated videos are stored for two days.
    ("google", "videos"): 2 * 86_400,
    # https://developers.openai.com/api/docs/guides/background: with store=false for about ten minutes.
    ("openai", "chat"): 600,
}
"""How long a provider keeps what it has made, by the work."""


def test_nobody_waits_to_be_called_until_what_was_made_is_gone() -> None:
    """A message may be lost: then there has to be time for a look, and for others when that fails."""
    calling = {name: provider_named(name).callback for name in provider_names()}
    waits_s = {(name, kind): s for name, found in calling.items() if found for kind, s in found.waits_s.items()}
    assert waits_s.keys() == KEPT_S.keys()
    assert {work: s for work, s in waits_s.items() if s > KEPT_S[work] / 2} == {}


def test_who_calls_back_for_what() -> None:
    calling = {name: provider_named(name).callback for name in sorted(provider_names())}
    waits = {name: set(found.waits_s) for name, found in calling.items() if found is not None}
    assert waits == {"google": {"videos"}, "openai": {"chat"}}
    [named] = [one for one in document()["paths"][ROUTE]["post"]["parameters"] if one["in"] == "path"]
    assert named["schema"]["enum"] == sorted(waits)
    for name, found in calling.items():
        if isinstance(found, StandardCallback):
            [row] = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` |")]
            assert row.endswith(f"| {', '.join(f'`{event}`' for event in found.ends)} |")
