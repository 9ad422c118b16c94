"""Webhooks of providers that sign by Standard Webhooks and say {"type": …, "data": {"id": …}}.

Sources: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md,
https://platform.openai.com/docs/guides/webhooks, https://ai.google.dev/gemini-api/docs/webhooks (2026-11).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.model.callback import Kind, News
from gateway.model.errors import InvalidSignature, UnreadableBody
from gateway.model.secret import Secret
from gateway.model.standard_webhooks import signature_of

TOLERANCE_S = 300
"""How old a message may be, or how far ahead its clock: what is older was recorded and sent again."""


class Subject(Struct):
    id: Annotated[str, Meta(min_length=1, max_length=512)]


class Event(Struct):
    type: str
    data: Raw = Raw(b"{}")


def last_part(remote_id: str) -> str:
    """Of a resource's name: "models/m/operations/o" is "o", however much of it the news quotes."""
    return remote_id.rpartition("/")[2]


class StandardCallback(msgspec.Struct, frozen=True):
    """`ends`: the events that tell of an end. `name_of`: of an id here and in the news alike."""

    waits_s: Mapping[str, int]
    ends: Mapping[str, Kind]
    name_of: Callable[[str], str] = msgspec.field(default=str)

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now_s: float) -> News | None:
        if not _is_of_now(headers.get("webhook-timestamp", ""), now_s) or not _is_signed(headers, body, secrets):
            raise InvalidSignature
        try:
            event = msgspec.json.decode(body, type=Event)
            kind = self.ends.get(event.type)
            if kind is None:
                return None
            return News(self.name_of(msgspec.json.decode(event.data, type=Subject).id), kind)
        except msgspec.DecodeError:
            raise UnreadableBody("The message is signed and cannot be read.") from None


def _is_of_now(sent_s: str, now_s: float) -> bool:
    return sent_s.isascii() and sent_s.isdecimal() and len(sent_s) <= 12 and abs(now_s - int(sent_s)) <= TOLERANCE_S


def _is_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret]) -> bool:
    """Every secret is tried on every signature: there are several of both while one secret takes over from another."""
    message_id, sent_s = headers.get("webhook-id", ""), headers["webhook-timestamp"]
    good = [signature_of(message_id, sent_s, body, secret).encode() for secret in secrets]
    given = [signature.encode() for signature in headers.get("webhook-signature", "").split(" ")]
    return bool(message_id) and any([hmac.compare_digest(one, other) for one in good for other in given])
