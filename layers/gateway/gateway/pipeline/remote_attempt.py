"""To ask a job's provider once more for what it has begun."""

from __future__ import annotations

from typing import Any

from gateway.model.catalog import ModelFacts
from gateway.model.job import Job
from gateway.model.trace import Trace
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.route import AnyRoute, Route
from gateway.ports import World
from gateway.providers.lookup import provider_named


def attempt_of(job: Job, world: World) -> Attempt:
    """By the model as the catalog has it now, or by its name alone."""
    assert job.remote is not None  # noqa: S101 - it is known what was to begin
    provider = provider_named(job.remote.provider)
    wires: dict[str, Any] = provider.videos if job.operation == "videos" else provider.background
    found = world.catalog.find(provider.name, job.remote.model)
    facts = found or ModelFacts(id=job.remote.model, name=job.remote.model, api="")
    trace = Trace(job.facts["trace_id"], is_sampled=False)
    route: AnyRoute = Route(provider, facts, wires.get(facts.api) or next(iter(wires.values())))
    key_of = job.tenant_id if job.remote.own_key else None
    return Attempt(route, world.clock.monotonic_s(), trace.headers(), key_of=key_of)
