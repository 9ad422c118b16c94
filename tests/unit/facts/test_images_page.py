"""docs/images.md says of every maker of images what its wire does."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import gateway.providers
from gateway.providers.contract import ImagesWire
from gateway.providers.lookup import has_provider, provider_named
from gateway.providers.wire.hosted import HostedImages
from gateway.providers.wire.openai_images import OpenAiImages
from tests.unit.facts.facts import CATALOG, read_json

PAGE = (Path(__file__).parents[3] / "docs" / "images.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|([^|]*\d[^|]*)\| (pixels|shape) \|$", re.MULTILINE)


def _said(wire: ImagesWire) -> tuple[int, str]:
    inner = wire.wire if isinstance(wire, HostedImages) else wire
    takes_pixels = isinstance(inner, OpenAiImages) and inner.size != "shape"
    return wire.max_images, "pixels" if takes_pixels else "shape"


def test_the_table_of_providers() -> None:
    names = sorted(name for _, name, _ in pkgutil.iter_modules(gateway.providers.__path__) if has_provider(name))
    made = {name: {_said(wire) for wire in provider_named(name).images.values()} for name in names}
    told = {
        name: {(int(most), size) for most in re.findall(r"\b\d+\b", images)} for name, images, size in ROW.findall(PAGE)
    }
    assert told == {name: said for name, said in made.items() if said}


def test_models_are_told_sizes_as_their_wire_tells_them() -> None:
    """A model whose provider is told shapes has shapes, and no other has."""
    for path in CATALOG.glob("*.json"):
        wires = provider_named(path.stem).images
        for row in read_json(path)["models"]:
            if (facts := row.get("image")) is not None:
                _, size = _said(wires[row["api"]])
                assert ("ratios" in facts) is (size == "shape"), row["id"]
