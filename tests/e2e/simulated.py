"""What simulated providers were asked for: POSTs alone, since jobs that earlier tests left are looked at any time."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.conftest import Gateway


def posted(local: Gateway) -> int:
    """How many POSTs came since the simulators began."""
    count: int = httpx.get(f"{local.simulators}/_sim/health").json()["posted"]
    return count


def posts(local: Gateway, **query: str | int) -> list[Any]:
    """The newest POSTs as `/_sim/requests` shows them, oldest first; ``query``: its `provider` and `limit`."""
    wanted = {"method": "POST", **query}
    found: list[Any] = (
        httpx.get(f"{local.simulators}/_sim/requests", params=wanted).raise_for_status().json()["requests"]
    )
    return found
