"""docs/speech.md and docs/transcription.md say of every provider what the catalog does."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from typing import Any

import gateway.providers
from gateway.providers.lookup import has_provider, provider_named
from tests.unit.facts.facts import CATALOG, read_json

DOCS = Path(__file__).parents[3] / "docs"
SPEECH, TRANSCRIPTION = (DOCS / "speech.md").read_text(), (DOCS / "transcription.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
NAMES = sorted(name for _, name, _ in pkgutil.iter_modules(gateway.providers.__path__) if has_provider(name))


def rows_of(provider: str, member: str) -> list[dict[str, Any]]:
    return [row for row in read_json(CATALOG / f"{provider}.json")["models"] if member in row]


def providers_table(page: str) -> list[tuple[str, list[str]]]:
    table = page.partition("\n## Providers\n")[2].partition("\n## ")[0]
    return [(name, [cell.strip() for cell in cells.split("|")]) for name, cells in ROW.findall(table)]


def test_the_table_of_speakers() -> None:
    table = providers_table(SPEECH)
    assert [name for name, _ in table] == [name for name in NAMES if provider_named(name).speech]
    for name, (formats, speed, characters, _) in table:
        facts = [row["speech"] for row in rows_of(name, "speech")]
        assert {fact["formats"] and ", ".join(fact["formats"]) for fact in facts} == {formats}
        most = [fact["max_input"] for fact in facts]
        told = {int(number.replace(",", "")) for number in re.findall(r"[\d,]+", characters)}
        assert {min(most), max(most)} == told
        speeds = {f"{fact['min_speed']:g} to {fact['max_speed']:g}" for fact in facts if "min_speed" in fact}
        assert speeds == set(re.findall(r"[\d.]+ to [\d.]+", speed))


def test_the_table_of_writers() -> None:
    table = providers_table(TRANSCRIPTION)
    assert sorted({name for name, _ in table}) == [name for name in NAMES if provider_named(name).transcriptions]
    for name, (models, times, streams, takes) in table:
        named = re.findall(r"`([\w.-]+)`", models)
        rows = rows_of(name, "transcription")
        assert set(named) <= {row["id"] for row in rows}
        for row in rows:
            if named and row["id"] not in named:
                continue
            facts = row["transcription"]
            assert bool(times) is ("timestamps" in facts), row["id"]
            assert bool(streams) is ("streaming" in row["capabilities"]), row["id"]
            wanted = [
                word for word in ("language", "languages", "prompt", "keywords", "temperature") if facts.get(word)
            ]
            assert takes == ", ".join(wanted), row["id"]


def test_whoever_speaks_or_writes_is_priced() -> None:
    for name in NAMES:
        provider = provider_named(name)
        for member, wires in (("speech", provider.speech), ("transcription", provider.transcriptions)):
            for row in rows_of(name, member):
                assert row["api"] in wires or not wires, row["id"]
                if wires:
                    assert row.get("unit_prices") or row.get("prices"), row["id"]
