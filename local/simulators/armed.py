"""State that outlives one request: faults armed for the next N requests, and the gates that hold streams."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from local.simulators.switches import build, parse_settings

MAX_ARMED = 100
MAX_GATES = 256
GATE_TIMEOUT_S = 30.0


@dataclass(slots=True)
class ArmedFault:
    """Settings for the next ``remaining`` requests of a provider (`*`: any) and, if given, a model."""

    provider: str
    model: str | None
    settings: dict[str, str]
    remaining: int

    def matches(self, provider: str, model: str) -> bool:
        """Whether the next request of this provider and model is to fail."""
        return self.provider in ("*", provider) and self.model in (None, model)


class ArmedFaults:
    """Armed faults in order of arming; a request takes the first that matches."""

    def __init__(self) -> None:
        self._faults: list[ArmedFault] = []

    def arm(self, provider: str, model: str | None, fault: str, count: int) -> None:
        """Raises SwitchError for a fault that no request could carry, ValueError when too many are armed."""
        settings = parse_settings(fault)
        build(settings)
        if len(self._faults) >= MAX_ARMED:
            raise ValueError(f"more than {MAX_ARMED} armed faults")
        self._faults.append(ArmedFault(provider, model, settings, count))

    def take(self, provider: str, model: str) -> dict[str, str]:
        """Settings for this request, used up by one."""
        for fault in self._faults:
            if fault.matches(provider, model):
                fault.remaining -= 1
                if fault.remaining <= 0:
                    self._faults.remove(fault)
                return fault.settings
        return {}

    def listing(self) -> list[dict[str, Any]]:
        """What is armed now."""
        return [
            {"provider": f.provider, "model": f.model, "fault": f.settings, "remaining": f.remaining}
            for f in self._faults
        ]

    def clear(self) -> None:
        """Disarm everything."""
        self._faults.clear()


class Gates:
    """Named one-way doors. A gate that was opened stays open until it is reset."""

    def __init__(self) -> None:
        self._gates: OrderedDict[str, asyncio.Event] = OrderedDict()
        self.waiting: dict[str, int] = {}

    def _gate(self, name: str) -> asyncio.Event:
        if name not in self._gates:
            self._gates[name] = asyncio.Event()
            while len(self._gates) > MAX_GATES:
                self._gates.popitem(last=False)[1].set()
        return self._gates[name]

    async def wait(self, name: str) -> bool:
        """Hold until the gate opens. False when it did not open in 30 s."""
        self.waiting[name] = self.waiting.get(name, 0) + 1
        try:
            await asyncio.wait_for(self._gate(name).wait(), GATE_TIMEOUT_S)
        except TimeoutError:
            return False
        finally:
            self.waiting[name] -= 1
            if not self.waiting[name]:
                del self.waiting[name]
        return True

    def open(self, name: str) -> int:
        """Open a gate; returns how many streams it held."""
        held = self.waiting.get(name, 0)
        self._gate(name).set()
        return held

    def is_open(self, name: str) -> bool:
        """Whether a stream would pass now."""
        return name in self._gates and self._gates[name].is_set()

    def reset(self, name: str) -> None:
        """Forget a gate. Streams that it holds go on."""
        gate = self._gates.pop(name, None)
        if gate:
            gate.set()
