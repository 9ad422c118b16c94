"""What is seeded, without a stack."""

from __future__ import annotations

import stat
from pathlib import Path

from local import seed
from local.settings import Credential


def test_the_demo_keys_are_made_once_and_are_nobody_elses_business(tmp_path: Path) -> None:
    memory = tmp_path / "state" / "demo-keys.json"
    keys = seed.demo_keys(memory)
    assert len({keys.alice, keys.bob}) == 2
    assert all(key.startswith("gwk_") and len(key) == 47 for key in (keys.alice, keys.bob))
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    assert seed.demo_keys(memory) == keys


def test_a_provider_is_simulated_unless_it_is_real() -> None:
    real = {"openai": Credential("sk", None), "azure": Credential("k", "https://a.example")}
    found = seed.credentials(real, "http://127.0.0.1:1")
    assert found["openai"] == Credential("sk", None)
    assert found["azure"] == Credential("k", "https://a.example")
    assert found["anthropic"] == Credential("sim-anthropic", "http://127.0.0.1:1/anthropic")
    assert found["groq"] == Credential("sim-groq", "http://127.0.0.1:1/groq/openai/v1")
