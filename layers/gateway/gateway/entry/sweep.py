"""The sweep function: every minute, ends the holds of requests whose function died. The event says nothing.

Result: how many requests it ended, by outcome.
"""

from __future__ import annotations

import os
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.adapters.telemetry import name_the_lines
from gateway.entry.powertools import report
from gateway.entry.record_wiring import sweep_world
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.handler import EventHandler
from gateway.model.telemetry import SweptLine
from gateway.pipeline.sweep import sweep
from gateway.record_ports import SweepWorld

AT_MOST = 1_000
TO_END_S = 15.0
"""What the last request that a sweep begins may take."""


class SweepFunction(Struct, frozen=True):
    world: SweepWorld
    grace_s: float

    async def handle(self, _event: Any, invocation: Invocation) -> dict[str, Any]:
        """Raises GatewayError when it cannot begin: then the next minute's sweep tries."""
        name_the_lines({"lambda_request_id": invocation.request_id})
        until_s = invocation.deadline_s - TO_END_S
        swept = await sweep(self.world, grace_s=self.grace_s, at_most=AT_MOST, until_s=until_s)
        told = asdict(swept)
        report(SweptLine(lambda_request_id=invocation.request_id, **told))
        return told


def sweep_handler() -> EventHandler:
    """What Lambda calls."""
    return EventHandler(SweepFunction(sweep_world(), float(os.environ["GATEWAY_LOST_AFTER_S"])).handle)
