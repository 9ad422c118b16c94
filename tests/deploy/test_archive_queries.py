"""The documented queries over the archive, run over tables with the template's columns and lines as they are archived.

SQLite stands in for Athena: what the queries use is standard SQL, but for one function that both have.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway.model.record import AuditEvent, UsageRecord
from gateway.pipeline.archive_lines import line_of
from local.places import REPOSITORY
from tests.record_fakes import lost, record

NOON_S = 1_795_953_600.0  # 2026-11-29
QUERIES = {
    page: re.findall(r"^```sql\n(.*?)^```", (REPOSITORY / "docs" / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)
    for page in ("usage", "audit")
}


@pytest.fixture
def athena(template: dict[str, Any]) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("ATTACH ':memory:' AS llm_gateway")
    connection.create_function("json_extract_scalar", 2, lambda text, path: json.loads(text).get(path[2:]))
    for name in ("UsageArchive", "AuditArchive"):
        table = template["Resources"][name]["Properties"]["TableInput"]
        columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]] + ["dt"]
        connection.execute(f"CREATE TABLE llm_gateway.{table['Name']} ({', '.join(columns)})")
    yield connection
    connection.close()


def archive(athena: sqlite3.Connection, *told: UsageRecord | AuditEvent, copies: int = 1) -> None:
    for copy in range(copies):
        for one in told:
            line = line_of(one)
            members = {**line.members, "dt": line.day, "archived_at_s": one.at_s + copy}
            values = [json.dumps(value) if isinstance(value, dict) else value for value in members.values()]
            names, marks = ", ".join(members), ", ".join("?" * len(members))
            athena.execute(f"INSERT INTO llm_gateway.{line.folder} ({names}) VALUES ({marks})", values)  # noqa: S608


def test_usage_is_summed_once_and_without_what_came_after_a_loss(athena: sqlite3.Connection) -> None:
    twice = [record("req_1", at_s=NOON_S, cost_nano_usd=3), record("req_2", at_s=NOON_S, cost_nano_usd=4)]
    archive(athena, *twice, copies=2)
    archive(athena, record("req_3", at_s=NOON_S, cost_nano_usd=50))
    archive(athena, msgspec.structs.replace(lost("req_3", cost_nano_usd=7), at_s=NOON_S))
    view, query = QUERIES["usage"]
    athena.execute(view)
    assert athena.execute(query).fetchall() == [("acme", "openai/gpt-4o", 3, 14)]


def test_audit_is_counted_once(athena: sqlite3.Connection) -> None:
    def audit(event_id: str, event: str, **facts: Any) -> AuditEvent:
        return AuditEvent(id=event_id, event=event, at_s=NOON_S, tenant_id="acme", facts=facts)

    told = [audit("req_1.started", "request.started"), audit("req_1.ended", "request.failed", code="lost")]
    archive(athena, *told, copies=3)
    archive(athena, audit("req_1.ended", "request.completed"), copies=1)
    athena.execute("UPDATE llm_gateway.audit SET archived_at_s = archived_at_s + 9 WHERE event = 'request.completed'")
    view, query = QUERIES["audit"]
    athena.execute(view)
    assert athena.execute(query).fetchall() == [("request.failed", "lost", 1), ("request.started", None, 1)]
