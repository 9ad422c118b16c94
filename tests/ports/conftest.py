"""The outside world of the port suite: moto's AWS over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from threading import Lock, Thread
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

REGION = "eu-west-1"


class OneByOne:
    """moto reads an item and writes it in two steps: of two requests at once one can be lost, as never with AWS."""

    def __init__(self) -> None:
        self._aws, self._turn = DomainDispatcherApplication(create_backend_app), Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        with self._turn:
            return list(self._aws(environ, start_response))


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, OneByOne(), threaded=True, request_handler=MotoRequestHandler)
    serving = Thread(target=server.serve_forever)
    serving.start()
    yield f"http://{server.host}:{server.port}"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
async def http_client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.aclose()


def aws_api(client: HttpClient, url: str, name: str, target: str, version: str) -> AwsApi:
    clock = SystemClock()
    service = Service(name, target, version, f"{url}/")
    return AwsApi(service, REGION, keys=RoleKeys(client, clock), client=client, clock=clock)


@pytest.fixture
def dynamodb_api(aws_url: str, aws_keys: None, http_client: HttpClient) -> AwsApi:
    return aws_api(http_client, aws_url, "dynamodb", "DynamoDB_20120810", "1.0")


@pytest.fixture
def secrets_api(aws_url: str, aws_keys: None, http_client: HttpClient) -> AwsApi:
    return aws_api(http_client, aws_url, "secretsmanager", "secretsmanager", "1.1")


@pytest.fixture
def tenants_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "tenants", "pk", "sk")


@pytest.fixture
def usage_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "usage", "pk", "sk")


@pytest.fixture
def health_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "health", "pk", "sk")


@pytest.fixture
def ledger_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "ledger", "pk")


def table_of(aws_url: str, name: str, *keys: str) -> Iterator[str]:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
    )
    yield table.name
    table.delete()
