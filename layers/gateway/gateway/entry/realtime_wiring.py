"""What sessions of voice need beside the world of all requests: decided once per execution environment."""

from __future__ import annotations

import os

from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.client_connections import ApiGatewayClients
from gateway.adapters.aws.client_secrets import DynamoGrants
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.aws.realtime_frames import DynamoFrames
from gateway.adapters.aws.realtime_sessions import DynamoSessions
from gateway.adapters.aws.session_holders import LambdaHolders
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.entry.runtime.snapshot import after_restore
from gateway.model.realtime_call import Terms
from gateway.realtime_ports import Grants, Voice


def terms_from_environment() -> Terms:
    environment = os.environ
    return Terms(
        longest_s=60.0 * int(environment["GATEWAY_REALTIME_LONGEST_MINUTES"]),
        idle_s=float(environment["GATEWAY_REALTIME_IDLE_S"]),
        rollover_s=float(environment["GATEWAY_REALTIME_ROLLOVER_S"]),
        window_ms=int(environment["GATEWAY_REALTIME_WINDOW_MS"]),
    )


class _Aws:
    """The services of one environment."""

    def __init__(self) -> None:
        self.clock, self.client = SystemClock(), HttpClient()
        self.keys, self.region = RoleKeys(self.client, self.clock), os.environ["AWS_REGION"]
        self.local_endpoint = os.environ.get("GATEWAY_LOCAL_ENDPOINT", "")
        service = Service("dynamodb", "DynamoDB_20120810", "1.0", f"{self.endpoint('dynamodb')}/")
        self.dynamodb = AwsApi(service, self.region, keys=self.keys, client=self.client, clock=self.clock)
        self.table = os.environ["GATEWAY_REALTIME_TABLE"]
        after_restore(self.client.aclose)

    def endpoint(self, name: str) -> str:
        return self.local_endpoint or f"https://{name}.{self.region}.amazonaws.com"


def aws_voice() -> Voice:
    """On AWS, and on the local stack."""
    aws = _Aws()
    functions = LambdaApi(aws.endpoint("lambda"), aws.region, aws.keys, aws.client, aws.clock)
    clients = ApiGatewayClients(aws.region, aws.local_endpoint, keys=aws.keys, client=aws.client, clock=aws.clock)
    return Voice(
        sessions=DynamoSessions(aws.dynamodb, aws.table),
        frames=DynamoFrames(aws.dynamodb, aws.table),
        clients=clients,
        holders=LambdaHolders(functions, f"{os.environ['GATEWAY_STACK']}-realtime-session:live"),
        grants=DynamoGrants(aws.dynamodb, aws.table),
    )


def aws_grants() -> Grants:
    aws = _Aws()
    return DynamoGrants(aws.dynamodb, aws.table)
