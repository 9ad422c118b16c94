"""Builds `shared/catalog/<provider>.json` from a models.dev JSON file and the hand-written `shared/catalog/overlay`.

    PYTHONPATH=layers/gateway .venv/bin/python -m scripts.refresh_catalog MODELS_DEV_JSON [--as-of YYYY-MM-DD]

MODELS_DEV_JSON is what https://models.dev/api.json answers, or the same under a "providers" member beside a "commit"
member "<hash> <date>"; without that member, --as-of says of which day the facts are. The same input gives the same
bytes. Per provider, in this order: the rows of the data, the overlay's `patches`, its own `rows`, its `copies`, the
`limits` of all.

Prices are exact: USD per million tokens times 10^6 is pico-USD per token. One that is no whole number of pico-USD is
refused, except binary noise of the source (0.049999999999999996), which is rounded to 12 digits first.

A patch that matches no model, a row that the data has meanwhile, and a price class nobody knows stop the run with the
name: an overlay must not rot unseen.
"""

from __future__ import annotations

import argparse
import json
import sys
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import NODEFAULT, Struct

from gateway.model.catalog import ModelFacts, Prices, PriceTier, ProviderCatalog
from scripts.catalog_overlay import (
    CatalogError,
    Lifecycle,
    Overlay,
    apply,
    capabilities,
    limited,
    modalities,
    pico_usd_per_token,
    read_overlays,
)

ROOT = Path(__file__).resolve().parent.parent
MODELS_DEV = "https://github.com/anomalyco/models.dev"
LIFECYCLE: dict[str | None, Lifecycle] = {
    None: "production",
    "alpha": "preview",
    "beta": "preview",
    "deprecated": "deprecated",
}
PRICE_CLASSES = {name: name for name in Prices.__struct_fields__} | {"cached_input": "cache_read"}
# Real charges that are not per token of a class above; Prices has no member for them.
OTHER_CHARGES = {"citation", "request", "per_minute", "input_image", "input_video"}


def read_prices(cost: dict[str, Any], where: str) -> Prices | None:
    """The token prices of a models.dev `cost` object, None when it has none.

    A cache price of 0 beside a real input price means there that the provider lists none (OpenAI's gpt-3.5-turbo);
    zeros beside a charge by minute or by request do not mean free.
    """
    unknown = set(cost) - set(PRICE_CLASSES) - OTHER_CHARGES - {"tiers", "tier", "context_over_200k"}
    if unknown:
        raise CatalogError(f"{where}: unknown price class {sorted(unknown)}")
    usd = {PRICE_CLASSES[key]: Decimal(value) for key, value in cost.items() if key in PRICE_CLASSES}
    if not any(usd.values()) and any(cost.get(key) for key in OTHER_CHARGES):
        return None
    if usd.get("input"):
        usd = {key: value for key, value in usd.items() if value or not key.startswith("cache_")}
    return Prices(**{key: pico_usd_per_token(value) for key, value in usd.items()}) if usd else None


def read_tiers(cost: dict[str, Any], where: str) -> tuple[PriceTier, ...]:
    """Dearer prices of long prompts, by ascending threshold."""
    tiers = [(int(tier["tier"]["size"]), tier) for tier in cost.get("tiers", [])]
    if "context_over_200k" in cost and not tiers:
        tiers = [(200_000, cost["context_over_200k"])]
    read = [(size, read_prices(tier, where)) for size, tier in sorted(tiers, key=lambda pair: pair[0])]
    return tuple(PriceTier(above_prompt_tokens=size, prices=prices) for size, prices in read if prices)


def read_reasoning(options: list[dict[str, Any]]) -> tuple[Literal["effort", "budget"] | None, tuple[str, ...]]:
    """How a model is told how much to reason; a level where it takes both a level and a budget."""
    by_type = {option["type"]: option for option in options}
    if "effort" in by_type:
        return "effort", tuple(by_type["effort"].get("values") or ())
    return ("budget" if "budget_tokens" in by_type else None), ()


def read_row(model_id: str, row: dict[str, Any], *, api: str, source: str, as_of: str) -> ModelFacts:
    """One models.dev row. It does not say which models take several tool calls or stream: here all with tools or
    text output, and the overlay removes the exceptions."""
    output = modalities(row["modalities"]["output"], without="document")
    tools, text = row.get("tool_call"), "text" in output
    has = {
        "tools": tools,
        "parallel_tools": tools,
        "structured_output": row.get("structured_output"),
        "reasoning": row.get("reasoning"),
        "streaming": text,
        "image_generation": "image" in output,
        "video_generation": "video" in output,
    }
    if row.get("status") not in LIFECYCLE:
        raise CatalogError(f"{model_id}: unknown status {row['status']!r}")
    cost = row.get("cost") or {}
    reasoning_by, efforts = read_reasoning(row.get("reasoning_options") or [])
    return ModelFacts(
        id=model_id,
        name=row["name"],
        api=api,
        source=source,
        as_of=as_of,
        released=row.get("release_date"),
        lifecycle=LIFECYCLE[row.get("status")],
        context_tokens=row["limit"].get("context") or None,
        max_output_tokens=row["limit"].get("output") or None,
        input=modalities(row["modalities"]["input"]),
        output=output,
        capabilities=capabilities({name for name, value in has.items() if value}, model_id),
        sampling=bool(row.get("temperature", not row.get("reasoning"))),
        reasoning_by=reasoning_by,
        reasoning_efforts=efforts,
        prices=read_prices(cost, model_id),
        price_tiers=read_tiers(cost, model_id),
    )


def matching(rows: dict[str, ModelFacts], patterns: tuple[str, ...], where: str) -> list[str]:
    """The ids that match, every pattern at least one."""
    for pattern in patterns:
        if not any(fnmatchcase(model_id, pattern) for model_id in rows):
            raise CatalogError(f"{where}: no model matches {pattern!r}")
    return [model_id for model_id in rows if any(fnmatchcase(model_id, pattern) for pattern in patterns)]


def own_rows(overlay: Overlay, data: dict[str, Any], *, source: str, as_of: str) -> dict[str, ModelFacts]:
    """A provider's rows without copies."""
    if overlay.models_dev is not None and overlay.models_dev not in data:
        raise CatalogError(f"{overlay.provider}: the data has no provider {overlay.models_dev!r}")
    listed = data[overlay.models_dev]["models"] if overlay.models_dev else {}
    rows = {key: read_row(key, row, api=overlay.api, source=source, as_of=as_of) for key, row in listed.items()}
    for patch in overlay.patches:
        for model_id in matching(rows, patch.match, overlay.provider):
            rows[model_id] = apply(rows[model_id], patch)
    for row in overlay.rows:
        if row.id in rows:
            raise CatalogError(f"{overlay.provider}: {row.id} is in the data now, drop the overlay's row")
        blank = ModelFacts(id=row.id, name=row.name, api=overlay.api, source=row.source, as_of=row.as_of)
        rows[row.id] = apply(blank, row)
    return rows


def copied_rows(overlay: Overlay, own: dict[str, dict[str, ModelFacts]]) -> dict[str, ModelFacts]:
    rows: dict[str, ModelFacts] = {}
    for copy in overlay.copies:
        origin = own[copy.provider]
        left_out = set(matching(origin, copy.without, overlay.provider))
        kept = [model_id for model_id in matching(origin, copy.match, overlay.provider) if model_id not in left_out]
        ids = copy.ids | {model_id: model_id for model_id in kept}
        for new_id, old_id in ids.items():
            if old_id not in origin or new_id in own[overlay.provider]:
                raise CatalogError(f"{overlay.provider}: cannot copy {copy.provider}/{old_id} as {new_id}")
            moved = msgspec.structs.replace(origin[old_id], id=new_id, source=copy.source, as_of=copy.as_of)
            if copy.provider != overlay.provider:
                moved = msgspec.structs.replace(moved, tools_api=None)  # of the host, not of the model
            rows[new_id] = apply(moved, copy)
    return rows


def with_limits(rows: dict[str, ModelFacts], overlay: Overlay) -> dict[str, ModelFacts]:
    limited_rows = dict(rows)
    for limits in overlay.limits:
        for model_id in matching(rows, limits.match, f"{overlay.provider}: limits"):
            limited_rows[model_id] = limited(limited_rows[model_id], limits)
    return limited_rows


def without_defaults(value: Struct) -> dict[str, Any]:
    """Members that differ from the struct's default, nested structs alike."""
    shown = {}
    for member in msgspec.structs.fields(type(value)):
        item = getattr(value, member.name)
        default = member.default if member.default_factory is NODEFAULT else member.default_factory()
        if item != default:
            shown[member.name] = item
    return shown


def encode(catalog: ProviderCatalog) -> bytes:
    """One model per line, sorted by id, members at their default left out."""
    lines = [
        json.dumps(without_defaults(row), default=without_defaults, ensure_ascii=False, separators=(",", ":"))
        for row in sorted(catalog.models, key=lambda row: row.id)
    ]
    head = {key: value for key, value in without_defaults(catalog).items() if key != "models"}
    return (json.dumps(head, separators=(",", ":"))[:-1] + ',"models":[\n' + ",\n".join(lines) + "\n]}\n").encode()


def build(document: dict[str, Any], overlays: list[Overlay], *, as_of: str = "") -> dict[str, bytes]:
    """File content by provider name. Raises CatalogError."""
    commit, _, day = document.get("commit", "").partition(" ") if "providers" in document else ("", "", "")
    if not (as_of or day):
        raise CatalogError("the data does not say of which day it is: give --as-of YYYY-MM-DD")
    data = document.get("providers", document)
    source = f"{MODELS_DEV}/tree/{commit}" if commit else MODELS_DEV
    own = {o.provider: own_rows(o, data, source=source, as_of=as_of or day) for o in overlays}
    built = {}
    for overlay in overlays:
        rows = with_limits(own[overlay.provider] | copied_rows(overlay, own), overlay)
        built[overlay.provider] = encode(
            ProviderCatalog(
                provider=overlay.provider, models=list(rows.values()), open=overlay.open, maker=overlay.maker
            )
        )
    return built


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Rebuilds shared/catalog from a models.dev JSON file.")
    parser.add_argument("data", type=Path, help="models.dev JSON file")
    parser.add_argument("--as-of", default="", help="day of the facts, when the file does not say it")
    parser.add_argument("--catalog", type=Path, default=ROOT / "shared" / "catalog", help="folder to write")
    given = parser.parse_args(arguments)
    try:
        document = json.loads(given.data.read_bytes(), parse_float=Decimal)
        files = build(document, read_overlays(given.catalog / "overlay"), as_of=given.as_of)
    except CatalogError as error:
        print(error, file=sys.stderr)
        return 1
    for provider, content in files.items():
        (given.catalog / f"{provider}.json").write_bytes(content)
        models = len(json.loads(content)["models"])
        print(f"{provider}: {models} models, {len(content)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
