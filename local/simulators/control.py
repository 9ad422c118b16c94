"""The control API under /_sim: what was received, when it was answered, armed faults, gates, webhook receivers."""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from local.simulators.armed import ArmedFaults, Gates
from local.simulators.callbacks import CALLBACKS, Destination
from local.simulators.http1 import Request
from local.simulators.journal import MAX_ENTRIES, Journal
from local.simulators.switches import SwitchError
from local.simulators.webhooks import Behaviour, Webhooks
from local.simulators.wire import KEY_PREFIX, WITHDRAWN

MAX_WAIT_S = 60.0
NOT_FOUND = 404, {"sim_error": "no such control route or entry"}
Answered = tuple[int, dict[str, Any]]


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /_sim/faults; ``fault`` is written like a directive, without the brackets."""

    provider: str
    fault: str
    model: str | None = None
    count: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Control:
    """Routes of the control API. No key: the simulators listen on the loopback address only."""

    def __init__(
        self, journal: Journal, faults: ArmedFaults, gates: Gates, webhooks: Webhooks, providers: list[str]
    ) -> None:
        self._journal = journal
        self._webhooks = webhooks
        self._faults = faults
        self._gates = gates
        self._providers = providers
        self._routes: dict[str, Callable[[str, str, dict[str, str], bytes], Awaitable[Answered]]] = {
            "health": self._health,
            "requests": self._requests,
            "timeline": self._timeline,
            "faults": self._fault,
            "gates": self._gate,
            "hooks": self._hook,
            "callbacks": self._callback,
            "keys": self._key,
        }

    async def answer(self, request: Request) -> Answered:
        """Status and JSON body for a control request."""
        route, _, name = request.path.removeprefix("/_sim/").partition("/")
        handle = self._routes.get(route)
        if handle is None:
            return NOT_FOUND
        try:
            return await handle(request.method, name, dict(parse_qsl(request.query)), request.body)
        except (msgspec.MsgspecError, SwitchError, ValueError) as error:
            return 400, {"sim_error": str(error)}

    async def _health(self, _method: str, _name: str, _query: dict[str, str], _body: bytes) -> Answered:
        return 200, {
            "status": "ok",
            "pid": os.getpid(),
            "cpu_s": time.process_time(),
            "received": self._journal.received,
            "posted": self._journal.posted,
            "providers": self._providers,
        }

    async def _requests(self, method: str, _name: str, query: dict[str, str], _body: bytes) -> Answered:
        if method == "DELETE":
            self._journal.clear()
            return 200, {"requests": []}
        limit = min(int(query.get("limit", "50")), MAX_ENTRIES)
        entries = self._journal.last(query.get("provider"), query.get("method"), limit)
        return 200, {"requests": [entry.summary() for entry in entries]}

    async def _timeline(self, _method: str, name: str, query: dict[str, str], _body: bytes) -> Answered:
        """With ``wait=<mark>`` the answer comes when that has happened, or all is over, or after ``timeout_s``."""
        wait = query.get("wait")
        if wait:
            timeout_s = min(float(query.get("timeout_s", "10")), MAX_WAIT_S)
            entry = await self._journal.wait_for(name, wait, timeout_s)
        else:
            entry = self._journal.find(name)
        return (200, entry.timeline()) if entry else NOT_FOUND

    async def _fault(self, method: str, _name: str, _query: dict[str, str], body: bytes) -> Answered:
        if method == "DELETE":
            self._faults.clear()
        elif method == "POST":
            order = msgspec.json.decode(body, type=FaultOrder)
            if order.provider not in ("*", *self._providers):
                raise ValueError(f"unknown provider {order.provider}")
            self._faults.arm(order.provider, order.model, order.fault, order.count)
        return 200, {"faults": self._faults.listing()}

    async def _hook(self, method: str, name: str, _query: dict[str, str], body: bytes) -> Answered:
        if method == "POST":
            self._webhooks.set_up(name, msgspec.json.decode(body, type=Behaviour))
        received = self._webhooks.received(name)
        return NOT_FOUND if received is None else (200, {"hook": name, "received": received})

    async def _callback(self, method: str, name: str, _query: dict[str, str], body: bytes) -> Answered:
        if method != "POST" or name not in self._providers:
            return NOT_FOUND
        CALLBACKS.set_up(name, msgspec.json.decode(body, type=Destination))
        return 200, {"callbacks": name}

    async def _key(self, method: str, name: str, _query: dict[str, str], _body: bytes) -> Answered:
        if not name.startswith(KEY_PREFIX):
            return NOT_FOUND
        (WITHDRAWN.add if method == "POST" else WITHDRAWN.discard)(name)
        return 200, {"key": name, "withdrawn": name in WITHDRAWN}

    async def _gate(self, method: str, name: str, _query: dict[str, str], _body: bytes) -> Answered:
        held = self._gates.waiting.get(name, 0)
        if method == "POST":
            held = self._gates.open(name)
        elif method == "DELETE":
            self._gates.reset(name)
        return 200, {"gate": name, "waiting": held, "open": self._gates.is_open(name)}
