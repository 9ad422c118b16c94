"""The last requests as received and when each part of their replies was sent. Bounded in entries and in bytes."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from local.simulators.http1 import Request

MAX_ENTRIES = 200
MAX_KEPT_BODY_BYTES = 64 * 1024
MAX_MARKS = 2000
MAX_MESSAGES = 500
MAX_MESSAGE_TEXT = 200
FREQUENT_MARKS = ("chunk", "event")

_SECRET_HEADERS = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"}
)
_SECRET_QUERY = re.compile(r"(?<=[?&]key=)[^&]*")
_EPOCH_OFFSET_S = time.time() - time.monotonic()


def mask(value: str) -> str:
    """`Bearer sim-abc` -> `Bearer sim-***`: enough to tell two kinds of key apart, not to use one."""
    scheme, blank, key = value.rpartition(" ")
    return f"{scheme}{blank}{key[:4]}***"


@dataclass(slots=True)
class Entry:
    """One request and the marks of its reply: (kind, monotonic seconds). ``file``: what it did to an uploaded one.

    ``messages``: what the client said over a WebSocket, long texts cut.
    """

    sequence: int
    provider: str
    request: Request
    size_bytes: int
    notify: Callable[[], None]
    id: str = ""
    model: str = ""
    file: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] | None = None
    status: int = 0
    marks: list[tuple[str, float]] = field(default_factory=list)
    dropped_marks: int = 0
    ended: bool = False

    def mark(self, kind: str) -> None:
        """Note that something happened now; whoever waits for more than the next chunk is woken."""
        if len(self.marks) < MAX_MARKS:
            self.marks.append((kind, time.monotonic()))
        else:
            self.dropped_marks += 1
        if kind not in FREQUENT_MARKS:
            self.notify()

    def hear(self, message: Any) -> None:
        """Note a message of a WebSocket."""
        self.messages = self.messages if self.messages is not None else []
        if len(self.messages) < MAX_MESSAGES:
            self.messages.append(_cut(message))

    def has(self, kind: str) -> bool:
        """Whether this has happened; nothing more will happen to an exchange that has ended."""
        return self.ended or any(name == kind for name, _ in self.marks)

    def summary(self) -> dict[str, Any]:
        """The request as the control API shows it: keys masked, JSON bodies parsed, long bodies cut."""
        headers = {k: mask(v) if k in _SECRET_HEADERS else v for k, v in self.request.headers.items()}
        return {
            "sequence": self.sequence,
            "id": self.id,
            "provider": self.provider,
            "model": self.model,
            "method": self.request.method,
            "path": _SECRET_QUERY.sub("***", self.request.target),
            "headers": headers,
            "body": self._body(),
            "body_bytes": self.size_bytes,
            "file": self.file or None,
            "messages": self.messages,
            "status": self.status,
            "ended": self.ended,
        }

    def timeline(self) -> dict[str, Any]:
        """When each part of the reply left; `monotonic_s` compares across processes of one machine on Linux."""
        events = [{"kind": k, "monotonic_s": at, "epoch_s": at + _EPOCH_OFFSET_S} for k, at in self.marks]
        return {
            "sequence": self.sequence,
            "id": self.id,
            "status": self.status,
            "ended": self.ended,
            "events": events,
            "dropped_events": self.dropped_marks,
        }

    def _body(self) -> Any:
        if self.size_bytes <= MAX_KEPT_BODY_BYTES:
            try:
                return msgspec.json.decode(self.request.body) if self.request.body else None
            except msgspec.DecodeError:
                pass
        return self.request.body.decode("utf-8", "replace")


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_MESSAGE_TEXT:
        return f"{value[:MAX_MESSAGE_TEXT]}... {len(value)} characters"
    if isinstance(value, dict):
        return {name: _cut(inner) for name, inner in value.items()}
    return [_cut(inner) for inner in value] if isinstance(value, list) else value


class Journal:
    """The request log. ``changed`` wakes those who wait for an entry to appear or to end."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._sequence = 0
        self.posted = 0
        """POSTs since the start, cleared ones included: what was asked for, without the looks at what becomes of it."""
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def received(self) -> int:
        """Requests since the start, cleared ones included."""
        return self._sequence

    def open(self, provider: str, request: Request) -> Entry:
        """Log a request on arrival. Only the first 64 KiB of its body stay in memory."""
        self._sequence += 1
        self.posted += request.method == "POST"
        size_bytes = len(request.body)
        kept = request
        if size_bytes > MAX_KEPT_BODY_BYTES:
            kept = Request(request.method, request.target, request.headers, request.body[:MAX_KEPT_BODY_BYTES])
        entry = Entry(self._sequence, provider, kept, size_bytes, self.wake)
        entry.id = request.headers.get("x-sim-id", "")[:64] or str(self._sequence)
        self._entries.append(entry)
        entry.mark("received")
        return entry

    def close(self, entry: Entry) -> None:
        """The exchange is over, however it ended."""
        entry.ended = True
        self.wake()

    def wake(self) -> None:
        """Let every waiter look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def last(self, provider: str | None, method: str | None, limit: int) -> list[Entry]:
        """The newest entries, oldest of them first."""
        found = [
            entry
            for entry in self._entries
            if provider in (None, entry.provider) and method in (None, entry.request.method)
        ]
        return found[-limit:] if limit else []

    def find(self, key: str) -> Entry | None:
        """The newest entry with this id or sequence number."""
        return next((e for e in reversed(self._entries) if key in (e.id, str(e.sequence))), None)

    async def wait_for(self, key: str, kind: str, timeout_s: float) -> Entry | None:
        """The entry once it has a mark (any but chunk and event); what there is, perhaps None, after the timeout."""
        deadline = time.monotonic() + timeout_s
        while True:
            entry = self.find(key)
            if entry and entry.has(kind):
                return entry
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            done, _ = await asyncio.wait({waiter}, timeout=max(0.0, deadline - time.monotonic()))
            if not done:
                self._waiters.discard(waiter)
                return self.find(key)

    def clear(self) -> None:
        """Forget the entries; sequence numbers go on."""
        self._entries.clear()
