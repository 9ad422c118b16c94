"""The AWS calls of a chat request, answered from memory: key, ledger, provider key, events and shared health.

Every request must have the shape of a signed one; signatures themselves are tested elsewhere (tests/unit).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import threading
from types import TracebackType
from typing import Any, Self

TABLE, LEDGER, HEALTH = "bench-tenants", "bench-ledger", "bench-health"
STACK, REGION = "bench", "us-east-1"
ACCESS_KEY_ID = "AKIDBENCH"
API_KEY = "gwk_" + "b" * 43
_TENANT = "acme"
_SIGNED = re.compile(
    rb"authorization: AWS4-HMAC-SHA256 Credential=AKIDBENCH/\d{8}/us-east-1/"
    rb"(dynamodb|secretsmanager|events)/aws4_request, "
    rb"SignedHeaders=[a-z;-]*host;[a-z0-9;-]*x-amz-date[a-z;-]*, Signature=[0-9a-f]{64}\r\n",
    re.IGNORECASE,
)
_SET = re.compile(r"(#\d+) = (:\d+)")
_HEADERS = {
    name: re.compile(rb"\r\n%b: *([^\r]+)" % name, re.IGNORECASE) for name in (b"content-length", b"x-amz-target")
}


class AwsStandIn:
    """Listens on loopback until the block ends; each connection has a thread."""

    def __init__(self, provider_base_url: str) -> None:
        self.requests = 0
        self._secret = json.dumps({"api_key": "sim-openai", "base_url": provider_base_url})
        self._items = _items()
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept; close alone does not
        self._listener.close()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:  # closed
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        received = b""
        with peer, contextlib.suppress(ConnectionError):  # a function that is ended resets its connections
            while data := peer.recv(65_536):
                received += data
                head, blank, body = received.partition(b"\r\n\r\n")
                if not blank or len(body) < int(_header(head, b"content-length")):
                    continue
                received = b""
                self.requests += 1
                status, answer = self.answer(head + b"\r\n", body)
                content = json.dumps(answer).encode()
                peer.sendall(b"HTTP/1.1 %d AWS\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content)

    def answer(self, head: bytes, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON document for one request; `head` ends with a line break."""
        if not _SIGNED.search(head):
            return 403, {"__type": "MissingAuthenticationToken"}
        request = json.loads(body)
        operation = _header(head, b"x-amz-target").rpartition(b".")[2]
        if operation == b"GetSecretValue" and request["SecretId"] == f"{STACK}/providers/openai":
            return 200, {"SecretString": self._secret}
        if operation == b"BatchGetItem" and set(request["RequestItems"]) == {TABLE}:
            wanted = [key["pk"]["S"] for key in request["RequestItems"][TABLE]["Keys"]]
            return 200, {"Responses": {TABLE: [self._items[pk] for pk in wanted if pk in self._items]}}
        if operation == b"UpdateItem" and request["TableName"] == LEDGER:
            return 200, {"Attributes": _set_by(request)}
        if operation in (b"UpdateItem", b"Query") and request["TableName"] == HEALTH:
            return 200, {"Items": []}
        if operation == b"PutEvents":
            return 200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in request["Entries"]]}
        return 400, {"__type": "ValidationException"}


def _set_by(update: dict[str, Any]) -> dict[str, Any]:
    """What the update itself says that it sets, so the hold too; nobody's counters, which therefore have no limit."""
    names, values = update["ExpressionAttributeNames"], update["ExpressionAttributeValues"]
    return {names[name]: values[value] for name, value in _SET.findall(update["UpdateExpression"])}


def _header(head: bytes, name: bytes) -> bytes:
    found = _HEADERS[name].search(head)
    return found[1] if found else b"0"


def _items() -> dict[str, dict[str, Any]]:
    key = f"K#{hashlib.sha256(API_KEY.encode()).hexdigest()}"
    holder = {"id": "key_1", "tenant_id": _TENANT, "user_id": "alice"}
    limits = [{"requests_per_minute": 1_000_000, "tokens_per_minute": 10**12, "concurrent_requests": 1_000}]
    allowance = {"limits": limits, "budgets": [{"window": "day", "usd": 1_000_000}]}
    tenant = {"id": _TENANT, "name": "Acme", "approvals": ["*"], "allowance": allowance, "user_allowance": allowance}
    return {
        key: {"pk": {"S": key}, "sk": {"S": "K"}, "document": {"S": json.dumps(holder)}},
        f"T#{_TENANT}": {"pk": {"S": f"T#{_TENANT}"}, "sk": {"S": "T"}, "document": {"S": json.dumps(tenant)}},
    }
