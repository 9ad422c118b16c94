"""`shared/catalog/overlay`: what is said of models by hand, over what models.dev says; where and when it was read."""

from __future__ import annotations

from decimal import Context, Decimal
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.model.catalog import EmbeddingFacts, VideoFacts
from gateway.model.units import Unit

Lifecycle: TypeAlias = Literal["production", "preview", "deprecated"]
NOISE_DIGITS = 16
PICO_PER_MICRO = 10**6
PICO_PER_ONE = 10**12


class CatalogError(Exception):
    """The data or the overlay cannot be turned into a catalog; the message names the row."""


class UsdPerUnit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `UnitPrice`, in USD as the provider prints it."""

    unit: Unit
    usd: Decimal
    per: int = 1
    variant: str = ""


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the overlay says of a row, with where and when it was read.

    `add` and `remove` are capabilities, `add_input` and `remove_input` modalities. `usd_per_million` replaces prices
    one by one, null removes one. `usd_per_unit` does so with prices of what is not charged by tokens.
    `times` derives a price from another: {"cache_write_1h": ["input", 2]}.
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
    dialect: Literal["anthropic", "nova", "openai"] | UnsetType = UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    add_input: tuple[str, ...] = ()
    remove_input: tuple[str, ...] = ()
    usd_per_million: dict[str, Decimal | None] = {}
    times: dict[str, tuple[str, int]] = {}
    tiers: list[dict[str, Decimal]] | UnsetType = UNSET
    usd_per_unit: list[UsdPerUnit] = []
    embedding: EmbeddingFacts | UnsetType = UNSET
    video: VideoFacts | UnsetType = UNSET


class Patch(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change to every row whose id matches one of the shell patterns."""

    match: tuple[str, ...]


class Row(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model the data lacks."""

    id: str
    name: str


class Copy(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models that share the facts of another row: `ids` maps new id to old id, `match` keeps the ids."""

    provider: str
    ids: dict[str, str] = {}
    match: tuple[str, ...] = ()


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
