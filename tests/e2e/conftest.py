"""The deployed gateway under test: the local stack, started once for the run, or what BASE_URL and KEY point at.

Against a gateway elsewhere (`make smoke`) the tests that steer the simulators or look into the account are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

from local.testing import gateway_under_test
from tests.e2e.contract import check_admin_answer, check_answer
from tests.e2e.tenants import administer

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Gateway:
    """`http`: base URL that ends in /v1. `simulators`: base URL of theirs, empty when the providers are real.
    `admin_key`: empty elsewhere than on the local stack.

    `folder`: where the local stack keeps its state and logs, None elsewhere.
    """

    http: str
    api_key: str
    second_api_key: str
    aws_endpoint_url: str
    simulators: str
    folder: Path | None
    admin_key: str = ""

    @property
    def origin(self) -> str:
        return self.http.removesuffix("/v1")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("stack")
    with gateway_under_test(folder) as found:
        if found.admin_key:
            administer(found.aws_endpoint_url, found.http.removesuffix("/v1"), found.admin_key)
        yield Gateway(
            found.http,
            found.api_key,
            found.second_api_key,
            found.aws_endpoint_url,
            found.simulators,
            folder if found.simulators else None,
            found.admin_key,
        )


@pytest.fixture
def local(gateway: Gateway) -> Gateway:
    """The gateway, when its providers are our simulators."""
    if not gateway.simulators:
        pytest.skip("steers the provider simulators, which only the local stack has")
    return gateway


def _check_admin(response: httpx.Response) -> None:
    response.read()
    url = response.request.url
    if response.headers["content-type"].startswith("text/csv"):
        return
    check_admin_answer(response.request.method, url.raw_path.decode(), response.status_code, response.json())


def check_response(response: Any) -> None:
    response.read()
    check_answer(
        response.request.url.path, response.status_code, response.headers.get("content-type", ""), response.content
    )


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    """A plain client with the key; every answer is held against the contract."""
    headers, hooks = {"authorization": f"Bearer {gateway.api_key}"}, {"response": [check_response]}
    with httpx.Client(base_url=gateway.http, headers=headers, timeout=60, event_hooks=hooks) as client:
        yield client


@pytest.fixture
def admin(local: Gateway) -> Iterator[httpx.Client]:
    """The administrator of the local stack; every answer is held against the contract."""
    headers = {"authorization": f"Bearer {local.admin_key}"}
    hooks = {"response": [_check_admin]}
    url = f"{local.origin}/admin"
    with httpx.Client(base_url=url, headers=headers, timeout=60, event_hooks=hooks) as client:
        yield client


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The official client, only base URL and key changed; every answer is held against the contract."""
    with (
        httpx2.Client(timeout=60, event_hooks={"response": [check_response]}) as transport,
        openai.OpenAI(base_url=gateway.http, api_key=gateway.api_key, max_retries=0, http_client=transport) as client,
    ):
        yield client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is logged is read last, so that it is what all the others made the stack log."""
    items.sort(key=lambda item: item.path.name == "test_silence.py")
