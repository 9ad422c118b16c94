"""What hooks are signed with, as the library of Standard Webhooks checks it."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from gateway.hooks.signature import read_secrets, signed_headers

OLD, NEW = (f"whsec_{base64.b64encode(letter * 24).decode()}" for letter in (b"o", b"n"))
BODY = '{"stage": "pre_call", "text": "ü"}'.encode()


def headers(secrets: str, body: bytes = BODY, sent_s: int | None = None) -> dict[str, str]:
    return signed_headers("msg_1", int(time.time()) if sent_s is None else sent_s, body, read_secrets(secrets))


def test_a_receiver_believes_it() -> None:
    assert Webhook(NEW).verify(BODY, headers(NEW)) == {"stage": "pre_call", "text": "ü"}


@pytest.mark.parametrize("known", [OLD, NEW])
def test_while_a_secret_is_replaced_both_are_good(known: str) -> None:
    Webhook(known).verify(BODY, headers(f"{NEW} {OLD}"))


@pytest.mark.parametrize(
    "forged", [headers(OLD), headers(NEW, b"{}"), headers(NEW, sent_s=1), {**headers(NEW), "webhook-id": "msg_2"}]
)
def test_nothing_else_is_believed(forged: dict[str, str]) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, forged)


@pytest.mark.parametrize("text", ["", "  ", "secret", "whsec_", "whsec_%%%", f"{NEW} secret"])
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        read_secrets(text)
