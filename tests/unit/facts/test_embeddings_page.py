"""docs/embeddings.md says of every maker of vectors what its wire does."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import gateway.providers
from gateway.providers.contract import EmbeddingsWire
from gateway.providers.lookup import has_provider, provider_named
from gateway.providers.wire.hosted import HostedEmbeddings
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings

PAGE = (Path(__file__).parents[3] / "docs" / "embeddings.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|([^|]+)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def _said(wire: EmbeddingsWire) -> tuple[int | None, bool, bool]:
    inner = wire.wire if isinstance(wire, HostedEmbeddings) else wire
    shaped = inner if isinstance(inner, OpenAiEmbeddings) else None
    return inner.max_inputs, bool(shaped and shaped.tokens), bool(shaped and "base64" in shaped.encodings)


def test_the_table_of_providers() -> None:
    names = sorted(name for _, name, _ in pkgutil.iter_modules(gateway.providers.__path__) if has_provider(name))
    made = {name: {_said(wire) for wire in provider_named(name).embeddings.values()} for name in names}
    told = {
        name: {
            (int(most) if most else None, tokens.strip() == "yes", base64.strip() == "yes")
            for most in re.findall(r"\d+", inputs) or [""]
        }
        for name, inputs, tokens, base64 in ROW.findall(PAGE)
    }
    assert told == {name: said for name, said in made.items() if said}
