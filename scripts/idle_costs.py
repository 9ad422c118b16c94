"""What a stack costs a month that nobody uses, counted in template.yaml and written into docs/deploy.md:
`python -m scripts.idle_costs`.
"""

from __future__ import annotations

import re
from typing import Any

from local.places import REPOSITORY
from scripts import sam_template

PAGE = REPOSITORY / "docs" / "deploy.md"
PLACE = re.compile(r"(?<=<!-- idle -->\n).*?(?=<!-- /idle -->)", re.DOTALL)

SNAPSHOT_GB_USD, SECRET_USD, WATCHED_METRIC_USD, COMPOSITE_USD = 3.95, 0.40, 0.10, 0.50
"""A month, us-east-1, 2026-11: https://aws.amazon.com/lambda/pricing/ (SnapStart, Python, 0.0000015046 a GB-second),
/secrets-manager/pricing/, /cloudwatch/pricing/"""
MINUTES_USD = 0.50
"""The sweep's 43,200 calls, and the queue that Lambda looks into all the while: some 650,000 requests."""
DASHBOARD_USD = 3.00


def table() -> str:
    resources = sam_template.read()["Resources"]
    snapshots_gb, metrics = _snapshots_gb(resources), _watched_metrics(resources)
    secrets, composites = (
        len(_of(resources, kind)) for kind in ("SecretsManager::Secret", "CloudWatch::CompositeAlarm")
    )
    rows = {
        f"{secrets} secrets": secrets * SECRET_USD,
        f"alarms, which look at {metrics} metrics": metrics * WATCHED_METRIC_USD + composites * COMPOSITE_USD,
        "the minute's sweep, and looking into the queue": MINUTES_USD,
        "the dashboard, beyond an account's first three": DASHBOARD_USD,
    }
    total = sum(rows.values())
    rows["**together, with `SnapStart=false`** (`dev`)"] = total
    rows[f"snapshots of {snapshots_gb:g} GB of functions (parameter `SnapStart`)"] = snapshots_gb * SNAPSHOT_GB_USD
    rows["**together** (`prod`)"] = total + snapshots_gb * SNAPSHOT_GB_USD
    lines = [f"| {what} | {usd:.2f} |" for what, usd in rows.items()]
    return "\n".join(["| A month, with no request at all | USD |", "|---|---|", *lines, ""])


def _snapshots_gb(resources: dict[str, Any]) -> float:
    functions = _of(resources, "Serverless::Function")
    return sum(_mb(each["MemorySize"]) for each in functions if "SnapStart" in each) / 1024


def _mb(size: Any) -> int:
    """Of one that a condition makes larger, without it."""
    return int(size["Fn::If"][-1] if isinstance(size, dict) else size)


def _watched_metrics(resources: dict[str, Any]) -> int:
    alarms = _of(resources, "CloudWatch::Alarm")
    return sum(sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1 for alarm in alarms)


def _of(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == f"AWS::{kind}"]


def main() -> None:
    PAGE.write_text(PLACE.sub(lambda _: table(), PAGE.read_text()))


if __name__ == "__main__":
    main()
