"""Every way in which a provider can fail, through the deployed stack: the reply, the books and the audit log."""

from __future__ import annotations

import json
import socket
import ssl
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import openai
import pytest

from gateway.model.record import TERMINAL
from tests.e2e.conftest import Gateway
from tests.e2e.contract import check, check_answer
from tests.e2e.customer import WITHIN_S, aws, eventually
from tests.e2e.fault_matrix import CELLS, PLACES, TOTAL_MS, TTFT_MS, Cell, Place
from tests.e2e.tenants import put_key, put_tenant, table

AT_ONCE = 8
TRUST = ssl.create_default_context()
"""Made once: it takes longer than most requests here."""
MESSAGES: list[Any] = [{"role": "user", "content": "Hello"}]
pytestmark = pytest.mark.stack


@dataclass
class Outcome:
    """What a client was told, and what was written down of it. `is_begun`: whether anything of a stream's answer, also
    of what its model thought, came. `error`: the last thing that the client was told.
    """

    tenant_id: str
    key: str
    status: int = 0
    text: str = ""
    is_begun: bool = False
    error: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    audit: Counter[str] = field(default_factory=Counter)
    ledger: list[dict[str, Any]] = field(default_factory=list)

    @property
    def request_id(self) -> str:
        found: str = self.report["request_id"] if self.report else self.error["request_id"]
        return found

    def settled_nano_usd(self, level: str) -> int:
        """Of this month."""
        of_level = [item for item in self.ledger if item["pk"][0] == level]
        return sum(int(value) for item in of_level for name, value in item.items() if name[0] == "s" and len(name) == 8)


@contextmanager
def elsewhere(local: Gateway) -> Iterator[None]:
    """The providers of PLACES are looked for where nobody answers them, by functions that do not know better."""
    secrets, prefix = aws(local, "secretsmanager"), "llm-gateway/providers/"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        urls: dict[Place, str] = {
            "closed port": f"http://127.0.0.1:{closed.getsockname()[1]}/v1",
            "plain port": local.simulators.replace("http:", "https:"),
            "no such name": "https://provider.invalid/v1",
        }
        before = {name: secrets.get_secret_value(SecretId=prefix + name)["SecretString"] for name in PLACES.values()}
        for place, name in PLACES.items():
            stored = json.dumps({**json.loads(before[name]), "base_url": urls[place]})
            secrets.put_secret_value(SecretId=prefix + name, SecretString=stored)
        _begin_anew(local)
        try:
            yield
        finally:
            for name, stored in before.items():
                secrets.put_secret_value(SecretId=prefix + name, SecretString=stored)
            _begin_anew(local)


def _begin_anew(local: Gateway) -> None:
    """Environments of chat keep what they know for minutes; the local stack ends them when their function changes."""
    aws(local, "lambda").update_function_configuration(FunctionName="llm-gateway-chat", MemorySize=1024)


class Asker:
    """Asks one cell after the other, several at once."""

    def __init__(self, local: Gateway) -> None:
        self._local, self._run = local, uuid.uuid4().hex[:8]
        self.http = httpx.Client(verify=TRUST, timeout=60)

    def ask(self, cell: Cell) -> Outcome:
        outcome = self._tenant(cell)
        if cell.fault.switches:
            self._arm(cell)
        with (
            httpx2.Client(
                verify=TRUST, timeout=60, event_hooks={"response": [lambda one: _note(one, outcome)]}
            ) as transport,
            openai.OpenAI(
                base_url=self._local.http, api_key=outcome.key, max_retries=0, http_client=transport
            ) as client,
        ):
            try:
                _ask(client, cell, outcome)
            except openai.APIStatusError as refused:
                assert isinstance(refused.body, dict)
                outcome.error = refused.body
            except openai.APIError as broken:
                assert isinstance(broken.body, dict)
                outcome.error = broken.body
        self._ask_well(cell)
        return outcome

    def _tenant(self, cell: Cell) -> Outcome:
        tenant_id = f"fault-{self._run}-{CELLS.index(cell)}"
        limits = [{"models": cell.model, "ttft_ms": TTFT_MS, "total_ms": TOTAL_MS}] if cell.fault.is_slow else []
        allowance = {"budgets": [{"window": "month", "usd": "5"}]}
        put_tenant(self._local.aws_endpoint_url, tenant_id, timeouts=limits, allowance=allowance)
        return Outcome(tenant_id, put_key(self._local.aws_endpoint_url, tenant_id, "alice"))

    def _arm(self, cell: Cell) -> None:
        provider, _, model = cell.model.partition("/")
        fault = {"provider": provider, "model": model, "fault": cell.fault.switches, "count": cell.fault.times}
        self.http.post(f"{self._local.simulators}/_sim/faults", json=fault).raise_for_status()

    def _ask_well(self, cell: Cell) -> None:
        """So that nobody takes a provider for one that only fails."""
        if cell.well:
            headers = {"authorization": f"Bearer {self._local.api_key}"}
            body = {"model": cell.well, "messages": MESSAGES, "max_tokens": 50}
            answer = self.http.post(f"{self._local.http}/chat/completions", json=body, headers=headers)
            assert answer.status_code == 200, answer.text


def _ask(client: openai.OpenAI, cell: Cell, outcome: Outcome) -> None:
    more = {"fallbacks": [cell.spare]} if cell.spare else {}
    if cell.wire == "embeddings":
        made = client.embeddings.create(model=cell.model, input="Hello", extra_body=more)
        outcome.report = (made.model_extra or {})["gateway"]
    elif cell.stream:
        for chunk in client.chat.completions.create(
            model=cell.model, messages=MESSAGES, max_tokens=50, stream=True, extra_body=more
        ):
            for delta in (choice.delta for choice in chunk.choices):
                outcome.text += delta.content or ""
                outcome.is_begun |= bool(delta.content or (delta.model_extra or {}).get("reasoning_content"))
            outcome.report = (chunk.model_extra or {}).get("gateway", {})
    else:
        reply = client.chat.completions.create(model=cell.model, messages=MESSAGES, max_tokens=50, extra_body=more)
        outcome.text, outcome.report = reply.choices[0].message.content or "", (reply.model_extra or {})["gateway"]


def _note(response: Any, outcome: Outcome) -> None:
    response.read()
    kind = response.headers.get("content-type", "")
    check_answer(response.request.url.path, response.status_code, kind, response.content)
    outcome.status, outcome.headers = response.status_code, dict(response.headers)


def read_books(local: Gateway, http: httpx.Client, outcomes: Sequence[Outcome]) -> None:
    """Once all is told of all of them."""
    until_s = time.monotonic() + WITHIN_S
    for outcome in outcomes:
        outcome.usage = _usage(f"{local.http}/usage/requests", http, outcome, until_s)
    by_tenant = {outcome.tenant_id: outcome for outcome in outcomes}
    eventually(lambda: _read_audit(local, by_tenant), 2 * WITHIN_S)
    scan = table(local.aws_endpoint_url, "-ledger").meta.client.get_paginator("scan")
    for page in scan.paginate(TableName="llm-gateway-ledger", ConsistentRead=True):
        for item in page["Items"]:
            if (found := by_tenant.get(item["pk"].split("#")[1])) is not None:
                found.ledger.append(item)


def _read_audit(local: Gateway, by_tenant: Mapping[str, Outcome]) -> bool | None:
    """Whether each has its end by now."""
    for outcome in by_tenant.values():
        outcome.audit.clear()
    pages = aws(local, "logs").get_paginator("filter_log_events").paginate(logGroupName="/llm-gateway/audit")
    for line in (json.loads(event["message"]) for page in pages for event in page["events"]):
        if line.get("tenant_id") in by_tenant and not line["event"].startswith("admin."):
            by_tenant[line["tenant_id"]].audit[line["event"]] += 1
    return True if all(outcome.audit.keys() & {*TERMINAL} for outcome in by_tenant.values()) else None


def _usage(url: str, http: httpx.Client, outcome: Outcome, until_s: float) -> dict[str, Any]:
    """Nothing where it does not come: whose cell that is says so."""
    headers = {"authorization": f"Bearer {outcome.key}"}
    while (answer := http.get(f"{url}/{outcome.request_id}", headers=headers)).status_code != 200:
        if time.monotonic() > until_s:
            return {}
        time.sleep(0.1)
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def outcomes(gateway: Gateway, request: pytest.FixtureRequest) -> dict[Cell, Outcome]:
    """Of all cells that are to be looked at, asked beforehand: most of their time is waiting."""
    if not gateway.simulators:
        pytest.skip("steers the provider simulators, which only the local stack has")
    wanted = [item.callspec.params["cell"] for item in request.session.items if item.path == request.path]  # type: ignore[attr-defined]
    by_model: dict[str, list[Cell]] = defaultdict(list)
    for cell in wanted:
        by_model[cell.model].append(cell)
    asker = Asker(gateway)
    try:
        with elsewhere(gateway), ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda cells: [(cell, asker.ask(cell)) for cell in cells], by_model.values())
            asked = dict(each for several in found for each in several)
    finally:
        httpx.delete(f"{gateway.simulators}/_sim/faults")
    read_books(gateway, asker.http, list(asked.values()))
    asker.http.close()
    return asked


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_a_provider_fails(outcomes: dict[Cell, Outcome], cell: Cell) -> None:
    outcome = outcomes[cell]
    if cell.falls_back:
        _check_fallen_back(cell, outcome)
    else:
        _check_failed(cell, outcome)
    _check_books(cell, outcome)


def _check_fallen_back(cell: Cell, outcome: Outcome) -> None:
    report = outcome.report
    assert (outcome.status, outcome.error) == (200, {})
    assert outcome.text == ("" if cell.wire == "embeddings" else "You said: Hello")
    assert (report["model_requested"], report["model_used"], report["fallback_used"]) == (cell.model, cell.spare, True)
    assert [(one["model"], one["status"], one["code"]) for one in report["attempts"]] == [
        (cell.model, "error", cell.failure.code),
        (cell.spare, "ok", None),
    ]


def _check_failed(cell: Cell, outcome: Outcome) -> None:
    failure, error = cell.failure, outcome.error
    assert (outcome.status, outcome.is_begun) == (200 if failure.is_begun else failure.status, failure.is_begun)
    assert (error["code"], error.get("phase"), error["retryable"]) == (
        failure.code,
        failure.phase,
        failure.is_retryable,
    )
    assert "attempts" not in error
    if not failure.is_begun:
        assert ("x-should-retry" in outcome.headers) is not failure.is_retryable
    if "retry_after" in cell.fault.switches:
        assert outcome.headers["retry-after"] == "2"


def _check_books(cell: Cell, outcome: Outcome) -> None:
    """One end, one record for each attempt, and everything paid once."""
    usage = outcome.usage
    check("RequestUsage", usage)
    failed, *answered = usage["attempts"]
    assert (failed["model"], failed["status"], failed["code"]) == (cell.model, "error", cell.failure.code)
    assert [(one["model"], one["status"]) for one in answered] == ([(cell.spare, "ok")] if cell.falls_back else [])
    assert bool(failed["cost_nano_usd"]) is cell.failure.is_charged
    assert all(one["cost_nano_usd"] > 0 for one in answered)
    paid = sum(one["cost_nano_usd"] or 0 for one in usage["attempts"])
    assert paid == usage["cost_nano_usd"] == outcome.settled_nano_usd("T") == outcome.settled_nano_usd("U")
    assert not [name for item in outcome.ledger for name in item if name.startswith("h")]
    end = "request.completed" if cell.falls_back else "request.failed"
    assert {name: times for name, times in outcome.audit.items() if name in TERMINAL} == {end: 1}
    assert outcome.audit["request.started"] == 1
    assert outcome.audit["fallback.triggered"] == len(answered)
