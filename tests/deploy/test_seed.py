"""What is seeded, without a stack."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, cast

import pytest

from local import seed
from local.admin_client import AdminClient
from local.settings import Credential


class Administration:
    """Tenants and key ids that there are; every call so far."""

    def __init__(self) -> None:
        self.tenants: set[str] = set()
        self.deleted: set[str] = set()
        self.keys: dict[str, str] = {}
        self.issued = 0

    def get(self, path: str, expected: Any = ()) -> tuple[int, dict[str, Any]]:
        _, _, tenant, *rest = path.split("/")
        return (200 if tenant in self.tenants and (not rest or rest[-1] in self.keys) else 404), {}

    def post(self, path: str, body: dict[str, Any], expected: Any = ()) -> tuple[int, dict[str, Any]]:
        if path == "/tenants":
            is_new = body["id"] not in self.tenants | self.deleted
            self.tenants |= {body["id"]} if is_new else set()
            return (201 if is_new else 409), {}
        self.issued += 1
        key_id = f"key_{self.issued}"
        self.keys[key_id] = body["user_id"]
        return 201, {"id": key_id, "key": f"gwk_{body['user_id']}_{self.issued}", "label": "x"}


@pytest.fixture
def admin() -> Administration:
    return Administration()


def keys_of(admin: Administration, memory: Path) -> seed.DemoKeys:
    return seed.demo_keys(cast(AdminClient, admin), memory)


def test_the_demo_keys_are_made_once_and_are_nobody_elses_business(admin: Administration, tmp_path: Path) -> None:
    memory = tmp_path / "state" / "demo-keys.json"
    keys = keys_of(admin, memory)
    assert keys == seed.DemoKeys("gwk_alice_1", "gwk_bob_2")
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    assert keys_of(admin, memory) == keys
    assert len(admin.keys) == 2


def test_a_key_that_the_gateway_has_lost_is_made_again(admin: Administration, tmp_path: Path) -> None:
    memory = tmp_path / "demo-keys.json"
    memory.write_text('{"alice": "gwk_of_an_older_version"}')
    first = keys_of(admin, memory)
    del admin.keys["key_2"]
    again = keys_of(admin, memory)
    assert again.alice == first.alice
    assert again.bob != first.bob


def test_a_demo_tenant_that_was_deleted_does_not_come_back(admin: Administration, tmp_path: Path) -> None:
    memory = tmp_path / "demo-keys.json"
    keys = keys_of(admin, memory)
    admin.deleted, admin.tenants = admin.tenants, set()
    assert keys_of(admin, memory) == keys
    assert len(admin.keys) == 2


def test_a_provider_is_simulated_unless_it_is_real() -> None:
    real = {"openai": Credential("sk", None), "azure": Credential("k", "https://a.example")}
    found = seed.credentials(real, "http://127.0.0.1:1")
    assert found["openai"] == Credential("sk", None)
    assert found["azure"] == Credential("k", "https://a.example")
    assert found["anthropic"] == Credential("sim-anthropic", "http://127.0.0.1:1/anthropic")
    assert found["groq"] == Credential("sim-groq", "http://127.0.0.1:1/groq/openai/v1")
