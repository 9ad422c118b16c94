"""What a gateway has written of requests beside what their clients saw: ledger, usage, audit and replies agree."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks.governed import months_of
from benchmarks.traffic import Ordered, Seen
from gateway.model.record import TERMINAL
from local.aws import Aws
from local.endpoints import Endpoints

MOST_NAMED = 5
READERS = 8


@dataclass(slots=True)
class Written:
    """Of one tenant. `records` and `events`: lines of the archive, each id once. `total`: of the usage store."""

    accounts: Mapping[str, Mapping[str, int]]
    total: Mapping[str, int]
    records: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Differences:
    """What must all be nothing. `named`: the first of each, for whoever has to find out."""

    nano_usd: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    named: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, what: str, which: str, times: int = 1) -> None:
        self.counts[what] += times
        if len(self.named[what]) < MOST_NAMED:
            self.named[what].append(which)

    def money(self, what: str, one: int, other: int) -> None:
        if one != other:
            self.nano_usd += abs(one - other)
            self.add("differs", f"{what}: {one} and {other}", 0)


HELD, WITHOUT_END, WITHOUT_RECORD, NOT_ONE_RESULT, OF_NOBODY = (
    "still held",
    *("without exactly one end", "without their usage records"),
    *("lines of batches not exactly once", "written of nobody's request"),
)


def compare(
    tenant: str, seen: Sequence[Seen], batches: Sequence[Ordered], written: Written, found: Differences
) -> None:
    """Adds to `found` what does not fit for one tenant."""
    records = _by(written.records, "request_id")
    _books(tenant, written, found)
    for one in seen:
        if one.request_id is not None:
            _request(one, records.get(one.request_id, ()), found)
    for batch in batches:
        _batch(batch, [line for line in written.records if line.get("batch_id") == batch.batch_id], found)
    _ends(tenant, seen, written, found)


def _books(tenant: str, written: Written, found: Differences) -> None:
    """Settled and committed at both levels, the usage store's sum and that of the archive's records."""
    spent = sum(line["cost_nano_usd"] or 0 for line in written.records)
    found.money(f"{tenant}: archive and usage", spent, written.total["cost_nano_usd"])
    if not written.accounts:
        found.money(f"{tenant}: nothing in the ledger", 0, spent)
    for level in "TU" if written.accounts else "":
        for kind in "sc":
            found.money(f"{tenant}: {level} {kind} and usage", months_of(written.accounts, kind, level), spent)
    first = len({line["request_id"] for line in written.records})
    if first != written.total["requests"]:
        found.add(WITHOUT_RECORD, f"{tenant}: {first} in the archive, {written.total['requests']} in usage")


def _request(one: Seen, records: Sequence[Mapping[str, Any]], found: Differences) -> None:
    attempts = sorted(line["attempt"] for line in records)
    which = f"{one.kind} {one.request_id} {one.outcome}: attempts {attempts}, told {one.attempts}"
    whole = [0] if attempts == [0] else [*range(1, max(2, len(attempts) + 1))]
    expected = whole if one.is_recorded else []
    if attempts != expected or (one.attempts is not None and one.attempts != len(attempts)):
        found.add(WITHOUT_RECORD, which)
    if one.cost_nano_usd is not None:
        found.money(which, one.cost_nano_usd, sum(line["cost_nano_usd"] or 0 for line in records))


def _batch(batch: Ordered, records: Sequence[Mapping[str, Any]], found: Differences) -> None:
    requests = {line["request_id"] for line in records}
    if len(requests) != batch.lines:
        found.add(NOT_ONE_RESULT, f"{batch.batch_id}: {len(requests)} of {batch.lines} lines have records")
    spent = sum(line["cost_nano_usd"] or 0 for line in records)
    found.money(f"{batch.batch_id}: its word and its lines", batch.cost_nano_usd, spent)


def _ends(tenant: str, seen: Sequence[Seen], written: Written, found: Differences) -> None:
    """One start and one end of each request; of those whose clients were told no id it can only be counted."""
    starts = Counter(line["request_id"] for line in written.events if line["event"] == "request.started")
    ends = Counter(line["request_id"] for line in written.events if line["event"] in TERMINAL)
    for request_id in {*starts, *ends}:
        if (starts[request_id], ends[request_id]) != (1, 1):
            found.add(WITHOUT_END, f"{tenant} {request_id}: {starts[request_id]} starts, {ends[request_id]} ends")
    known = {one.request_id for one in seen if one.request_id is not None}
    for one in seen:
        if one.request_id is not None and one.request_id not in ends:
            found.add(WITHOUT_END, f"{one.kind} {one.request_id} {one.outcome}: never ended")
    lines = {line["request_id"] for line in written.records if line.get("batch_id")}
    others = ends.keys() - known - lines
    nameless = sum(one.request_id is None for one in seen)
    if len(others) != nameless:
        words = (
            f"{tenant}: {nameless} requests without an id, {len(others)} ends without a client: {sorted(others)[:3]}"
        )
        found.add(OF_NOBODY, words, abs(len(others) - nameless))


def _by(lines: Iterable[Mapping[str, Any]], member: str) -> dict[str, list[Mapping[str, Any]]]:
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        found[line[member]].append(line)
    return found


class Archived:
    """The archive of a stack, as far as it is about some tenants. No object is read twice, for none ever changes."""

    def __init__(self, endpoints: Endpoints, tenants: set[str]) -> None:
        self._s3, self._tenants = Aws(endpoints.aws_endpoint_url).client("s3"), tenants
        [self._bucket] = [
            one["Name"] for one in self._s3.list_buckets()["Buckets"] if "archivebucket" in one["Name"].lower()
        ]
        self._read_keys: set[str] = set()
        self._lines: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    def lines(self, folder: str) -> dict[str, dict[str, Any]]:
        """By id, of all that is there by now."""
        keys = [key for key in self._keys(folder) if key not in self._read_keys]
        with ThreadPoolExecutor(READERS) as pool:
            for body in pool.map(self._read, keys):
                for text in gzip.decompress(body).splitlines():
                    line = json.loads(text)
                    if line["tenant_id"] in self._tenants:
                        self._lines[folder][line["id"]] = line
        self._read_keys.update(keys)
        return self._lines[folder]

    def _keys(self, folder: str) -> Iterator[str]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{folder}/dt="):
            for each in page.get("Contents", []):
                yield each["Key"]

    def _read(self, key: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body
