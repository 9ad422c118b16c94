"""What an overlay of the catalog may say, and what becomes of a row by it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.model.catalog import (
    Agentic,
    EmbeddingFacts,
    ImageFacts,
    InputLimit,
    InputMeasure,
    ModelFacts,
    Prices,
    PriceTier,
    ServiceTier,
    SpeechFacts,
    TranscriptionFacts,
    UnitPrice,
    VideoFacts,
)
from gateway.model.units import Unit

MODALITIES = ("text", "image", "audio", "video", "document", "embedding")
CAPABILITIES = (
    *("tools", "parallel_tools", "structured_output", "reasoning", "streaming", "batch", "embeddings"),
    *("image_generation", "speech", "transcription", "video_generation", "realtime"),
)
NOISE_DIGITS = 16
PICO_PER_MICRO = 10**6
PICO_PER_ONE = 10**12
Lifecycle: TypeAlias = Literal["production", "preview", "deprecated"]


class CatalogError(Exception):
    """The data or the overlay cannot be turned into a catalog; the message names the row."""


class UsdPerUnit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `UnitPrice`, in USD as the provider prints it."""

    unit: Unit
    usd: Decimal
    per: int = 1
    variant: str = ""


class TierChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of a service tier: all of the row's `times` a fraction.

    `without_long_prompts`: the tier takes none that would be dearer.
    """

    times: tuple[int, int]
    unasked: bool = False
    without_long_prompts: bool = False


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the overlay says of a row, with where and when it was read.

    `add` and `remove` are capabilities, `add_input` and `remove_input` modalities. `usd_per_million` replaces prices
    one by one, null removes one. `usd_per_unit` does so with prices of what is not charged by tokens.
    `times` derives a price from another: {"cache_write_1h": ["input", 2]}. `service_tiers` adds tiers, with prices of
    what the row has by then: {"batch": {"times": [1, 2]}}; null removes one. `image_tokens` is for rows that take
    images.
    """

    source: str
    as_of: str
    api: str | UnsetType = UNSET
    released: str | UnsetType = UNSET
    lifecycle: Lifecycle | UnsetType = UNSET
    shutdown: str | UnsetType | None = UNSET
    context_tokens: int | UnsetType | None = UNSET
    max_output_tokens: int | UnsetType | None = UNSET
    input: tuple[str, ...] | UnsetType = UNSET
    output: tuple[str, ...] | UnsetType = UNSET
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] | UnsetType = UNSET
    sampling: bool | UnsetType = UNSET
    reasoning_by: Literal["effort", "budget"] | UnsetType = UNSET
    reasoning_efforts: tuple[str, ...] | UnsetType = UNSET
    reasons: Literal["when_asked", "unless_told", "always"] | UnsetType = UNSET
    forced_tools: Literal["always", "without_reasoning"] | UnsetType = UNSET
    tagged_thoughts: bool | UnsetType = UNSET
    demands_reasoning: bool | UnsetType = UNSET
    tools_api: str | UnsetType = UNSET
    background: bool | UnsetType = UNSET
    dialect: Literal["anthropic", "nova", "openai"] | UnsetType = UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    add_input: tuple[str, ...] = ()
    remove_input: tuple[str, ...] = ()
    usd_per_million: dict[str, Decimal | None] = {}
    times: dict[str, tuple[str, int]] = {}
    tiers: list[dict[str, Decimal]] | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET
    service_tiers: dict[str, TierChange | None] = {}
    usd_per_unit: list[UsdPerUnit] = []
    agentic: Agentic | UnsetType = UNSET
    embedding: EmbeddingFacts | UnsetType = UNSET
    image: ImageFacts | UnsetType = UNSET
    video: VideoFacts | UnsetType = UNSET
    speech: SpeechFacts | UnsetType = UNSET
    transcription: TranscriptionFacts | UnsetType = UNSET


class Patch(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change to every row whose id matches one of the shell patterns."""

    match: tuple[str, ...]


class Row(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model the data lacks."""

    id: str
    name: str


class Copy(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models that share the facts of another row: `ids` maps new id to old id, `match` keeps the ids, of all but those
    that match `without`.
    """

    provider: str
    ids: dict[str, str] = {}
    match: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a chat may bring every row whose id matches, as far as it takes that: rows of the data, the
    overlay's own and copies alike, the last one said. Limits are of the host, so no copy brings any.
    """

    match: tuple[str, ...]
    source: str
    as_of: str
    most: dict[InputMeasure, int]
    above_images: int = 0


MEDIUM_OF_MEASURE: dict[InputMeasure, str] = {
    "images": "image",
    "image_side_px": "image",
    "image_px": "image",
    "documents": "document",
    "pages": "document",
    "document_pages": "document",
    "videos": "video",
    "audio_s": "audio",
}


class Overlay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`models_dev`: the provider's key in the data, null when the data has none. `api`: how its chat models speak."""

    provider: str
    models_dev: str | None
    api: str
    open: bool = False
    maker: bool = False
    patches: list[Patch] = []
    rows: list[Row] = []
    copies: list[Copy] = []
    limits: list[Limits] = []


def read_overlays(folder: Path) -> list[Overlay]:
    """Sorted by provider. Raises CatalogError when a file does not read or has another provider's name."""
    overlays = []
    for path in sorted(folder.glob("*.json")):
        try:
            overlay = msgspec.json.decode(path.read_bytes(), type=Overlay)
        except msgspec.MsgspecError as error:
            raise CatalogError(f"{path.name}: {error}") from error
        if overlay.provider != path.stem:
            raise CatalogError(f"{path.name} is of provider {overlay.provider!r}")
        overlays.append(overlay)
    return overlays


def pico_usd_per_token(usd_per_million: Decimal) -> int:
    """Exact conversion; raises CatalogError when the price is negative or no whole number of pico-USD."""
    if len(usd_per_million.as_tuple().digits) >= NOISE_DIGITS:
        usd_per_million = Context(prec=12).plus(usd_per_million)
    pico = usd_per_million * PICO_PER_MICRO
    if pico < 0 or pico != pico.to_integral_value():
        raise CatalogError(f"{usd_per_million} USD per million tokens is no whole number of pico-USD per token")
    return int(pico)


def pico_usd_of(usd: Decimal) -> int:
    """Exact conversion; raises CatalogError when the price is negative or no whole number of pico-USD."""
    pico = usd * PICO_PER_ONE
    if pico < 0 or pico != pico.to_integral_value():
        raise CatalogError(f"{usd} USD is no whole number of pico-USD")
    return int(pico)


def modalities(names: Iterable[str], *, without: str = "") -> tuple[str, ...]:
    """In a fixed order, `pdf` under this gateway's name for it."""
    ours = {"document" if name == "pdf" else name for name in names} - {without}
    return tuple(name for name in MODALITIES if name in ours)


def capabilities(names: set[str], where: str) -> tuple[str, ...]:
    unknown = names - set(CAPABILITIES)
    if unknown:
        raise CatalogError(f"{where}: unknown capability {sorted(unknown)}")
    return tuple(name for name in CAPABILITIES if name in names)


def changed_prices(prices: Prices | None, change: Change) -> Prices | None:
    pico = msgspec.structs.asdict(prices) if prices else {}
    for key, usd in change.usd_per_million.items():
        pico[key] = None if usd is None else pico_usd_per_token(usd)
    for key, (base, factor) in change.times.items():
        if pico.get(base) is not None:
            pico[key] = pico[base] * factor
    return Prices(**pico) if any(value is not None for value in pico.values()) else None


def changed_tiers(row: ModelFacts, change: Change) -> tuple[PriceTier, ...]:
    if isinstance(change.tiers, UnsetType):
        return row.price_tiers
    return tuple(
        PriceTier(
            above_prompt_tokens=int(tier["above_prompt_tokens"]),
            prices=Prices(**{k: pico_usd_per_token(v) for k, v in tier.items() if k != "above_prompt_tokens"}),
        )
        for tier in change.tiers
    )


def scaled(prices: Prices, times: tuple[int, int]) -> Prices:
    """Exact, but for a part of a pico-USD, which is rounded up: Nova Micro's cache is read at 7/4 of 8,750."""
    over, under = times
    pico = {name: price for name, price in msgspec.structs.asdict(prices).items() if price is not None}
    return Prices(**{name: -(-price * over // under) for name, price in pico.items()})


def service_tier(row: ModelFacts, change: TierChange) -> ServiceTier | None:
    """None where the row has no prices that it could derive from."""
    if row.prices is None:
        return None
    longer = tuple(
        PriceTier(above_prompt_tokens=tier.above_prompt_tokens, prices=scaled(tier.prices, change.times))
        for tier in (() if change.without_long_prompts else row.price_tiers)
    )
    prices = scaled(row.prices, change.times)
    return ServiceTier(prices=prices, price_tiers=longer, unasked=change.unasked)


def changed_service_tiers(row: ModelFacts, change: Change) -> dict[str, ServiceTier]:
    kept = {name: tier for name, tier in row.service_tiers.items() if name not in change.service_tiers}
    asked = {name: asked for name, asked in change.service_tiers.items() if asked is not None}
    return kept | {name: tier for name, one in asked.items() if (tier := service_tier(row, one))}


def changed_unit_prices(row: ModelFacts, change: Change) -> tuple[UnitPrice, ...]:
    """In a fixed order."""
    changed = [
        UnitPrice(unit=price.unit, pico_usd=pico_usd_of(price.usd), per=price.per, variant=price.variant)
        for price in change.usd_per_unit
    ]
    prices = {(price.unit, price.variant): price for price in (*row.unit_prices, *changed)}
    return tuple(prices[name] for name in sorted(prices))


def apply(row: ModelFacts, change: Change) -> ModelFacts:
    """The row with the change's members in place of its own.

    It keeps its source unless it is given other prices, where it is paid by tokens those of tokens.
    """
    is_priced = change.usd_per_million or (change.usd_per_unit and row.prices is None)
    kept = set() if is_priced else {"source", "as_of"}
    names = set(Change.__struct_fields__) & set(ModelFacts.__struct_fields__) - kept
    simple = {name: value for name in names if (value := getattr(change, name)) is not UNSET}
    if unknown := {*change.add_input, *change.remove_input} - set(MODALITIES):
        raise CatalogError(f"{row.id}: unknown modality {sorted(unknown)}")
    given = simple.pop("input", row.input)
    image_tokens = simple.pop("image_tokens", row.image_tokens)
    simple.pop("service_tiers")
    changed = msgspec.structs.replace(
        row,
        **simple,
        input=modalities((set(given) | set(change.add_input)) - set(change.remove_input)),
        capabilities=capabilities((set(row.capabilities) | set(change.add)) - set(change.remove), row.id),
        prices=changed_prices(row.prices, change),
        price_tiers=changed_tiers(row, change),
        unit_prices=changed_unit_prices(row, change),
    )
    return msgspec.structs.replace(
        changed,
        image_tokens=image_tokens if "image" in changed.input else None,
        service_tiers=changed_service_tiers(changed, change),
    )


def limited(row: ModelFacts, said: Limits) -> ModelFacts:
    """The row with these limits, in a fixed order."""
    if "text" not in row.output:
        return row
    known = {(limit.of, limit.above_images): limit for limit in row.limits}
    for of, most in said.most.items():
        if MEDIUM_OF_MEASURE[of] in row.input:
            known[of, said.above_images] = InputLimit(
                of=of, most=most, above_images=said.above_images, source=said.source, as_of=said.as_of
            )
    return msgspec.structs.replace(row, limits=tuple(known[name] for name in sorted(known)))
