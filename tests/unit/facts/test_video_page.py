"""docs/video.md says of every maker of videos what the catalog says."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from gateway.model.catalog import ModelFacts, ProviderCatalog
from gateway.providers.lookup import provider_named
from tests.unit.facts.facts import CATALOG

PAGE = (Path(__file__).parents[3] / "docs" / "video.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+/[\w.-]+)` \| (.*) \|$", PAGE, re.MULTILINE))
PICTURES = {"optional": "may", "required": "must"}
PICO_PER_USD = 10**12


def makers() -> dict[str, ModelFacts]:
    found: dict[str, ModelFacts] = {}
    for path in sorted(CATALOG.glob("*.json")):
        if provider_named(path.stem).videos:
            rows = msgspec.json.decode(path.read_bytes(), type=ProviderCatalog).models
            found |= {f"{path.stem}/{row.id}": row for row in rows if row.video is not None}
    return found


def test_the_page_has_every_maker() -> None:
    assert set(ROWS) == set(makers())


@pytest.mark.parametrize("model_id", ROWS)
def test_a_row_is_the_catalogs(model_id: str) -> None:
    row = makers()[model_id]
    assert row.video is not None
    sizes, seconds, picture, prices = (cell.strip() for cell in ROWS[model_id].split("|"))
    resolutions = list(dict.fromkeys(size.resolution for size in row.video.sizes))
    assert sizes.partition(";")[0].split(", ") == resolutions
    numbers = [int(number) for number in re.findall(r"\d+", seconds.partition(";")[0])]
    assert numbers in (list(row.video.seconds), [row.video.seconds[0], row.video.seconds[-1]])
    longer = [size.seconds for size in row.video.sizes if size.seconds]
    assert set(longer) == ({(8,)} if "above 720p 8" in seconds else set())
    assert picture.split(",")[0] == PICTURES[row.video.picture]
    by_variant = {price.variant: price for price in row.unit_prices if price.unit == "video_ms"}
    printed = [Decimal(by_variant[name].pico_usd * 1000 // by_variant[name].per) / PICO_PER_USD for name in resolutions]
    assert [Decimal(price) for price in prices.split(", ")] == printed
