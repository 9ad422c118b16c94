"""Receivers of webhooks: `/_hooks/NAME`. Each checks signatures as Standard Webhooks says and answers as it was told.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from local.simulators.http1 import Request
from local.simulators.wire import JSON_HEADERS, Headers

MAX_RECEIVERS = 256
MAX_KEPT = 50
TOLERANCE_S = 300
PREFIX = "whsec_"


Status = Annotated[int, Meta(ge=200, le=599)]


class Behaviour(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /_sim/hooks/NAME. `answers`: by the stage that is asked about, else `answer`.

    `statuses`: of the first answers, before `status`. `raw`: the body of the answer as it is. `location`: where a
    redirect leads.
    """

    secret: str
    answer: Any = msgspec.field(default_factory=lambda: {"action": "allow"})
    answers: dict[str, Any] = {}
    status: Status = 200
    statuses: list[Status] = []
    delay_s: Annotated[float, Meta(ge=0, le=60)] = 0
    raw: str | None = None
    location: str | None = None


@dataclass(slots=True)
class Receiver:
    """`received`: the last messages, with what their signatures are worth. `answered`: how many were good."""

    behaviour: Behaviour
    answered: int = 0
    received: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))


class Webhooks:
    """All receivers. One that nobody set up is not there."""

    def __init__(self) -> None:
        self._receivers: OrderedDict[str, Receiver] = OrderedDict()

    def set_up(self, name: str, behaviour: Behaviour) -> None:
        """Anew: what was received under this name is forgotten."""
        self._receivers.pop(name, None)
        self._receivers[name] = Receiver(behaviour)
        while len(self._receivers) > MAX_RECEIVERS:
            self._receivers.popitem(last=False)

    def received(self, name: str) -> list[dict[str, Any]] | None:
        receiver = self._receivers.get(name)
        return None if receiver is None else list(receiver.received)

    async def answer(self, name: str, request: Request) -> tuple[int, Headers, bytes]:
        """401 for a message whose signature is not good."""
        receiver = self._receivers.get(name)
        if receiver is None or request.method != "POST":
            return 404, JSON_HEADERS, b"{}"
        behaviour = receiver.behaviour
        problem = _problem(request, behaviour.secret)
        body = request.body.decode("utf-8", "replace")
        receiver.received.append({"headers": request.headers, "body": body, "problem": problem})
        if problem is not None:
            return 401, JSON_HEADERS, msgspec.json.encode({"problem": problem})
        receiver.answered += 1
        first = behaviour.statuses[receiver.answered - 1 : receiver.answered]
        await asyncio.sleep(behaviour.delay_s)
        headers = [*JSON_HEADERS, *([("location", behaviour.location)] if behaviour.location else [])]
        said = behaviour.answers.get(msgspec.json.decode(request.body).get("stage"), behaviour.answer)
        [status] = first or [behaviour.status]
        return status, headers, msgspec.json.encode(said) if behaviour.raw is None else behaviour.raw.encode()


def _problem(request: Request, secret: str) -> str | None:
    """Why the message is not to be believed."""
    values = [request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
    message_id, timestamp, signatures = values
    if not all(values):
        return "a header is missing"
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return "the timestamp is not of now"
    good = signature_of(secret, message_id, timestamp, request.body)
    if not any(hmac.compare_digest(good, signature) for signature in signatures.split(" ")):
        return "no signature is good"
    return None


def signature_of(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
