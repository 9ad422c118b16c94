"""Which adapters fulfil the ports: decided once per execution environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import gateway
from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.keys import DynamoKeys
from gateway.adapters.aws.secrets import SecretsManagerCredentials
from gateway.adapters.catalog import FileCatalog
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.adapters.outbound import PooledOutbound
from gateway.adapters.telemetry import StdoutRecords
from gateway.entry.runtime.snapshot import after_restore, before_snapshot
from gateway.ports import World


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment. `local_endpoint`: of the local AWS stack, empty on AWS."""

    stack: str
    tenants_table: str
    region: str
    local_endpoint: str
    admission_timeout_s: float
    shared: Path

    @classmethod
    def from_environment(cls) -> Settings:
        environment = os.environ
        return cls(
            stack=environment["GATEWAY_STACK"],
            tenants_table=environment["GATEWAY_TENANTS_TABLE"],
            region=environment["AWS_REGION"],
            local_endpoint=environment.get("GATEWAY_LOCAL_ENDPOINT", ""),
            admission_timeout_s=int(environment.get("GATEWAY_ADMISSION_TIMEOUT_MS", "1000")) / 1000,
            shared=shared_folder(),
        )


def shared_folder() -> Path:
    """The facts: beside `python/` in the layer, or where GATEWAY_SHARED_DIR says."""
    if given := os.environ.get("GATEWAY_SHARED_DIR"):
        return Path(given)
    return Path(gateway.__file__).parents[2] / "shared"


def aws_world() -> World:
    """The world on AWS, and on the local stack, which answers the same APIs."""
    settings = Settings.from_environment()
    clock = SystemClock()
    client = HttpClient()
    keys = RoleKeys(client, clock)

    def api(name: str, target: str, version: str) -> AwsApi:
        url = settings.local_endpoint or f"https://{name}.{settings.region}.amazonaws.com"
        return AwsApi(Service(name, target, version, f"{url}/"), settings.region, keys=keys, client=client, clock=clock)

    credentials = SecretsManagerCredentials(api("secretsmanager", "secretsmanager", "1.1"), settings.stack, clock)
    before_snapshot(credentials.forget)
    after_restore(client.aclose)
    return World(
        keys=DynamoKeys(
            api("dynamodb", "DynamoDB_20120810", "1.0"), settings.tenants_table, settings.admission_timeout_s
        ),
        credentials=credentials,
        catalog=FileCatalog(settings.shared / "catalog"),
        outbound=PooledOutbound(client),
        records=StdoutRecords(clock),
        clock=clock,
    )
