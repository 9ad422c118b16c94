"""What a job that waits adds to the ledger, of which every write is billed by the size of its whole item."""

from __future__ import annotations

from base64 import b64decode

from gateway.adapters.aws.stored_hold import stored
from gateway.adapters.memory_ledger import MemoryLedger
from local.places import REPOSITORY
from tests.unit.test_jobs import Gateway, gateway

__all__ = ["gateway"]


def largest(gateway: Gateway) -> list[int]:
    """Bytes of name and value of a hold, of each account."""
    assert isinstance(gateway.world.ledger, MemoryLedger)
    accounts = gateway.world.ledger._holds.values()
    return sorted(
        max(len(name) + len(b64decode(stored(hold)["B"])) for name, hold in each.items()) for each in accounts
    )


async def test_a_job_that_waits_holds_no_facts_for_its_record_has_them(gateway: Gateway) -> None:
    for number in range(20):
        await gateway.accepted(metadata={"conversation_id": f"{number:032}"})
    held = largest(gateway)
    assert max(held) <= 40
    assert f"about {max(held)} bytes" in (REPOSITORY / "docs" / "admin.md").read_text()
