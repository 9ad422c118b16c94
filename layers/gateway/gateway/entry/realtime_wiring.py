"""What sessions of voice need beside the world of all requests: decided once per execution environment."""

from __future__ import annotations

import os

from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.client_connections import ApiGatewayClients
from gateway.adapters.aws.client_secrets import DynamoClientSecrets
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.aws.realtime_frames import DynamoFrames
from gateway.adapters.aws.realtime_sessions import DynamoSessions
from gateway.adapters.aws.session_holders import LambdaHolders
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.entry.runtime.snapshot import after_restore
from gateway.model.realtime_call import Terms
from gateway.realtime_ports import Voice


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
        self.table = os.environ["GATEWAY_REALTIME_TABLE"]
        after_restore(self.client.aclose)

    def endpoint(self, name: str) -> str:
        return self.local_endpoint or f"https://{name}.{self.region}.amazonaws.com"

    def dynamodb(self) -> AwsApi:
        service = Service("dynamodb", "DynamoDB_20120810", "1.0", f"{self.endpoint('dynamodb')}/")
        return AwsApi(service, self.region, keys=self.keys, client=self.client, clock=self.clock)

    def secrets(self, dynamodb: AwsApi) -> DynamoClientSecrets:
        return DynamoClientSecrets(dynamodb, self.table)


def aws_voice() -> Voice:
    """On AWS, and on the local stack."""
    aws = _Aws()
    keys, client, clock, region = aws.keys, aws.client, aws.clock, aws.region
    dynamodb, functions = aws.dynamodb(), LambdaApi(aws.endpoint("lambda"), region, keys, client, clock)
    return Voice(
        sessions=DynamoSessions(dynamodb, aws.table),
        frames=DynamoFrames(dynamodb, aws.table),
        clients=ApiGatewayClients(region, aws.local_endpoint, keys=keys, client=client, clock=clock),
        holders=LambdaHolders(functions, f"{os.environ['GATEWAY_STACK']}-realtime-session:live"),
        secrets=aws.secrets(dynamodb),
    )


def aws_client_secrets() -> DynamoClientSecrets:
    """As `aws_voice`, for who only makes them."""
    aws = _Aws()
    return aws.secrets(aws.dynamodb())
