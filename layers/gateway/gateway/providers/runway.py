"""Runway, which makes nothing but pictures and videos. Source: https://docs.dev.runwayml.com/api (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.runway_tasks import RunwayTasks

PROVIDER = Provider(
    name="runway",
    base_url="https://api.dev.runwayml.com",
    videos={"videos": RunwayTasks()},
)
