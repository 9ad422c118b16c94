"""Batches that simulated providers work through: a part of the items a look, the last ones first.

Switches in any of the items are the batch's: ``looks=2`` looks find it unfinished, ``gate=NAME`` holds that item until
the gate opens, ``batch=expired`` ends it with what was done by the last look, ``batch=failed`` before anything is done.
All others are those of the item, which is answered as the same request by itself would be.
"""

import itertools
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from local.simulators.http1 import Request
from local.simulators.switches import SwitchError, Switches, build, parse_settings
from local.simulators.wire import JSON_HEADERS, Api, Asked, Filed, Json, Refused, Reply, encode

MAX_BATCHES = 100
MAX_KEPT_BYTES = 128 * 1024 * 1024
"""Of all batches of one provider, requests and answers."""
State = Literal["pending", "running", "cancelling", "completed", "failed", "expired", "cancelled"]
OF_THE_BATCH = ("looks", "gate", "batch")
_DIRECTIVE = re.compile(rb'\[\[([^\[\]"]*)\]\]')


@dataclass(slots=True)
class Item:
    """``ask``: the body of its request. ``answer``: None until it is done, and of one that never was."""

    name: str
    ask: bytes
    gate: str | None = None
    answer: Reply | None = None


Answering = Callable[[bytes], Reply]


@dataclass(slots=True)
class Batch:
    """``done``: in the order in which they were. ``facts``: what its provider says of it, unchanged."""

    id: str
    items: list[Item]
    answering: Answering
    looks: int
    ends: str | None
    facts: Json
    state: State = "pending"
    looked: int = 0
    done: list[Item] = field(default_factory=list)
    made_s: int = field(default_factory=lambda: int(time.time()))

    @property
    def is_over(self) -> bool:
        return self.state in ("completed", "failed", "expired", "cancelled")

    @property
    def failed(self) -> int:
        """Items whose answer is a refusal."""
        return sum(1 for item in self.done if item.answer and item.answer.status >= 400)

    @property
    def undone(self) -> list[Item]:
        return [item for item in self.items if item.answer is None]

    @property
    def size_bytes(self) -> int:
        return sum(len(item.ask) + (len(item.answer.body) if item.answer else 0) for item in self.items)

    def looked_at(self, is_open: Callable[[str], bool]) -> None:
        """A look finds more of it done, and perhaps all."""
        if self.is_over:
            return
        if self.state == "cancelling":
            self.state = "cancelled"
        elif self.ends == "failed":
            self.state = "failed"
        else:
            self._work(is_open)

    def _work(self, is_open: Callable[[str], bool]) -> None:
        self.looked += 1
        is_last = self.looked > self.looks
        self.state = "running"
        if is_last and self.ends == "expired":
            self.state = "expired"
            return
        wanted = len(self.items) * self.looked // (self.looks + 1) if not is_last else len(self.items)
        for item in reversed(self.items):
            if len(self.done) >= wanted:
                break
            if item.answer is None and (item.gate is None or is_open(item.gate)):
                item.answer = self.answering(item.ask)
                self.done.append(item)
        if is_last and not self.undone:
            self.state = "completed"

    def cancel(self) -> None:
        """Of one that is over nothing changes."""
        if not self.is_over:
            self.state = "cancelling"


def _no_gate(_name: str) -> bool:
    return False


class BatchStore:
    """Batches of one provider by id, oldest first."""

    gate_is_open: Callable[[str], bool] = staticmethod(_no_gate)
    """Of all stores; whoever has the gates says it."""

    def __init__(self) -> None:
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._numbers = itertools.count(1)

    def add(self, items: list[tuple[str, bytes]], answering: Answering, facts: Json) -> Batch:
        """Raises Refused for a switch that is none."""
        switches = [_switches(ask) for _, ask in items]
        made = [Item(name, ask, said.gate if said else None) for (name, ask), said in zip(items, switches, strict=True)]
        told = [said for said in switches if said is not None]
        looks = max((said.looks for said in told), default=1)
        ends = next((said.batch for said in told if said.batch), None)
        batch = Batch(f"simbatch{next(self._numbers):08d}", made, answering, looks, ends, facts)
        self._batches[batch.id] = batch
        while len(self._batches) > 1 and (len(self._batches) > MAX_BATCHES or self._kept_bytes > MAX_KEPT_BYTES):
            self._batches.popitem(last=False)
        return batch

    @property
    def _kept_bytes(self) -> int:
        return sum(batch.size_bytes for batch in self._batches.values())

    def find(self, name: str) -> Batch | None:
        """None when it was never there, or is no longer."""
        return self._batches.get(name)

    def look(self, name: str) -> Batch | None:
        batch = self.find(name)
        if batch is not None:
            batch.looked_at(BatchStore.gate_is_open)
        return batch

    def newest(self) -> list[Batch]:
        return list(reversed(self._batches.values()))

    def delete(self, name: str) -> None:
        self._batches.pop(name, None)


def _switches(ask: bytes) -> Switches | None:
    """Those of the batch that stand in an item. Raises Refused for one that is none."""
    settings: dict[str, str] = {}
    for found in _DIRECTIVE.findall(ask):
        said = parse_settings(found.decode("utf-8", "replace"))
        settings |= {name: value for name, value in said.items() if name in OF_THE_BATCH}
    if not settings:
        return None
    try:
        return build(settings)
    except SwitchError as error:
        raise Refused("wrong_type", str(error)) from None


def answered(api: Api, path: str, headers: dict[str, str], body: bytes) -> Reply:
    """What the provider says to this body at that path."""
    try:
        call = api.read(Request("POST", path, headers, body), path)
        return reply_to(api, call) if isinstance(call, Asked) else api.refuse(NO_ITEM)
    except Refused as refused:
        return api.refuse(refused)


NO_ITEM = Refused("unsupported_parameter", "That cannot be in a batch.", param="stream")


def reply_to(api: Api, call: Asked) -> Reply:
    """The whole answer to a checked request, or the refusal that its switches ask for."""
    try:
        switches = build(call.settings)
    except SwitchError as error:
        return Reply(400, JSON_HEADERS, encode({"sim_error": str(error)}))
    if call.stream:
        return api.refuse(NO_ITEM)
    if switches.status:
        failed = Refused("fault", "Simulated failure of an item.", status=switches.status, code=switches.code)
        return api.refuse(failed)
    return Reply(200, JSON_HEADERS, call.say(switches).body())


def raw_lines(values: list[Json]) -> bytes:
    """JSON lines; bodies in them may be ready already (``msgspec.Raw``)."""
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)


def noted(batch: Batch) -> Json:
    """For the request log."""
    return {"id": batch.id, "state": batch.state, "items": len(batch.items), "done": len(batch.done)}


def told(body: Json, batch: Batch, headers: list[tuple[str, str]] = JSON_HEADERS) -> Filed:
    """The provider's words for a batch."""
    return Filed(Reply(200, headers, encode(body)), noted(batch))
