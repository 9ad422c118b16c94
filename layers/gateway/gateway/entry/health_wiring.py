"""How the health of providers is watched, by the function's environment."""

from __future__ import annotations

import os

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.health import DynamoHealth
from gateway.model.circuit import Rules
from gateway.pipeline.shared_health import SharedHealth
from gateway.ports import Clock, Records


def shared_health(dynamodb: AwsApi, clock: Clock, records: Records) -> SharedHealth:
    environment = os.environ
    watched = environment.get("GATEWAY_WATCHED_PROVIDERS", "").replace(" ", "")
    rules = Rules(
        watched=tuple(filter(None, watched.split(","))),
        failures=int(environment.get("GATEWAY_CIRCUIT_FAILURES", "5")),
        open_s=float(environment.get("GATEWAY_CIRCUIT_OPEN_S", "30")),
    )
    slow_ms = int(environment.get("GATEWAY_SLOW_FIRST_CONTENT_S", "60")) * 1000
    store = DynamoHealth(dynamodb, environment.get("GATEWAY_HEALTH_TABLE", ""))
    return SharedHealth(rules, slow_ms, store, clock, records)
