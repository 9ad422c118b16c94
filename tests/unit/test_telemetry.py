"""Log lines and metrics of the hot functions: their names, what they may hold, and what CloudWatch makes of them."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from gateway.adapters import telemetry
from gateway.adapters.telemetry import StdoutRecords, log_defect, log_trouble, name_the_lines
from gateway.model import errors, metrics, provider_errors
from gateway.model.errors import GatewayError
from gateway.model.telemetry import (
    KeptLine,
    RequestLine,
    RestLine,
    SweptLine,
    Trouble,
    fields_of,
    outcome_of,
    provider_name,
)
from gateway.providers.lookup import has_provider

SOURCES = Path(telemetry.__file__).parents[1]
LINE = RequestLine(
    event="request.completed",
    request_id="req_1",
    tenant_id="acme",
    operation="chat",
    provider="openai",
    outcome="ok",
    status=200,
    request_model="gpt-4o",
    finish_reasons=("stop",),
    input_tokens=9,
    output_tokens=3,
    cost_nano_usd=52_500,
    attempts=1,
    latency_ms=812.5,
    overhead_ms=4.25,
    duration_s=0.808,
)
ALLOWED = {
    *("level", "service", "event", "request_id", "lambda_request_id", "trace_id", "tenant_id", "user_id", "key_id"),
    *("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.conversation.id", "gen_ai.request.stream"),
    *("gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.finish_reasons"),
    *("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens"),
    *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.reasoning.output_tokens"),
    *("gen_ai.client.inference.duration", "gen_ai.client.inference.time_to_first_chunk"),
    *("error.type", "http.response.status_code", "http.request.method", "http.route"),
    *("gateway.outcome", "gateway.function", "gateway.provider_code", "gateway.model_requested"),
    *("gateway.service_tier", "gateway.priced_as_default", "gateway.units"),
    *("gateway.usage_estimated", "gateway.cost_nano_usd", "gateway.unpriced_attempts"),
    *("gateway.attempts", "gateway.retries", "gateway.fallbacks"),
    *("gateway.latency_ms", "gateway.overhead_ms", "gateway.queue_ms"),
}
"""Every name that a line about a request may have. None can hold what a client or a model said."""
JOB_FIELDS = {
    "lambda_request_id",
    *(f"gateway.records.{name}" for name in ("messages", "counted", "known", "late", "logged", "again")),
    *("gateway.records.age_s", "gateway.records.lag_s"),
    *(f"gateway.sweep.{name}" for name in ("settled", "released", "lost", "failed")),
}
TROUBLE_FACTS = {
    "job_id",
    *("request_id", "reason", "provider", "endpoint", "files", "code", "pk", "sk", "events", "detail_type", "detail"),
    *(
        "id",
        "message_id",
        "tenant_id",
        "hook",
        "stage",
        "cause",
        "name",
        "hold",
        "place",
        "lines",
        "records",
        "outcome",
        "cost_nano_usd",
    ),
}


@pytest.fixture
def written(capsysbinary: pytest.CaptureFixture[bytes]) -> Iterator[Any]:
    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]

    yield lines


def figures(line: dict[str, Any]) -> dict[tuple[str, tuple[str, ...]], float]:
    """As CloudWatch reads the line: each metric with each combination of dimensions."""
    assert set(line["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "LlmGateway"
        assert 0 < len(directive["Metrics"]) <= 100
        for dimensions in directive["Dimensions"]:
            assert all(isinstance(line[name], str) and line[name] for name in dimensions)
            for metric in directive["Metrics"]:
                assert isinstance(line[metric["Name"]], int | float)
                found[metric["Name"], tuple(line[name] for name in dimensions)] = line[metric["Name"]]
    return found


def test_the_fields_are_the_allowed_ones() -> None:
    assert fields_of(RequestLine) | fields_of(RestLine) | {"level", "service"} == ALLOWED
    assert fields_of(KeptLine) | fields_of(SweptLine) == JOB_FIELDS


def test_a_line_has_nothing_but_allowed_fields_and_figures(written: Any) -> None:
    StdoutRecords().write(LINE)
    [line] = written()
    assert set(line) <= ALLOWED | {name for names in metrics.REQUEST_METRICS.values() for name in names} | {"_aws"}
    assert (line["level"], line["gen_ai.request.model"], line["gen_ai.usage.input_tokens"]) == ("INFO", "gpt-4o", 9)


def test_figures_are_metrics_by_few_dimensions(written: Any) -> None:
    StdoutRecords().write(LINE)
    [line] = written()
    found, service = figures(line), line["service"]
    assert found[metrics.OVERHEAD, (service,)] == 4.25
    assert found[metrics.OVERHEAD, (service, "chat")] == 4.25
    assert found[metrics.COST, (service, "openai")] == 52_500
    assert found[metrics.INPUT_TOKENS, (service, "openai")] == 9
    assert found[metrics.REQUESTS, (service, "ok")] == 1
    assert found[metrics.REQUESTS, (service, "openai", "ok")] == 1
    assert metrics.ERRORS not in {name for name, _ in found}
    assert not [dimensions for _, dimensions in found if "acme" in dimensions or "req_1" in dimensions]


def test_units_are_those_of_the_names(written: Any) -> None:
    StdoutRecords().write(msgspec.structs.replace(LINE, time_to_first_chunk_s=0.3))
    [line] = written()
    units = {
        metric["Name"]: metric["Unit"]
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert units[metrics.OVERHEAD] == units[metrics.LATENCY] == "Milliseconds"
    assert units[metrics.DURATION] == units[metrics.TIME_TO_FIRST_CHUNK] == "Seconds"
    assert units[metrics.INPUT_TOKENS] == units[metrics.REQUESTS] == "Count"


def test_a_refused_request_has_no_provider_and_its_error_counts(written: Any) -> None:
    refused = RequestLine(
        event="request.failed",
        request_id="req_2",
        operation="chat",
        outcome="limited",
        status=429,
        error="rate_limited",
        latency_ms=3.0,
        overhead_ms=3.0,
    )
    StdoutRecords().write(refused)
    [line] = written()
    found, service = figures(line), line["service"]
    assert found[metrics.ERRORS, (service, "rate_limited")] == found[metrics.RATE_LIMITED, (service,)] == 1
    assert metrics.PROVIDER_RATE_LIMITED not in line
    assert "gen_ai.provider.name" not in line


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({"outcome": "limited", "status": 402, "error": "budget_exceeded"}, {metrics.BUDGET_DENIED}),
        ({"outcome": "provider_error", "status": 429, "error": "rate_limited"}, {metrics.PROVIDER_RATE_LIMITED}),
        ({"outcome": "provider_error", "status": 502, "error": "provider_error"}, {metrics.PROVIDER_FAULTS}),
        ({"outcome": "provider_error", "status": 200, "error": "provider_error"}, {metrics.STREAM_ABORTED}),
        (
            {"outcome": "gateway_error", "status": 200, "error": "internal_error"},
            {metrics.STREAM_ABORTED, metrics.STREAM_FAULTS},
        ),
        ({"outcome": "gateway_error", "status": 500, "error": "internal_error"}, set()),
        ({"retries": 1, "fallbacks": 2}, {metrics.RETRIES, metrics.FALLBACKS}),
    ],
)
def test_what_is_counted(changes: dict[str, Any], counted: set[str]) -> None:
    plain = set(metrics.figures_of(LINE, is_cold=False))
    changed = set(metrics.figures_of(msgspec.structs.replace(LINE, **changes), is_cold=False))
    assert changed - plain - {metrics.ERRORS} == counted
    assert (metrics.ERRORS in changed) == ("error" in changes)


def test_what_a_batch_took_at_its_provider_is_no_time_that_anybody_waited() -> None:
    timed = msgspec.structs.replace(LINE, duration_s=1.5)
    plain = metrics.figures_of(timed, is_cold=False)
    batched = metrics.figures_of(msgspec.structs.replace(timed, service_tier="batch"), is_cold=False)
    assert plain.keys() - batched.keys() == {metrics.LATENCY, metrics.DURATION}
    assert batched[metrics.COST] == plain[metrics.COST]


def test_the_first_request_of_an_environment_is_its_cold_start(written: Any) -> None:
    records = StdoutRecords()
    records.write(LINE)
    records.write(LINE)
    first, second = written()
    assert first[metrics.COLD_START] == 1
    assert metrics.COLD_START not in second


def test_below_the_wanted_level_only_figures_are_left(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_LEAST_SEVERITY", 40)
    StdoutRecords().write(LINE)
    log_trouble("ledger.unsettled", request_id="req_1", reason="slow")
    log_trouble("events.undelivered", detail_type="usage.recorded", detail={"id": "req_1.1"})
    request, trouble, loss = written()
    assert figures(request)[metrics.REQUESTS, (request["service"], "openai", "ok")] == 1
    assert not {"request_id", "tenant_id", "gen_ai.request.model"} & set(request)
    assert (trouble["gateway.ledger.unsettled"], "request_id" in trouble) == (1, False)
    assert loss["detail"] == {"id": "req_1.1"}, "it is the last copy"


def test_a_trouble_is_a_line_and_a_count(written: Any) -> None:
    log_trouble("events.bus_failed", code="ThrottlingException", events=3)
    [line] = written()
    assert (line["level"], line["event"], line["events"]) == ("WARNING", "events.bus_failed", 3)
    assert figures(line) == {("gateway.events.bus_failed", (line["service"],)): 1}


def test_a_defect_names_places_and_no_message(written: Any) -> None:
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("a prompt")
    log_defect(raised.value, "req_1")
    [line] = written()
    assert (line["level"], line["kind"], line["request_id"]) == ("ERROR", "RuntimeError", "req_1")
    assert line["places"][0].endswith("test_a_defect_names_places_and_no_message")
    assert "a prompt" not in json.dumps(line)
    assert figures(line) == {("gateway.defect", (line["service"],)): 1}


async def test_what_goes_wrong_in_a_request_can_be_found_by_its_ids(written: Any) -> None:
    async def request(number: int) -> None:
        name_the_lines({"request_id": f"req_{number}", "trace_id": f"{number:032x}"})
        await asyncio.sleep(0)
        log_trouble("events.bus_failed", events=1)

    await asyncio.gather(request(1), request(2))
    log_trouble("tenants.malformed", pk="t")
    first, second, outside = written()
    assert (first["request_id"], first["trace_id"]) == ("req_1", f"{1:032x}")
    assert second["request_id"] == "req_2"
    assert not {"request_id", "trace_id"} & outside.keys()


def calls_of_trouble() -> Iterator[ast.Call]:
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("trouble", "log_trouble"):
                yield node


def test_troubles_are_told_with_allowed_facts_and_all_of_them_happen() -> None:
    told = [call for call in calls_of_trouble() if isinstance(call.args[0], ast.Constant)]
    assert {call.args[0].value for call in told} == set(get_args(Trouble))  # type: ignore[attr-defined]
    named = {keyword.arg for call in told for keyword in call.keywords}
    assert named - {None} <= TROUBLE_FACTS


def concrete_errors() -> Iterator[type[GatewayError]]:
    named = [*vars(errors).values(), *vars(provider_errors).values()]
    return iter({each for each in named if isinstance(each, type) and issubclass(each, GatewayError)})


def test_every_error_is_somebodys_doing() -> None:
    outcomes: dict[str, set[str]] = {}
    for error in concrete_errors():
        made = error.__new__(error)
        outcomes.setdefault(outcome_of(made), set()).add(error.__name__)
    assert outcomes["limited"] == {"RateLimited", "BudgetExceeded"}
    assert outcomes["blocked"] == {"RequestBlocked", "ResponseBlocked"}
    of_providers = {"ProviderFailure", "ProviderError", "ProviderGone", "ProviderTimeout", "ProviderRateLimited"}
    assert outcomes["provider_error"] == of_providers | {"CircuitOpen", "ProviderBusy"}
    assert outcomes["gateway_error"] >= {"InternalError", "AdmissionUnavailable", "StorageUnavailable"}
    assert outcomes["client_error"] >= {"InvalidRequest", "InvalidApiKey", "ProviderRejected", "ModelNotFound"}
    assert outcome_of(None) == "ok"


def test_names_of_providers_are_the_conventions() -> None:
    assert provider_name("google") == "gcp.gemini"
    assert provider_name("groq") == "groq"
    assert all(has_provider(name) for name in ("azure", "bedrock", "google", "mistral", "vertex", "xai"))
