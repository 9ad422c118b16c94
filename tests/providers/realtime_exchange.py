"""A realtime session with a provider that says what the test wants."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gateway.model.catalog import ModelFacts
from gateway.model.realtime import ProviderEvent
from gateway.pipeline.realtime_read import read_event
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Carried, Opening, RealtimeSession, RealtimeWire, Step
from gateway.providers.lookup import provider_named, realtime_wire

SAMPLES_100_MS = "AAAA" * 1600
"""100 ms of PCM at 24 kHz, in base64."""


def target_of(provider: str, **facts: Any) -> Target:
    known = provider_named(provider)
    assert known.base_url is not None
    row = {"id": "m", "name": "M", "api": "realtime", "source": "https://example.com", "output": ("audio",), **facts}
    return Target(provider=provider, model=ModelFacts(**row), base_url=known.base_url)


def wire_of(provider: str) -> RealtimeWire:
    wire = realtime_wire(provider_named(provider), "realtime")
    assert wire is not None
    return wire


@dataclass
class Session:
    """`sent`: what went to the provider. `events`: what the client got. `steps`: all of them."""

    session: RealtimeSession
    sent: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def open(self) -> Session:
        self._carry_out(self.session.open())
        return self

    def says(self, event: dict[str, Any]) -> Step:
        """The client."""
        read = read_event(json.dumps(event).encode())
        assert isinstance(read, ProviderEvent)
        return self._carry_out(self.session.send(read))

    def hears(self, *messages: dict[str, Any]) -> list[dict[str, Any]]:
        """From the provider; the events that follow."""
        before = len(self.events)
        for message in messages:
            self._carry_out(self.session.receive(json.dumps(message)))
        return self.events[before:]

    @property
    def names(self) -> list[str]:
        return [event["type"] for event in self.events]

    def _carry_out(self, step: Step) -> Step:
        self.steps.append(step)
        self.sent += [json.loads(message) for message in step.messages]
        self.events += step.events
        return step


def begin(provider: str, *, carried: Carried | None = None, target: Target | None = None) -> Session:
    opening = Opening(session_id="sess_gw", model_name="voice", carried=carried)
    return Session(wire_of(provider).session(opening, target or target_of(provider))).open()
