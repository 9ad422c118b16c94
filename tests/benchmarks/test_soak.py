"""What a soak finds: nothing where all is right, and what is wrong where it is."""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import httpx
import msgspec
import pytest
from msgspec.structs import replace as change

from benchmarks import aims
from benchmarks.audited import (
    NOT_ONE_RESULT,
    OF_NOBODY,
    WITHOUT_END,
    WITHOUT_RECORD,
    Differences,
    Written,
    compare,
)
from benchmarks.customers import Customers
from benchmarks.function import simulators
from benchmarks.machine import IS_LINUX
from benchmarks.plateau import FEWEST, Grown, Memory, grown, processes
from benchmarks.soak import Pace, never_seen, report_of
from benchmarks.traffic import (
    KINDS,
    LITTLE,
    LITTLE_FITS,
    NOBODY,
    TENANTS,
    WELL,
    Gathered,
    Kind,
    Ordered,
    Seen,
    deck,
    says,
)
from gateway.adapters.catalog import FileCatalog
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.adapters.outbound import PooledOutbound
from gateway.entry.chat import chat_app
from gateway.model.http import Credential
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from local.endpoints import Endpoints
from local.places import REPOSITORY
from local.simulators.app import APIS
from tests.fakes import (
    MemoryAccess,
    MemoryCatalog,
    MemoryCredentials,
    ScriptedOutbound,
    key_hash,
    principal,
    world_of,
)

COST = 1_000
MINUTE_S = 60.0


def record(request_id: str, attempt: int = 1, cost: int = COST, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{request_id}.{attempt}",
        "request_id": request_id,
        "attempt": attempt,
        "cost_nano_usd": cost,
        "tenant_id": "a",
        **more,
    }


def events_of(request_id: str, end: str = "request.completed") -> list[dict[str, Any]]:
    return [{"request_id": request_id, "event": event} for event in ("request.started", end)]


def written() -> Written:
    """A chat, one that fell back, a batch of two lines, and one whose client left before it was told an id."""
    records = [record("chat"), record("fell", 1, 0), record("fell", 2), record("order", 0, 0), record("gone")]
    records += [record(line, batch_id="batch") for line in ("one", "two")]
    spent = 5 * COST
    numbers = {"c2026-11": spent, "s2026-11": spent, "c2026-11-29": 5, "holds": 0}
    requests = ("chat", "fell", "wrong", "order", "gone", "one", "two")
    return Written(
        {"T#a#0": numbers, "U#a#0#alice": numbers},
        {"requests": 6, "cost_nano_usd": spent},
        records,
        [event for request_id in requests for event in events_of(request_id)],
    )


SEEN = [
    Seen("chat", WELL, "ok", "chat", COST, 1),
    Seen("falls back", WELL, "ok", "fell", COST, 2),
    Seen("wrong", WELL, "validation_error", "wrong", is_recorded=False),
    Seen("orders a batch", WELL, "ok", "order", 0),
    Seen("leaves", WELL, "left"),
]
BATCH = Ordered("batch", 2, 2 * COST)


def differences(of: Written, seen: list[Seen] = SEEN, batch: Ordered = BATCH) -> tuple[int, dict[str, int]]:
    found = Differences()
    compare("a", seen, [batch], of, found)
    return found.nano_usd, {what: times for what, times in found.counts.items() if times}


def test_nothing_is_found_where_all_fits() -> None:
    assert differences(written()) == (0, {})


def _lost_record(of: Written) -> None:
    of.records = [line for line in of.records if line["id"] != "fell.1"]


def _unsettled(of: Written) -> None:
    of.accounts = {**of.accounts, "T#a#0": {**of.accounts["T#a#0"], "s2026-11": 5 * COST - 1}}


def _no_end(of: Written) -> None:
    of.events = of.events[1:]


def _two_ends(of: Written) -> None:
    of.events = [*of.events, events_of("chat", "request.failed")[1]]


def _unknown(of: Written) -> None:
    of.events = [*of.events, *events_of("stranger")]


def _missed_in_usage(of: Written) -> None:
    of.total = {**of.total, "requests": 5}


def _recorded_though_refused(of: Written) -> None:
    of.records = [*of.records, record("wrong", 0, 0)]
    of.total = {**of.total, "requests": 7}


def _line_lost(of: Written) -> None:
    """Known to nobody, so that its end is one of nobody's, too."""
    of.records = [line for line in of.records if line["id"] != "two.1"]
    of.total = {"requests": 5, "cost_nano_usd": 4 * COST}
    of.accounts = {name: {"c2026-11": 4 * COST, "s2026-11": 4 * COST} for name in of.accounts}


@pytest.mark.parametrize(
    ("harm", "nano_usd", "counts"),
    [
        (_lost_record, 0, {WITHOUT_RECORD: 1}),
        (_unsettled, 1, {}),
        (_no_end, 0, {WITHOUT_END: 1}),
        (_two_ends, 0, {WITHOUT_END: 1}),
        (_unknown, 0, {OF_NOBODY: 1}),
        (_missed_in_usage, 0, {WITHOUT_RECORD: 1}),
        (_recorded_though_refused, 0, {WITHOUT_RECORD: 1}),
        (_line_lost, COST, {NOT_ONE_RESULT: 1, OF_NOBODY: 1}),
    ],
)
def test_what_does_not_fit_is_found(harm: Callable[[Written], None], nano_usd: int, counts: dict[str, int]) -> None:
    of = written()
    harm(of)
    assert differences(of) == (nano_usd, counts)


def test_a_reply_that_names_another_cost_is_found() -> None:
    assert differences(written(), [replace(SEEN[0], cost_nano_usd=COST + 3), *SEEN[1:]]) == (3, {})


def test_a_request_that_the_gateway_knows_nothing_of_is_found() -> None:
    unknown = Seen("chat", WELL, "ok", "nowhere", COST, 1)
    assert differences(written(), [*SEEN, unknown]) == (COST, {WITHOUT_END: 1, WITHOUT_RECORD: 1})


def sampled(*megabytes: float) -> list[tuple[float, float]]:
    """So much in each third of a minute."""
    return [(third * 20.0 + 2 * number, mb) for third, mb in enumerate(megabytes) for number in range(2 * FEWEST)]


@pytest.mark.parametrize(
    ("megabytes", "excess_mb"),
    [
        ((40, 60, 60), 0),
        ((40, 60, 68), 0),
        ((40, 60, 69), 1),
        ((90, 200, 220), 0),
        ((90, 200, 225), 5),
        ((90, 90, 40), 0),
    ],
)
def test_growth_is_what_the_last_third_has_beyond_the_second(megabytes: tuple[float, ...], excess_mb: float) -> None:
    [one] = grown({("chat", 1): sampled(*megabytes)}, MINUTE_S)
    assert one.excess_mb == pytest.approx(excess_mb)


def test_the_process_that_grew_most_is_told_and_one_that_came_late_is_not_compared() -> None:
    samples = {
        ("chat", 1): sampled(40, 50, 51),
        ("chat", 2): sampled(40, 50, 70),
        ("chat", 3): sampled(40, 50, 90)[2 * FEWEST - 1 :],  # which starts at the end of the first third
        ("speech", 4): sampled(40, 50, 90)[-FEWEST:],
    }
    assert grown(samples, MINUTE_S) == [Grown("chat", 50, 70, 4 * FEWEST)]


@pytest.mark.skipif(not IS_LINUX, reason="reads what only Linux tells of processes")
def test_processes_of_another_stack_are_nobody_s() -> None:
    nowhere = Endpoints("http://127.0.0.1:1/v1", "", "", aws_endpoint_url="http://127.0.0.1:2", simulators="http://a:3")
    assert os.getpid() not in [pid for _, pid in processes(nowhere)]


def well_seen() -> list[Seen]:
    """Every way in which a kind of request has to end, and as many answers of the little budget as it pays for."""
    ways = [(kind, outcome) for kind in KINDS for outcome in sorted(kind.shown or [min(kind.expected)])]
    return [Seen.of(kind, outcome) for kind, outcome in ways] + [
        Seen.of(kind, "ok") for kind in KINDS for _ in range(LITTLE_FITS - 1) if kind.tenant == LITTLE
    ]


def watched(**megabytes: tuple[float, ...]) -> Memory:
    memory = Memory()
    for number, (name, each) in enumerate(megabytes.items()):
        memory.samples[name, number] = [(at_s * 0.9, mb) for at_s, mb in sampled(*each)]
    return memory


def missed(
    gathered: Gathered, memory: Memory, found: Differences | None = None, latest_s: float = 0.1
) -> dict[str, float]:
    pace = Pace(MINUTE_S, len(well_seen()) / MINUTE_S, latest_s)
    report = report_of(gathered, found or Differences(), memory, pace)
    return {verdict.aim.name: verdict.value for verdict in report.verdicts if not verdict.kept}


STILL = {"chat": (40.0, 50.0, 51.0), "embeddings": (40.0, 50.0, 50.0), "stack": (100.0, 150.0, 150.0)}


def test_a_run_in_which_all_is_well_keeps_every_aim() -> None:
    assert missed(Gathered(well_seen()), watched(**STILL)) == {}


def test_a_run_in_which_something_is_wrong_says_what() -> None:
    seen = well_seen()
    found = Differences(nano_usd=7)
    found.add(WITHOUT_END, "req_1")
    memory = watched(**{**STILL, "chat": (40, 50, 70), "stack": (100, 150, 158)})
    assert missed(Gathered(seen, unexpected=["chat: internal_error"]), memory, found) == {
        "requests and orders that ended as none of their kind may": 1,
        "nano-USD between books, usage records and replies": 7,
        "requests without exactly one end in the audit log": 1,
        "memory that processes have grown in the last third, beyond 8 MB or a tenth": 12,
        "memory of the emulator for each request, of which it keeps records": pytest.approx(
            1024 * 8 / (len(seen) * 0.3)
        ),
    }


def test_a_run_in_which_little_happened_keeps_no_promise() -> None:
    assert missed(Gathered(), Memory(), latest_s=900) == {
        aims.NEVER_SEEN.name: sum(len(kind.shown) or 1 for kind in KINDS),
        aims.PACE.name: 0,
        aims.LATEST.name: 900,
        aims.UNWATCHED.name: 3,
    }


@pytest.mark.parametrize(
    ("name", "outcome", "never"),
    [
        ("429", "circuit_open", ["429: rate_limited"]),
        ("stalls mid-stream", "circuit_open", ["stalls mid-stream: provider_timeout"]),
        ("rate", "ok", ["rate: rate_limited"]),
        ("little", "ok", ["little: budget_exceeded"]),
        ("job: cancelled", "ok", ["job: cancelled: cancelled"]),
        ("job: fails", "provider_error", ["job: fails: validation_error"]),
        ("chat", "cancelled", ["chat: ok"]),
    ],
)
def test_what_a_kind_is_for_has_to_have_happened(name: str, outcome: str, never: list[str]) -> None:
    assert never_seen([replace(one, outcome=outcome) if one.kind == name else one for one in well_seen()]) == never


@pytest.mark.parametrize("more", [-2, -1, 1])
def test_a_budget_pays_for_what_fits_and_for_no_more(more: int) -> None:
    seen = well_seen()
    bought = [one for one in seen if one.kind == "little" and one.outcome == "ok"]
    of_more = [*seen, *bought[:more]] if more > 0 else seen
    for one in bought[:-more] if more < 0 else []:
        one.outcome = "budget_exceeded"
    assert missed(Gathered(of_more), watched(**STILL)) == {aims.OTHER_THAN_FITS.name: abs(more)}


def test_no_model_of_a_kind_that_fails_is_another_s() -> None:
    failing = [kind for kind in KINDS if "circuit_open" in kind.expected]
    models = [kind.models for kind in failing]
    assert (len(failing), len({*models}), {len(each) for each in models}) == (11, 11, {1})


async def test_each_kind_that_fails_ends_as_it_is_said_to() -> None:
    """The gateway in memory, the providers as the local stack has them."""
    failing = [kind for kind in KINDS if "circuit_open" in kind.expected]
    access = MemoryAccess(held={key_hash("gwk_1"): principal(Tenant(id="faulty", approvals=("*",)))})
    client = HttpClient(trust=ssl.create_default_context())
    with simulators() as port:
        urls = {api.name: f"http://127.0.0.1:{port}{api.prefix}" for api in APIS}
        world = change(
            world_of(ScriptedOutbound(RuntimeError("asked by nobody")), access, MemoryCatalog({})),
            catalog=FileCatalog(REPOSITORY / "shared" / "catalog"),
            credentials=MemoryCredentials({name: Credential(Secret(f"sim-{name}"), url) for name, url in urls.items()}),
            outbound=PooledOutbound(client),
            clock=SystemClock(),
        )
        transport = httpx.ASGITransport(cast(Any, chat_app(world)))
        async with httpx.AsyncClient(base_url="http://gateway/v1", transport=transport) as http:
            customers = Customers(http, {failing[0].tenant: "gwk_1"})
            await asyncio.gather(*map(customers.ask, failing))
        await client.aclose()
    seen = {one.kind: {one.outcome} for one in customers.gathered.seen}
    assert seen == {kind.name: kind.shown for kind in failing}


def test_each_tenant_is_one_and_each_kind_is_one_s() -> None:
    for tenant, settings in TENANTS.items():
        msgspec.convert({"id": tenant, **settings}, Tenant)
    assert {kind.tenant for kind in KINDS} == {*TENANTS, NOBODY}
    assert {kind.name for kind in deck(random.Random(1))} == {kind.name for kind in KINDS}  # noqa: S311 - no secret


CHAT = Kind("chat", 1, WELL, says("Hello"), frozenset({"ok", "rate_limited"}))
STREAM = replace(CHAT, manner="stream")
LEAVER = replace(CHAT, manner="leaves a stream", expected=frozenset({"left"}))
PAID = {"usage": {"cost_estimate": 0.000001}, "gateway": {"attempts": [{}, {}]}}
LIMITED = {"error": {"code": "rate_limited"}}
BROKEN = {"error": {"code": "provider_error", "usage": {"cost_estimate": 0.000002}}}


def events(*documents: dict[str, Any], ends: bool = True) -> str:
    return "".join(f"data: {json.dumps(each)}\n\n" for each in documents) + ("data: [DONE]\n\n" if ends else "")


@pytest.mark.parametrize(
    ("kind", "status", "body", "outcome", "cost", "attempts", "is_expected"),
    [
        (CHAT, 200, json.dumps(PAID), "ok", 1_000, 2, True),
        (CHAT, 200, json.dumps({"choices": []}), "status 200 without a cost", None, None, False),
        (CHAT, 429, json.dumps(LIMITED), "rate_limited", None, None, True),
        (CHAT, 502, json.dumps(BROKEN), "provider_error", 2_000, None, False),
        (CHAT, 500, "<html>", "JSONDecodeError", None, None, False),
        (STREAM, 200, events({"choices": []}, PAID), "ok", 1_000, 2, True),
        (STREAM, 200, events(PAID, ends=False), "broken off", 1_000, 2, False),
        (STREAM, 200, events({"choices": []}), "without a cost", None, None, False),
        (STREAM, 200, events({"choices": []}, BROKEN), "provider_error", 2_000, None, False),
        (STREAM, 429, json.dumps(LIMITED), "rate_limited", None, None, True),
        (LEAVER, 200, events({"choices": []}, PAID), "left", None, None, True),
        (LEAVER, 429, json.dumps(LIMITED), "rate_limited", None, None, False),
    ],
)
def test_what_a_client_sees_is_noted(
    kind: Kind, status: int, body: str, outcome: str, cost: int | None, attempts: int | None, is_expected: bool
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=body, headers={"x-gateway-request-id": "req_1"})

    async def asked() -> Gathered:
        async with httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(answer)) as client:
            customers = Customers(client, {WELL: "gwk_1"})
            await customers.ask(kind)
            return customers.gathered

    gathered = asyncio.run(asked())
    [seen] = gathered.seen
    assert (seen.outcome, seen.cost_nano_usd, seen.attempts) == (outcome, cost, attempts)
    assert [not is_expected] == [bool(gathered.unexpected)]
    assert is_expected or outcome in gathered.unexpected[0]
