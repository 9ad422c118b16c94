"""The administrator's key from Secrets Manager: cached, read again when doubted, never kept over a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from gateway.adapters.aws.admin_key import DOUBTED_AFTER_S, KEEP_S, SecretsManagerAdminKey
from gateway.adapters.aws.api import AwsApi
from gateway.model.errors import AdmissionUnavailable
from tests.fakes import ManualClock
from tests.ports.conftest import REGION


@pytest.fixture
def secrets(aws_url: str, aws_keys: None) -> Iterator[Any]:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.create_secret(Name="stack/admin-key", SecretString="first")
    yield client
    client.delete_secret(SecretId="stack/admin-key", ForceDeleteWithoutRecovery=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def admin_key(secrets_api: AwsApi, clock: ManualClock) -> SecretsManagerAdminKey:
    return SecretsManagerAdminKey(secrets_api, "stack", clock)


def rotate(secrets: Any) -> None:
    secrets.put_secret_value(SecretId="stack/admin-key", SecretString="second")


async def test_it_is_kept_for_minutes(secrets: Any, admin_key: SecretsManagerAdminKey, clock: ManualClock) -> None:
    assert (await admin_key.current()).reveal() == "first"
    rotate(secrets)
    clock.running_s += KEEP_S - 1
    assert (await admin_key.current()).reveal() == "first"
    clock.running_s += 1
    assert (await admin_key.current()).reveal() == "second"


async def test_a_doubt_reads_it_again_but_not_with_every_wrong_key(
    secrets: Any, admin_key: SecretsManagerAdminKey, clock: ManualClock
) -> None:
    await admin_key.current()
    rotate(secrets)
    clock.running_s += DOUBTED_AFTER_S - 1
    assert (await admin_key.current(is_doubted=True)).reveal() == "first"
    clock.running_s += 1
    assert (await admin_key.current(is_doubted=True)).reveal() == "second"
    assert (await admin_key.current()).reveal() == "second"


async def test_what_is_forgotten_is_read_again(secrets: Any, admin_key: SecretsManagerAdminKey) -> None:
    await admin_key.current()
    rotate(secrets)
    admin_key.forget()
    assert (await admin_key.current()).reveal() == "second"


async def test_nobody_is_let_in_by_a_key_that_cannot_be_read(
    secrets: Any, admin_key: SecretsManagerAdminKey, clock: ManualClock, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    await admin_key.current()
    secrets.delete_secret(SecretId="stack/admin-key", ForceDeleteWithoutRecovery=True)
    clock.running_s += KEEP_S
    with pytest.raises(AdmissionUnavailable):
        await admin_key.current()
    assert b"admin_key.unavailable" in capfdbinary.readouterr().out
    secrets.create_secret(Name="stack/admin-key", SecretString="third")
    assert (await admin_key.current()).reveal() == "third"
