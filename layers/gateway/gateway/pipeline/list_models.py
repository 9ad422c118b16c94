"""The models a tenant may use, in OpenAI's shape with the facts of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from gateway.health_ports import Vitals
from gateway.model.catalog import (
    EmbeddingFacts,
    ImageFacts,
    ModelFacts,
    Prices,
    SpeechFacts,
    TranscriptionFacts,
    UnitPrice,
    VideoFacts,
)
from gateway.model.errors import GatewayError
from gateway.model.tenant import Principal
from gateway.pipeline.list_groups import described_group
from gateway.pipeline.route import can_be_called, find_approved, input_of, is_shut_down, none_of
from gateway.ports import Catalog

PICO_USD_PER_TOKEN_TO_USD_PER_MILLION = 1_000_000
PICO_USD_TO_USD = 10**12


def approved_models(principal: Principal, catalog: Catalog, vitals: Vitals, now_s: float) -> list[dict[str, Any]]:
    """Every approved model that is still served and can be called, and each alias of the tenant as one of its own."""
    listed = [
        describe(provider, facts, vitals, principal.tenant.id)
        for provider, facts in catalog.models()
        if principal.approves(f"{provider}/{facts.id}")
        and not is_shut_down(facts, now_s)
        and can_be_called(provider, facts)
    ]
    return [*listed, *_aliased(principal, catalog, vitals, now_s)]


def described_model(name: str, principal: Principal, catalog: Catalog, vitals: Vitals, now_s: float) -> dict[str, Any]:
    """What a name means, as it is listed. Raises as `find_approved`."""
    if (group := principal.tenant.group(name)) is None:
        return describe(*find_approved(name, principal, catalog, now_s), vitals, principal.tenant.id)
    able, refusals = [], []
    for member in group.members:
        try:
            found = find_approved(member.model, principal, catalog, now_s)
            able.append((member, describe(*found, vitals, principal.tenant.id)))
        except GatewayError as refusal:
            refusals.append((member.model, refusal))
    if not able:
        raise none_of(name, refusals)
    return described_group(name, group, able)


def describe(provider: str, facts: ModelFacts, vitals: Vitals, tenant_id: str) -> dict[str, Any]:
    """An OpenAI model object with a `gateway` member. Prices: USD per million tokens, or `per` units."""
    return {
        "id": f"{provider}/{facts.id}",
        "object": "model",
        "created": _created_s(facts.released),
        "owned_by": provider,
        "gateway": {
            "provider": provider,
            "name": facts.name,
            "lifecycle": facts.lifecycle,
            "shutdown": facts.shutdown,
            "health": vitals.of(provider, facts.id),
            "p95_ms": vitals.p95_ms(provider, facts.id),
            "circuit": "open" if vitals.is_cut_off(provider, facts.id, tenant_id) else "closed",
            "context_tokens": facts.context_tokens,
            "max_output_tokens": facts.max_output_tokens,
            "input": input_of(provider, facts),
            "output": list(facts.output),
            "capabilities": list(facts.capabilities),
            "prices_usd_per_million": None if facts.prices is None else _usd_per_million(facts.prices),
            "service_tiers_usd_per_million": {
                name: _usd_per_million(tier.prices) for name, tier in facts.service_tiers.items()
            },
            "limits": [msgspec.structs.asdict(limit) for limit in facts.limits],
            "unit_prices": [_unit_price(price) for price in facts.unit_prices],
            "embedding": None if facts.embedding is None else _embedding(facts.embedding),
            "image": None if facts.image is None else _image(facts.image),
            "video": None if facts.video is None else _video(facts.video),
            "speech": None if facts.speech is None else _members(facts.speech),
            "transcription": None if facts.transcription is None else _members(facts.transcription),
        },
    }


def _aliased(principal: Principal, catalog: Catalog, vitals: Vitals, now_s: float) -> Iterator[dict[str, Any]]:
    for alias in sorted(principal.tenant.aliases):
        try:
            yield {**described_model(alias, principal, catalog, vitals, now_s), "id": alias}
        except GatewayError:
            continue  # an alias of a model that is gone or not approved cannot be called, so it is not listed


def _created_s(released: str | None) -> int:
    """Unix seconds of the day a model came out, 0 when unknown. Some sources give a month only."""
    if released is None:
        return 0
    day = date.fromisoformat(released if len(released) == len("2026-01-01") else f"{released}-01")
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _usd_per_million(prices: Prices) -> dict[str, float]:
    known = msgspec.structs.asdict(prices).items()
    return {name: pico / PICO_USD_PER_TOKEN_TO_USD_PER_MILLION for name, pico in known if pico is not None}


def _unit_price(price: UnitPrice) -> dict[str, Any]:
    """USD for `per` of the unit."""
    usd = price.pico_usd / PICO_USD_TO_USD
    return {"unit": price.unit, "variant": price.variant or None, "usd": usd, "per": price.per}


def _embedding(facts: EmbeddingFacts) -> dict[str, Any]:
    """Which lengths of vectors can be asked for: those listed, or those from `min_dimensions` to `max_dimensions`."""
    return {
        "dimensions": facts.dimensions,
        "dimension_choices": list(facts.choices),
        "min_dimensions": facts.min_dimensions,
        "max_dimensions": facts.most_dimensions,
    }


def _image(facts: ImageFacts) -> dict[str, Any]:
    """What can be asked for; of an empty list nothing. A size in pixels of which a shape is made counts as a size."""
    return {
        "sizes": [*facts.sizes, *facts.shapes],
        "any_size": None if facts.any_size is None else msgspec.structs.asdict(facts.any_size),
        "ratios": list(facts.ratios),
        "resolutions": list(facts.resolutions),
        "qualities": list(facts.qualities),
        "output_formats": list(facts.formats),
        "backgrounds": list(facts.backgrounds),
        "output_compression": facts.compression,
        "moderation": facts.moderation,
        "max_prompt_characters": facts.max_prompt,
    }


def _video(facts: VideoFacts) -> dict[str, Any]:
    """What can be asked for; the first size and `default_seconds` are made where nothing is."""
    sizes = [
        {"size": size.size, "resolution": size.resolution, "seconds": list(size.seconds or facts.seconds)}
        for size in facts.sizes
    ]
    return {"sizes": sizes, "default_seconds": facts.default_seconds, "input_reference": facts.picture}


def _members(facts: SpeechFacts | TranscriptionFacts) -> dict[str, Any]:
    """As the catalog has them."""
    members = msgspec.structs.asdict(facts).items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in members}
