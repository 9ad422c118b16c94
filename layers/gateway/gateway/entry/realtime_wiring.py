"""What sessions of voice need beside the world of all requests: decided once per execution environment."""

from __future__ import annotations

import os

from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.client_connections import ApiGatewayClients
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


def aws_voice() -> Voice:
    """On AWS, and on the local stack."""
    environment, clock, client = os.environ, SystemClock(), HttpClient()
    keys, region = RoleKeys(client, clock), environment["AWS_REGION"]
    local_endpoint = environment.get("GATEWAY_LOCAL_ENDPOINT", "")

    def endpoint(name: str) -> str:
        return local_endpoint or f"https://{name}.{region}.amazonaws.com"

    service = Service("dynamodb", "DynamoDB_20120810", "1.0", f"{endpoint('dynamodb')}/")
    dynamodb = AwsApi(service, region, keys=keys, client=client, clock=clock)
    functions = LambdaApi(endpoint("lambda"), region, keys, client, clock)
    table, stack = environment["GATEWAY_REALTIME_TABLE"], environment["GATEWAY_STACK"]
    after_restore(client.aclose)
    return Voice(
        sessions=DynamoSessions(dynamodb, table),
        frames=DynamoFrames(dynamodb, table),
        clients=ApiGatewayClients(region, local_endpoint, keys=keys, client=client, clock=clock),
        holders=LambdaHolders(functions, f"{stack}-realtime-session:live"),
    )
