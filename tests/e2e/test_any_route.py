"""Requests made from the published contract, to every operation: answers that it promises, none of 500, no defect.

The provider's simulators answer. What has an id in its path is asked for with one that is there, too. Schemathesis
makes the same requests each time; `make fuzz` makes more, and others (`CONTRACT_EXAMPLES`: how many for an operation).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import venvs
from local.console import Progress
from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.customer import Customer, aws, customer_of, eventually, waiting
from tests.e2e.defects import defects
from tests.e2e.known_ids import ENDED, Ids, known_bodies, known_ids
from tests.e2e.published import Operation, document_of, operations

EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "4")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"
LEAST = 8
"""So many requests come to every operation at least that takes anything."""
TAKES_NOTHING = {"getContract", "getSocketContract"}
WITHOUT_SUCCESS = {"hearProvider": 401}
"""Only the provider can sign for it (test_callbacks.py): what it answers in place of success."""
OURS = {"Authorization": "Bearer gwk_" + "0" * 43}
"""A key as the gateway makes them, and nobody's."""
WORK_ENDS_WITHIN_S = 180.0
"""Jobs, videos and batches that these requests ordered, in all."""
pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Asked:
    customer: Customer
    ids: Ids
    document: dict[str, Any]
    others: list[str]
    began_ms: int
    parts: list[str] = field(default_factory=list)
    """That were asked for."""

    @property
    def gateway(self) -> Gateway:
        return self.customer.local

    @property
    def key(self) -> str:
        return self.customer.key

    @property
    def operations(self) -> list[Operation]:
        return list(operations(self.document))


@pytest.fixture(scope="module")
def asked(gateway: Gateway) -> Iterator[Asked]:
    if not gateway.simulators:
        pytest.skip("makes and deletes what only the local stack may lose")
    began_ms = int(time.time() * 1000)
    administration = {"authorization": f"Bearer {gateway.admin_key}"}
    with (
        customer_of(gateway, "any") as customer,
        httpx.Client(base_url=f"{gateway.origin}/admin", headers=administration, timeout=60) as admin,
    ):
        others = [tenant["id"] for tenant in _all_of(admin, "/tenants")]
        ids = known_ids(customer, admin)
        document = document_of(gateway.origin, ids, known_bodies(customer, ids))
        yield Asked(customer, ids, document, others, began_ms)


def _all_of(http: httpx.Client, route: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = {"after": page["last_id"]} if page["last_id"] else {}
        page = http.get(route, params={"limit": 100, **after}).raise_for_status().json()
        found += page["data"]
    return found


@pytest.mark.parametrize("part", ["admin", "v1"])
def test_every_operation_answers_as_published(asked: Asked, tmp_path: Path, part: str) -> None:
    """`v1`: with what is for everybody, the contracts and `/webhooks`."""
    venvs.ensure([venvs.CONTRACT], Progress())
    document, report = tmp_path / "openapi.json", tmp_path / "report.ndjson"
    document.write_text(json.dumps(asked.document))
    is_admin = part == "admin"
    key = asked.gateway.admin_key if is_admin else asked.key
    command = [str(venvs.CONTRACT.folder / "bin" / "schemathesis"), "run", str(document), "--no-color"]
    command += ["--url", asked.gateway.origin, "--header", f"Authorization: Bearer {key}"]
    command += ["--include-path-regex" if is_admin else "--exclude-path-regex", "^/admin/", "--checks", CHECKS]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--suppress-health-check", "all"]
    command += ["--continue-on-failure", "--request-timeout", "60", "--report-ndjson-path", str(report)]
    command += [] if "CONTRACT_EXAMPLES" in os.environ else ["--seed", "1", "--generation-deterministic"]
    told = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "CONTRACT_SPARED": ",".join(asked.others)}
    asked.parts.append(part)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=told)  # noqa: S603 - made above
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    of_part = [operation for operation in asked.operations if operation.path.startswith("/admin/") == is_admin]
    _check_all_were_asked(of_part, _answers(report))


def _answers(report: Path) -> dict[str, Counter[int]]:
    """By operation: how often it answered with which status. Other methods of its path were asked for, too."""
    found: dict[str, Counter[int]] = {}
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            answer, method = interaction.get("response"), recorder["label"].partition(" ")[0]
            if answer and interaction["request"]["method"] == method:
                found.setdefault(recorder["label"], Counter())[answer["status_code"]] += 1
    return found


def _check_all_were_asked(wanted: list[Operation], answers: dict[str, Counter[int]]) -> None:
    assert len(wanted) > 20
    least = {one.label: 1 if one.id in TAKES_NOTHING else LEAST for one in wanted}
    asked = {label: answers.get(label, Counter()).total() for label in least}
    assert [label for label in least if asked[label] < least[label]] == [], asked
    never = [one.label for one in wanted if not _did_what_it_is_for(one, answers[one.label])]
    assert not never, {label: answers[label] for label in never}


def _did_what_it_is_for(operation: Operation, statuses: Counter[int]) -> bool:
    if operation.id in WITHOUT_SUCCESS:
        return statuses[WITHOUT_SUCCESS[operation.id]] > 0
    return any(200 <= status < 400 for status in statuses)


def test_no_operation_is_open_without_its_key(asked: Asked) -> None:
    """Neither with none, nor with nobody's, nor with that of the other side."""
    open_to = [one.path for one in asked.operations if one.is_public]
    assert open_to == ["/webhooks/{provider}", "/openapi.json", "/asyncapi.json"]
    with httpx.Client(base_url=asked.gateway.origin, timeout=60) as http:
        for operation in [one for one in asked.operations if not one.is_public]:
            path = operation.path.format(**asked.ids.get(operation.id, {}))
            other = asked.key if path.startswith("/admin/") else asked.gateway.admin_key
            for headers in ({}, OURS, {"Authorization": f"Bearer {other}"}, {"Authorization": "Basic YTpi"}):
                answer = http.request(operation.method, path, headers=headers)
                assert answer.status_code == 401, (operation, headers, answer.text)
                check("ErrorEnvelope", answer.json())


def test_none_of_this_was_a_defect(asked: Asked) -> None:
    """Also where nobody waits for the answer: in jobs, batches and what is done with records."""
    if not asked.parts:
        pytest.skip("looks at what the requests of the tests above left, and none was made")
    eventually(lambda: None if _unfinished(asked.customer) else True, WORK_ENDS_WITHIN_S)
    eventually(lambda: None if waiting(asked.gateway) else True)
    logs = aws(asked.gateway, "logs")
    seen = 0
    for group in [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=asked.began_ms):
            seen += len(page["events"])
            assert defects(event["message"] for event in page["events"]) == [], group
    assert seen > LEAST * len(asked.parts)


def _unfinished(customer: Customer) -> list[str]:
    """Jobs, of which videos are some, and batches."""
    work = [*_all_of(customer.http, "/jobs"), *_all_of(customer.http, "/batches")]
    return [one["id"] for one in work if one["status"] not in ENDED]
