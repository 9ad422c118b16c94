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
    return attempt_at(job.remote.provider, job.remote.model, job, world)


def attempt_at(provider_name: str, model: str, job: Job, world: World) -> Attempt:
    """As `attempt_of`, at any provider that was asked for that job."""
    provider = provider_named(provider_name)
    wires: dict[str, Any] = provider.videos if job.operation == "videos" else provider.background
    found = world.catalog.find(provider.name, model)
    facts = found or ModelFacts(id=model, name=model, api="")
    trace = Trace(job.facts["trace_id"], is_sampled=False)
    route: AnyRoute = Route(provider, facts, wires.get(facts.api) or next(iter(wires.values()), None))
    key_of = job.tenant_id if job.remote is not None and job.remote.own_key else None
    return Attempt(route, world.clock.monotonic_s(), trace.headers(), key_of=key_of)
