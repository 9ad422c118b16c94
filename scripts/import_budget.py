"""What each function loads when it starts, and the table that says what it may load: tests/unit/import_budget.json.

    python -m scripts.import_budget     # writes the table anew

Everything that is loaded at the start is paid for by every cold start, in milliseconds of CPU and in memory
(docs/performance.md says how many). Modules are counted, not time, so the same code always has the same result.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Set
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from msgspec import Struct, to_builtins

ROOT = Path(__file__).parents[1]
FUNCTIONS = tuple(sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py")))
BUDGET = ROOT / "tests" / "unit" / "import_budget.json"
WATCHED = (
    "dataclasses",
    "email.message",
    "http.client",
    "importlib.metadata",
    "importlib.resources",
    "multiprocessing",
    "tempfile",
    "urllib.request",
    "xml.etree",
    "xml.sax",
    "zipfile",
)
"""Of the standard library: each takes milliseconds, alone or by what it loads in turn."""
EVERYBODYS = ("asyncio", "logging", "ssl")
"""Every function needs them, and some interpreters load with them what is WATCHED: 3.14 has dataclasses in asyncio.
https://github.com/python/cpython/blob/3.14/Lib/asyncio/graph.py
"""
LAMBDAS_OWN = {"boto3", "botocore"}
STEP = 10
_NAMES = """\
import sys
before = set(sys.modules)
import app
if hasattr(app, "app"):
    import gateway.entry.runtime.__main__
print(*(set(sys.modules) - before - {"app"}))
"""


class Loaded(Struct, frozen=True):
    """`packages`: third-party, by the names they are imported by. `standard`: of WATCHED. `modules`: of our own; in the
    table, how many there may be.
    """

    packages: list[str]
    standard: list[str]
    modules: int

    @classmethod
    def of(cls, names: Iterable[str]) -> Loaded:
        """Of the names of all modules."""
        known = set(names)
        packages = {name.partition(".")[0] for name in known} & deployed()
        own = [name for name in known if name.partition(".")[0] == "gateway"]
        return cls(sorted(packages), sorted(known & set(WATCHED)), len(own))

    def keeps(self, budget: Loaded, given: Set[str]) -> bool:
        """`given`: what of WATCHED this interpreter loads for EVERYBODYS, so that its being there says nothing."""
        other = {*self.standard} ^ {*budget.standard}
        return self.packages == budget.packages and other <= given and self.modules <= budget.modules

    def budget(self) -> Loaded:
        """With room for a few modules more, so that not every new file needs another table."""
        return Loaded(self.packages, self.standard, math.ceil((self.modules + 1) / STEP) * STEP)


@cache
def deployed() -> set[str]:
    """Names of all packages that there are on Lambda: other ones are installed here for tests, and found by chance."""
    locked = (ROOT / "layers" / "deps" / "requirements.txt").read_text()
    layer = set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))
    names = {
        name: {re.sub(r"[-_.]+", "-", each).lower() for each in of} for name, of in packages_distributions().items()
    }
    return LAMBDAS_OWN | {name for name, of in names.items() if of & layer}


def loaded_by(function: str) -> Loaded:
    """In a process of its own, as on Lambda: with its runtime client, where it has ours."""
    folders = (ROOT / "functions" / function, ROOT / "layers" / "gateway")
    return Loaded.of(_names(_NAMES, {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(map(str, folders))}))


def given() -> set[str]:
    """Of WATCHED, what EVERYBODYS bring in this interpreter."""
    return {*_names(f"import sys, {', '.join(EVERYBODYS)}; print(*sys.modules)", {})} & {*WATCHED}


def _names(code: str, environment: dict[str, str]) -> list[str]:
    ran = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-P", "-c", code],
        env={**environment, "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.split()


ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "GATEWAY_STACK": "gateway",
    "GATEWAY_SHARED_DIR": str(ROOT / "shared"),
    "GATEWAY_TENANTS_TABLE": "tenants",
    "GATEWAY_LEDGER_TABLE": "ledger",
    "GATEWAY_JOBS_TABLE": "jobs",
    "GATEWAY_USAGE_TABLE": "usage",
    "GATEWAY_REALTIME_TABLE": "realtime",
    "GATEWAY_HEALTH_TABLE": "health",
    "GATEWAY_JOB_MACHINE": "arn:aws:states:us-east-1:000000000000:stateMachine:job",
    "GATEWAY_BATCH_MACHINE": "arn:aws:states:us-east-1:000000000000:stateMachine:batch",
    "GATEWAY_EVENT_BUS": "gateway",
    "GATEWAY_RECORDS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/records",
    "GATEWAY_FILES_BUCKET": "files",
    "GATEWAY_ARCHIVE_BUCKET": "archive",
    "GATEWAY_AUDIT_LOG_GROUP": "audit",
    "GATEWAY_USAGE_RECORD_DAYS": "90",
    "GATEWAY_LOST_AFTER_S": "1800",
    "GATEWAY_REALTIME_LONGEST_MINUTES": "60",
    "GATEWAY_REALTIME_IDLE_S": "300",
    "GATEWAY_REALTIME_ROLLOVER_S": "600",
    "GATEWAY_REALTIME_WINDOW_MS": "50",
}
"""Of any function; nothing is called."""


def table(loaded: dict[str, Loaded]) -> str:
    """As JSON, a line for each function."""
    lines = (f"  {json.dumps(name)}: {json.dumps(to_builtins(each.budget()))}" for name, each in sorted(loaded.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    if found := given():
        raise SystemExit(
            f"{', '.join(sorted(found))}: loaded by asyncio itself here. Use an older Python for the table."
        )
    BUDGET.write_text(table({function: loaded_by(function) for function in FUNCTIONS}))
