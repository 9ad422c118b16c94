"""Usage over days, summed by what was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gateway.model.money import usd_text
from gateway.model.rollup import Counts, Group, add_to, units_in
from gateway.record_ports import UsageStore

TENANT = "tenant"
READ_AT_ONCE = 8
Key = tuple[str, ...]


class Query(Struct, frozen=True):
    """`first_day`, `last_day`: both included. `group_by`: of DIMENSIONS, and "tenant". `after`: the key of the last row
    of the page before.
    """

    first_day: str
    last_day: str
    group_by: tuple[str, ...]
    limit: int
    after: Key | None = None


class Row(Struct, frozen=True):
    """`key`: a value for each member of the query's `group_by`."""

    key: Key
    counts: Counts


class Report(Struct, frozen=True):
    """`rows` by key. `total`: of all rows, on other pages too. `next`: the `after` of the next page, None for none."""

    rows: list[Row]
    total: Counts
    next: Key | None


async def usage_report(tenant_ids: Sequence[str], query: Query, usage: UsageStore) -> Report:
    """Raises StorageUnavailable (503)."""
    sums: dict[Key, dict[str, int]] = {}
    total: dict[str, int] = {}
    turns = asyncio.Semaphore(READ_AT_ONCE)

    async def read(tenant_id: str) -> None:
        async with turns:
            async for group, counts in usage.sums(tenant_id, query.first_day, query.last_day):
                add_to(sums.setdefault(_key(tenant_id, group, query.group_by), {}), counts)
                add_to(total, counts)

    await asyncio.gather(*(read(tenant_id) for tenant_id in tenant_ids))
    keys = sorted(key for key in sums if query.after is None or key > query.after)
    rows = [Row(key, sums[key]) for key in keys[: query.limit]]
    return Report(rows, total, rows[-1].key if len(keys) > query.limit else None)


def _key(tenant_id: str, group: Group, group_by: tuple[str, ...]) -> Key:
    return tuple(tenant_id if name == TENANT else getattr(group, name) for name in group_by)


def described(row: Row, group_by: tuple[str, ...]) -> dict[str, Any]:
    """A row as the API shows it; null for the provider and model of requests that came to none."""
    return {**{name: value or None for name, value in zip(group_by, row.key, strict=True)}, **figures(row.counts)}


def figures(counts: Counts) -> dict[str, Any]:
    def count(name: str) -> int:
        return counts.get(name, 0)

    return {
        **{name: count(name) for name in ("requests", "attempts", "errors", "refused", "lost")},
        "prompt_tokens": count("prompt_tokens"),
        "completion_tokens": count("completion_tokens"),
        "total_tokens": count("prompt_tokens") + count("completion_tokens"),
        "prompt_tokens_details": {
            "cached_tokens": count("cached_tokens"),
            "cache_write_tokens": count("cache_write_tokens"),
            "cache_write_1h_tokens": count("cache_write_1h_tokens"),
            "audio_tokens": count("prompt_audio_tokens"),
            "image_tokens": count("prompt_image_tokens"),
            "video_tokens": count("prompt_video_tokens"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": count("reasoning_tokens"),
            "audio_tokens": count("completion_audio_tokens"),
            "image_tokens": count("completion_image_tokens"),
            "accepted_prediction_tokens": count("accepted_prediction_tokens"),
            "rejected_prediction_tokens": count("rejected_prediction_tokens"),
        },
        "units": dict(units_in(counts)),
        "estimated": count("estimated"),
        "unpriced": count("unpriced"),
        "cost_nano_usd": count("cost_nano_usd"),
        "cost_usd": usd_text(count("cost_nano_usd")),
    }


def flat(figures_: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Columns of a table: details under names of their own, units still together."""
    for name, value in figures_.items():
        if name.endswith("_details"):
            part = name.partition("_")[0]
            for detail, number in value.items():
                yield (detail if detail in _UNAMBIGUOUS else f"{part}_{detail}"), number
        else:
            yield name, value


_UNAMBIGUOUS = {
    *("cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens"),
    *("accepted_prediction_tokens", "rejected_prediction_tokens"),
}
