"""What log lines and metrics are called: the one place that knows.

Where OpenTelemetry's conventions for generative AI have a name it is theirs, as of v0.1.0
(https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0). What is our own
begins with `gateway.`; ids stand bare. The conventions are still in development: a newer version is a change of this
file and of `metrics.py`, and of the names that template.yaml repeats, which a test holds to them. Content attributes
(`gen_ai.input.messages`, `gen_ai.output.messages`, `gen_ai.system_instructions`, ...) have no field here, so none can
be written.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from gateway.model.errors import GatewayError
from gateway.model.provider_errors import ProviderFailure
from gateway.model.units import UnitName

NAMESPACE = "LlmGateway"

SERVICE = "service"
FUNCTION = "gateway.function"
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
OUTCOME = "gateway.outcome"
ERROR = "error.type"

# Where it is not our own: docs/gen-ai/client-inference.md of the conventions, well-known values.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}

Outcome: TypeAlias = Literal["ok", "client_error", "limited", "blocked", "provider_error", "gateway_error"]
Event: TypeAlias = Literal["request.completed", "request.failed"]
Level: TypeAlias = Literal["INFO", "WARNING", "ERROR"]

Trouble: TypeAlias = Literal[
    "access.by_memory",
    "admin_key.empty",
    "admin_key.unavailable",
    "batch.not_booked",
    "batch.not_cancelled",
    "batch.not_collected",
    "batch.not_looked_at",
    "batch.not_submitted",
    "batch.results_missing",
    "batch.unreadable",
    "callback.not_forgotten",
    "callback.not_woken",
    "callback_secrets.unavailable",
    "circuit.closed",
    "circuit.opened",
    "claim.not_ended",
    "credentials.unavailable",
    "events.bus_failed",
    "events.bus_refused",
    "events.undelivered",
    "google_token.unavailable",
    "health.not_shared",
    "hook.failed_closed",
    "hook.failed_open",
    "hook_secrets.unavailable",
    "job.not_cancelled",
    "job.not_counted",
    "job.not_ended",
    "job.not_looked_at",
    "job.not_prolonged",
    "job.not_started",
    "job.not_swept",
    "job.result_not_deleted",
    "job.unsettled",
    "ledger.local",
    "ledger.unsettled",
    "media.not_deleted",
    "oidc.unavailable",
    "own_circuit.closed",
    "own_circuit.opened",
    "realtime.fenced",
    "realtime.not_checked",
    "realtime.not_kept",
    "realtime.not_looked_at",
    "realtime.not_told",
    "realtime.reconnected",
    "realtime.recovered",
    "records.late",
    "records.not_archived",
    "records.not_counted",
    "records.not_logged",
    "records.unreadable",
    "role_keys.unavailable",
    "slots.unavailable",
    "sweep.failed",
    "sweep.lost",
    "sweep.released",
    "sweep.settled",
    "sweep.told",
    "tenants.malformed",
    "upload.left_behind",
    "video.not_stored",
    "video.unrecorded",
    "webhook.failed",
    "webhook.given_up",
    "webhook_root.unavailable",
]
"""What went on all the same, of which the operator should know: a line, and a count named `gateway.<trouble>`."""

LOSSES: tuple[Trouble, ...] = ("events.undelivered",)
"""Troubles whose line is the last copy of what it tells, so that it is written at every level."""

DEFECT = "gateway.defect"
"""An exception that nobody expected: a line, and a count."""


class RequestLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The log's line of one finished inference request. Times are in the unit of their name.

    `provider`: as the conventions call it. `request_model`: as the provider was asked for it; `model_requested`: as the
    client named it. `status`: what the client saw, so 200 for a stream that broke off. `input_tokens` includes cache
    reads and writes, `output_tokens` includes reasoning. `units`: of other measures. `duration_s`: of the last call to
    a provider.
    """

    event: Event
    request_id: str
    lambda_request_id: str | None = None
    trace_id: str | None = None
    tenant_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    operation: str = field(name=OPERATION)
    provider: str | None = field(name=PROVIDER, default=None)
    outcome: Outcome = field(name=OUTCOME)
    status: int = field(name="http.response.status_code")
    error: str | None = field(name=ERROR, default=None)
    provider_code: str | None = field(name="gateway.provider_code", default=None)
    conversation_id: str | None = field(name="gen_ai.conversation.id", default=None)
    stream: bool = field(name="gen_ai.request.stream", default=False)
    model_requested: str | None = field(name="gateway.model_requested", default=None)
    request_model: str | None = field(name="gen_ai.request.model", default=None)
    response_model: str | None = field(name="gen_ai.response.model", default=None)
    finish_reasons: tuple[str, ...] = field(name="gen_ai.response.finish_reasons", default=())
    input_tokens: int | None = field(name="gen_ai.usage.input_tokens", default=None)
    output_tokens: int | None = field(name="gen_ai.usage.output_tokens", default=None)
    cache_read_tokens: int = field(name="gen_ai.usage.cache_read.input_tokens", default=0)
    cache_write_tokens: int = field(name="gen_ai.usage.cache_write.input_tokens", default=0)
    reasoning_tokens: int = field(name="gen_ai.usage.reasoning.output_tokens", default=0)
    units: dict[UnitName, int] = field(name="gateway.units", default_factory=dict)
    usage_estimated: bool = field(name="gateway.usage_estimated", default=False)
    service_tier: str | None = field(name="gateway.service_tier", default=None)
    priced_as_default: bool = field(name="gateway.priced_as_default", default=False)
    cost_nano_usd: int | None = field(name="gateway.cost_nano_usd", default=None)
    unpriced_attempts: int = field(name="gateway.unpriced_attempts", default=0)
    attempts: int = field(name="gateway.attempts", default=0)
    retries: int = field(name="gateway.retries", default=0)
    fallbacks: int = field(name="gateway.fallbacks", default=0)
    latency_ms: float = field(name="gateway.latency_ms")
    overhead_ms: float = field(name="gateway.overhead_ms")
    queue_ms: float | None = field(name="gateway.queue_ms", default=None)
    duration_s: float | None = field(name="gen_ai.client.inference.duration", default=None)
    time_to_first_chunk_s: float | None = field(name="gen_ai.client.inference.time_to_first_chunk", default=None)

    @property
    def is_aborted(self) -> bool:
        """A stream whose client had its status already when it failed."""
        return self.error is not None and self.status < 400


class RestLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The log's line of one finished request to the functions that infer nothing. `route`: with names for its ids."""

    event: Event
    request_id: str
    lambda_request_id: str | None = None
    trace_id: str | None = None
    tenant_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    function: str = field(name=FUNCTION)
    method: str = field(name="http.request.method")
    route: str | None = field(name="http.route", default=None)
    status: int = field(name="http.response.status_code")
    outcome: Outcome = field(name=OUTCOME)
    error: str | None = field(name=ERROR, default=None)
    latency_ms: float = field(name="gateway.latency_ms")


class KeptLine(Struct, frozen=True, kw_only=True, tag_field="event", tag="records.kept"):
    """The log's line of one batch of what was told. `again`: messages that have to come again. `age_s`: of the oldest.

    `known`: records that were counted before. `late`: those that came when their request was forgotten.
    """

    lambda_request_id: str
    messages: int = field(name="gateway.records.messages")
    counted: int = field(name="gateway.records.counted")
    known: int = field(name="gateway.records.known")
    late: int = field(name="gateway.records.late")
    logged: int = field(name="gateway.records.logged")
    again: int = field(name="gateway.records.again")
    age_s: float = field(name="gateway.records.age_s")


class SweptLine(Struct, frozen=True, kw_only=True, tag_field="event", tag="sweep.done"):
    """The log's line of one sweep: requests by how it ended them. `lag_s`: how far behind the records are."""

    lambda_request_id: str
    settled: int = field(name="gateway.sweep.settled")
    released: int = field(name="gateway.sweep.released")
    lost: int = field(name="gateway.sweep.lost")
    failed: int = field(name="gateway.sweep.failed")
    lag_s: float | None = field(name="gateway.records.lag_s")


class JobLine(Struct, frozen=True, kw_only=True, tag_field="event", tag="job.step"):
    """The log's line of one step of a job's state machine. `status`: of the job after it."""

    lambda_request_id: str
    job_id: str
    step: str
    status: str


class CallbackLine(Struct, frozen=True, kw_only=True, tag_field="event", tag="callback.heard"):
    """The log's line of what a provider said by itself. `provider`: as the conventions call it. `kind`: how its work
    ended, as it says. `was_awaited`: whether an execution waited for that, or had until a moment ago.
    """

    lambda_request_id: str | None
    provider: str = field(name=PROVIDER)
    kind: str
    was_awaited: bool


class JobsSweptLine(Struct, frozen=True, kw_only=True, tag_field="event", tag="jobs.swept"):
    """The log's line of one sweep over jobs that were due: what it did with each.

    `oldest_pending_s`: how long that one has waited for its worker that has waited longest.
    """

    lambda_request_id: str
    started: int = field(name="gateway.jobs.started")
    running: int = field(name="gateway.jobs.running")
    ended: int = field(name="gateway.jobs.ended")
    settled: int = field(name="gateway.jobs.settled")
    told: int = field(name="gateway.jobs.told")
    untold: int = field(name="gateway.jobs.untold")
    failed: int = field(name="gateway.jobs.failed")
    oldest_pending_s: float = field(name="gateway.jobs.oldest_pending_s")


def fields_of(line: type[Struct]) -> frozenset[str]:
    """As they are written."""
    return frozenset(member.encode_name for member in msgspec.structs.fields(line))


def provider_name(provider: str) -> str:
    """As the conventions call one of ours, which else keeps its own name."""
    return _PROVIDERS.get(provider, provider)


def outcome_of(error: GatewayError | None) -> Outcome:
    """Whose doing it was."""
    if error is None:
        return "ok"
    if isinstance(error, ProviderFailure):
        return "provider_error" if error.status >= 500 or error.status == 429 else "client_error"
    if error.status >= 500:
        return "gateway_error"
    if error.status in (402, 429):
        return "limited"
    return "blocked" if error.code in ("request_blocked", "response_blocked") else "client_error"
