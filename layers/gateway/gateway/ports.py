"""What the pipeline needs of the world. `adapters` fulfil it, `entry.wiring` chooses which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from random import SystemRandom
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct, field

from gateway.batch_ports import BatchParts, BatchStore, BatchWorkers, LinesAtOnce, Shipments
from gateway.file_ports import Files
from gateway.health_ports import AllHealthy, Vitals
from gateway.job_ports import Callbacks, Claims, Executions, Jobs, Payloads
from gateway.model.caller import Caller
from gateway.model.catalog import ModelFacts
from gateway.model.chat import Json
from gateway.model.claim import Claim, Claimed
from gateway.model.denials import Denials
from gateway.model.file import StoredFile
from gateway.model.hook import HookMessage, RemoteHook
from gateway.model.http import Credential, HttpRequest, HttpResponse, Sending, StreamedBody
from gateway.model.job import KEPT_S
from gateway.model.ledger import Account, Hold, Reading, Reserved
from gateway.model.record import Told
from gateway.model.slot import Slot
from gateway.model.telemetry import RequestLine, Trouble
from gateway.model.tenant import Principal
from gateway.webhook_ports import WebhookSender, WebhookUrls

RECENT_S = 300
"""How long what was read of a key, its tenant and its user is good enough while they cannot be read."""


class Access(Protocol):
    """API keys, tenants and users."""

    def remembered(self, caller: Caller) -> Principal | None:
        """As it was last read by this environment, however long ago; None when a part of it was never."""
        ...

    def recent(self, caller: Caller) -> Principal | None:
        """As `remembered`, if this environment has read every part of it in the last RECENT_S seconds."""
        ...

    async def read(self, caller: Caller) -> Principal | None:
        """As it is now, whatever its state; None when there is no such key, or no such tenant.

        Raises AdmissionUnavailable (503) when the store does not answer in time.
        """
        ...


class Tokens(Protocol):
    async def verify(self, token: str) -> Caller | None:
        """Who a token of the owner's identity provider says is calling; None for what is no token of his.

        Raises InvalidApiKey (401) for one that is not good (any more), AdmissionUnavailable (503) when nobody can tell.
        """
        ...


class Ledger(Protocol):
    """Accounts of tenants and users (`model/ledger.py`). Every step is whole: it happens once, or not at all.

    Every method raises AdmissionUnavailable (503) when the store does not answer in time.
    """

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        """Adds every meter's amount and the hold, if every number stays within its limit; else changes nothing.

        That very hold counts as taken where it is there already; another one of its name stands in the way.
        """
        ...

    async def enlarge(self, account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        """Adds every meter's amount and puts `larger` in the hold's place, if that stands as it was and every number
        stays within its limit; else changes nothing. Counts as done where `larger` is there already. An amount may be
        negative.
        """
        ...

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        """Ends the hold, adds the changes, forgets the stale numbers; None and nothing when there is no such hold.

        `hold`: the very one that is to be ended, where it may be another by now.
        """
        ...

    async def add(self, account_id: str, changes: Mapping[str, int]) -> None:
        """Adds to numbers, without a hold: at most once."""
        ...

    async def read(self, account_id: str) -> Reading: ...

    def accounts(self) -> AsyncIterator[tuple[str, Reading]]:
        """All of them, perhaps not as they are this very moment."""
        ...


class Events(Protocol):
    async def send(self, told: Sequence[Told]) -> None:
        """At least once, to everybody who listens. Never raises: what cannot be sent waits elsewhere."""
        ...


class Credentials(Protocol):
    async def find(self, provider: str) -> Credential:
        """The owner's credential for a provider, or that of one of his tenants, "provider/tenant"; cached for minutes.
        Raises ProviderError (502) without one.
        """
        ...

    async def renewed(self, provider: str, refused: Credential) -> Credential:
        """What takes the place of one that the provider did not let in: read anew, unless that was a moment ago. The
        same where there is no other. Never raises what `find` does.
        """
        ...


class Slots(Protocol):
    """Places for calls at the same time, of all environments together. Both raise StorageUnavailable (503)."""

    async def take(self, slot: Slot, most: int, until_s: int) -> bool:
        """One of `most`, until that Unix second at the latest; False where all are taken. Where it raises, or is not
        waited for, the place may be taken.
        """
        ...

    async def give_back(self, slot: Slot) -> None:
        """May be repeated, and said of one that was not taken."""
        ...


class SlotsForAll:
    async def take(self, _slot: Slot, _most: int, _until_s: int) -> bool:
        return True

    async def give_back(self, slot: Slot) -> None:
        pass


class Catalog(Protocol):
    def find(self, provider: str, model: str) -> ModelFacts | None:
        """Facts of a model as its provider names it."""
        ...

    def providers_of(self, model: str) -> list[str]:
        """The providers a bare model id can mean: one when it is unambiguous."""
        ...

    def models(self) -> Iterable[tuple[str, ModelFacts]]:
        """Every (provider, model) that can be called."""
        ...


class Incoming(Protocol):
    """An answer whose head has come. Reading raises ProviderError (502) when the connection breaks."""

    status: int
    headers: dict[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed."""
        ...

    async def whole(self) -> HttpResponse:
        """The rest of the body, bounded in size."""
        ...


class Outbound(Protocol):
    def open(self, request: HttpRequest, sending: Sending | None = None) -> AbstractAsyncContextManager[Incoming]:
        """Sends the request, and notes in `sending` how far it came, also when it is broken off. Raises ProviderError
        (502) when no connection or no head comes.
        """
        ...


class Carriers(Protocol):
    def open(
        self, request: HttpRequest, streamed: StreamedBody, sending: Sending | None = None
    ) -> AbstractAsyncContextManager[Incoming]:
        """As `Outbound.open`, of a request whose body is too large to be held. What reading it raises is passed on."""
        ...


class MediaFetcher(Protocol):
    async def fetch(
        self, tenant_id: str, url: str, accepted: tuple[str, ...], max_bytes: int, param: str
    ) -> StoredFile:
        """What the internet has at `url`, of a type that begins as one of `accepted`.

        Raises InvalidRequest (400) for an address that must not be read, MediaNotFound (422) when nothing usable is
        there, StorageUnavailable (503). Errors name `param`.
        """
        ...


class Downloads(Protocol):
    def open(self, url: str, max_bytes: int, timeout_s: float) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """What a provider made and left at a URL that opens for everybody, as it comes. The URL is trusted no more than
        a client's. `timeout_s`: until the last byte is dealt with. Raises ProviderError (502), while it is read too.
        """
        ...


class RemoteHooks(Protocol):
    async def ask(self, hook: RemoteHook, message: HookMessage) -> bytes:
        """The hook's answer as it gave it, bounded in size. The caller ends what takes too long.

        Raises HookFailed.
        """
        ...


class Records(Protocol):
    """The function's log. Neither method raises."""

    def write(self, line: RequestLine) -> None:
        """One finished request: facts and figures, never content."""
        ...

    def trouble(self, event: Trouble, **facts: Any) -> None:
        """Something that went on all the same, of which the operator should know."""
        ...


class Clock(Protocol):
    def now_s(self) -> float:
        """Unix seconds."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start, for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class World(Struct, frozen=True):
    """`local_ledger`: of this environment alone, for tenants that want it while `ledger` does not answer.
    `job_kept_s`: how long a job's result is kept. `lines_at_once`: of a batch's part. `dice`: a number from 0 up to 1
    that nobody can foresee.
    """

    access: Access
    tokens: Tokens
    ledger: Ledger
    local_ledger: Ledger
    events: Events
    credentials: Credentials
    catalog: Catalog
    outbound: Outbound
    carriers: Carriers
    files: Files
    fetcher: MediaFetcher
    downloads: Downloads
    jobs: Jobs
    batch_parts: BatchParts
    batch_store: BatchStore
    shipments: Shipments
    batch_workers: BatchWorkers
    claims: Claims
    payloads: Payloads
    executions: Executions
    callbacks: Callbacks
    types: Types
    hooks: RemoteHooks
    webhook_urls: WebhookUrls
    webhook_sender: WebhookSender
    records: Records
    clock: Clock
    denials: Denials = field(default_factory=Denials)
    job_kept_s: int = KEPT_S
    lines_at_once: LinesAtOnce = field(default_factory=LinesAtOnce)
    health: Vitals = field(default_factory=AllHealthy)
    slots: Slots = field(default_factory=SlotsForAll)
    dice: Callable[[], float] = SystemRandom().random


Origin: TypeAlias = Literal["gateway", "tenant"]


class Types(Protocol):
    """Registered GTS types and instances: those that come with the gateway, which all tenants see, and a tenant's own.

    Ids are well-formed. Every method raises StorageUnavailable (503).
    """

    async def find(self, tenant_id: str, ids: Collection[str]) -> dict[str, Json]:
        """The documents that are registered, by their ids. For an id that is not and leaves the minor version of its
        last segment open, the one with the newest minor version.
        """
        ...

    async def ids(self, tenant_id: str, prefix: str) -> dict[str, Origin]:
        """Every registered id that begins so, in order, and who brought it."""
        ...

    async def dependents(self, tenant_id: str, type_id: str) -> list[str]:
        """The tenant's own that were put as depending on it."""
        ...

    async def put(
        self,
        tenant_id: str,
        documents: Mapping[str, Json],
        depends_on: Mapping[str, Collection[str]],
        claimed: Claimed | None = None,
    ) -> Claim | None:
        """Makes all of them the tenant's own, or none: at most 100, and 4 MB. What is `claimed` for an Idempotency-Key
        goes with them, as one more; where the key stands for another request, its claim is given and nothing changes.
        """
        ...

    async def claimed(self, tenant_id: str, key_hash: str, now_s: float) -> Claim | None:
        """What an Idempotency-Key stands for."""
        ...

    async def delete(self, tenant_id: str, type_id: str) -> None:
        """Removes one of the tenant's own, if it is there."""
        ...
