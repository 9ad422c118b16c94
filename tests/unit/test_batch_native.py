"""Batches over the providers' own, from the order to the books: what becomes of each line, and of the whole."""

from __future__ import annotations

from typing import Any

from tests.batch_stage import chat
from tests.shipping_stage import NativeStage

GIVE, WAIT, COLLECT = "Give it to the provider", "Wait for the provider", "Collect the results"


def requests(count: int = 4, model: str = "openai/gpt") -> list[dict[str, Any]]:
    return [chat(f"c-{number}", model, f"text {number}") for number in range(count)]


async def test_lines_are_answered_by_their_providers_own_batches() -> None:
    stage = NativeStage.native()
    models = ("openai/gpt", "anthropic/gpt", "google/gpt")
    lines = [chat(f"{model}-{number}", model, f"text {number}") for number in range(3) for model in models]
    batch_id = await stage.ordered(lines)
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert shown["counts"] == {"pending": 0, "in_progress": 0, "completed": 9, "failed": 0, "cancelled": 0}
    output = await stage.lines_of(shown["output_file_id"])
    assert sorted(line["custom_id"] for line in output) == sorted(line["custom_id"] for line in lines)
    assert {line["response"]["body"]["service_tier"] for line in output} == {"batch"}
    for provider in stage.providers.apis:
        assert [len(batch.items) for batch in stage.providers.batches(provider)] in ([3], [])
    assert set(stage.providers.given().values()) <= {1}
    await stage.check_books()
