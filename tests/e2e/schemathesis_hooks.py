"""Hooks of Schemathesis, which runs in an environment of its own and finds this file by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from typing import Any

import schemathesis  # type: ignore[import-not-found]  # not in the environment of the tests

FIRST, ONE_IN = 12, 12
SPARED = set(os.environ.get("CONTRACT_SPARED", "").split(","))
"""Tenants of others, whose ids Schemathesis reads in answers and would put into paths that disable and delete."""
_made: Counter[str] = Counter()


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_case(_context: Any, case: Any) -> bool:
    """Coverage makes hundreds for a large body, one like the other: the first are sent, then one in so many.
    `make fuzz` sends all.
    """
    if (case.path_parameters or {}).get("tenant_id") in SPARED:
        return False
    if "CONTRACT_EXAMPLES" in os.environ or case.meta is None or case.meta.phase.name.value != "coverage":
        return True
    _made[case.operation.label] += 1
    made = _made[case.operation.label]
    return made <= FIRST or made % ONE_IN == 0


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_case(_context: Any, case: Any) -> Any:
    """The key of another request makes a conflict of every request, and nothing is seen of what else is in it."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and key.isalnum() and len(key) < 255:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    return case
