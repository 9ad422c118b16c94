"""docs/capabilities.md is what the script writes, and the matrix behind it leaves nothing out."""

from __future__ import annotations

import pytest

from gateway.providers.lookup import provider_named
from scripts.write_capabilities import PAGE, page
from tests.e2e.forms import Media
from tests.e2e.matrix import CATALOG, CELLS, MEDIA, REASONING, ROWS, SCHEMAS, Row, chat_models, refusal, takes

PROVIDERS = sorted(path.stem for path in CATALOG.glob("*.json") if provider_named(path.stem).wires)


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run scripts/write_capabilities.py"


def test_every_provider_has_a_row_and_no_row_stands_twice() -> None:
    assert sorted({row.provider for row in ROWS}) == PROVIDERS
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_any_model_of_a_provider_does_is_shown(provider: str) -> None:
    """So that a capability that is refused in every row of a provider is one that no model of its catalog has."""
    rows = [row.facts for row in ROWS if row.provider == provider]
    for cell in CELLS:
        assert any(takes(facts, cell) for facts in rows) is any(takes(facts, cell) for facts in chat_models(provider))
    spoken = provider_named(provider).wires.keys()
    assert {facts.api for facts in rows} == {facts.api for facts in chat_models(provider)} & spoken


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_what_passes_and_who_says_what_does_not(row: Row) -> None:
    for cell in CELLS:
        refused = refusal(row, cell)
        assert refused is None or refused.source.startswith("https://")
    assert (row.reasoning in REASONING) is takes(row.facts, "reasoning")
    assert (row.schema == "native") <= ("structured_output" in row.facts.capabilities)
    assert row.schema in SCHEMAS
    for kind in MEDIA:
        if takes(row.facts, kind):
            assert getattr(row.form, kind)(Media("a/b", "")) is not None


def test_a_refusal_rests_on_the_last_that_was_read() -> None:
    """The data says that xAI's models take documents; their maker says under which conditions."""
    row = next(row for row in ROWS if row.provider == "xai")
    refused = refusal(row, "document")
    assert refused is not None
    assert refused.source == "https://docs.x.ai/developers/files"
