"""A world in memory. The same suite in tests/ports holds these and the real adapters to the same behaviour."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.adapters.no_tokens import NoTokens
from gateway.adapters.webhook_urls import GuardedUrls
from gateway.gts.ids import newest_minor, parse
from gateway.hooks.signature import derived_secret
from gateway.job_ports import LAST, DueJob, ExecutionPlace, JobPage
from gateway.model.callback import RemoteName
from gateway.model.caller import Caller
from gateway.model.catalog import ModelFacts
from gateway.model.chat import Json
from gateway.model.claim import KEPT_S, Claim, Claimed
from gateway.model.errors import (
    AdmissionUnavailable,
    FileNotFound,
    GatewayError,
    JobExpired,
    JobNotFound,
    MediaNotFound,
    PayloadTooLarge,
    StorageUnavailable,
)
from gateway.model.file import (
    MAX_CHECKED_BYTES,
    File,
    FilePage,
    Link,
    Purpose,
    StoredFile,
    Uploaded,
    is_file_id,
    is_forgotten,
)
from gateway.model.hook import HookFailed, HookMessage, RemoteHook
from gateway.model.http import Credential, HttpRequest, HttpResponse, Sending
from gateway.model.idempotency_errors import IdempotencyConflict
from gateway.model.job import Job, Status
from gateway.model.provider_errors import ProviderError, ProviderGone
from gateway.model.record import Told
from gateway.model.secret import Secret
from gateway.model.slot import Slot
from gateway.model.telemetry import RequestLine
from gateway.model.tenant import ApiKey, Principal, Tenant, User
from gateway.model.webhook import WebhookMessage, WebhookReceipt
from gateway.ports import Clock, Origin, World
from tests.batch_fakes import BufferedCarriers, ListBatchWorkers, MemoryBatchParts, MemoryBatchStore, MemoryShipments


@dataclass
class MemoryAccess:
    """Principals by key hash; users with settings of their own by (tenant id, user id). `is_fresh`: whether what is
    known was read a moment ago.
    """

    held: dict[str, Principal] = field(default_factory=dict)
    users: dict[tuple[str, str], User] = field(default_factory=dict)
    reads: int = 0
    known: dict[Caller, Principal] = field(default_factory=dict)
    is_down: bool = False
    is_fresh: bool = True

    def remembered(self, caller: Caller) -> Principal | None:
        return self.known.get(caller)

    def recent(self, caller: Caller) -> Principal | None:
        return self.known.get(caller) if self.is_fresh else None

    async def read(self, caller: Caller) -> Principal | None:
        self.reads += 1
        if self.is_down:
            raise AdmissionUnavailable("API keys cannot be checked at the moment (Unreachable).")
        found = self.held.get(caller.key_hash) if caller.token_key is None else self._holder(caller.token_key)
        self.known.pop(caller, None)
        if found is not None:
            user_id = caller.user_id or found.key.user_id
            user = self.users.get((found.tenant.id, user_id)) or (
                found.user if user_id == found.key.user_id else User(id=user_id)
            )
            found = self.known[caller] = Principal(key=found.key, tenant=found.tenant, user=user)
        return found

    def _holder(self, key: ApiKey) -> Principal | None:
        """Of a key that is not stored; tenants and users are those of the ones that are."""
        tenants = {held.tenant.id: held for held in self.held.values()}
        held = tenants.get(key.tenant_id)
        if held is None:
            return None
        user = held.user if held.user.id == key.user_id else User(id=key.user_id)
        return Principal(key=key, tenant=held.tenant, user=user)


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def principal(tenant: Tenant, user_id: str = "alice", **key: Any) -> Principal:
    """The holder of a key with these settings, whose user has none of his own."""
    return Principal(
        key=ApiKey(id="key_1", tenant_id=tenant.id, user_id=user_id, **key), tenant=tenant, user=User(id=user_id)
    )


@dataclass
class MemoryCredentials:
    """`rotated`: what is stored by now in place of those that are still held."""

    held: dict[str, Credential] = field(default_factory=dict)
    rotated: dict[str, Credential] = field(default_factory=dict)
    renewals: int = 0

    async def find(self, provider: str) -> Credential:
        if provider not in self.held:
            raise ProviderError(f"No credential for {provider} is available.")
        return self.held[provider]

    async def renewed(self, provider: str, refused: Credential) -> Credential:
        self.renewals += 1
        self.held[provider] = self.rotated.get(provider, self.held.get(provider, refused))
        return self.held[provider]


@dataclass
class MemoryCatalog:
    held: dict[str, dict[str, ModelFacts]]

    def find(self, provider: str, model: str) -> ModelFacts | None:
        return self.held.get(provider, {}).get(model)

    def providers_of(self, model: str) -> list[str]:
        return [provider for provider, models in self.held.items() if model in models]

    def models(self) -> Iterable[tuple[str, ModelFacts]]:
        return [(provider, facts) for provider, models in self.held.items() for facts in models.values()]


def note_sent(sending: Sending | None) -> None:
    if sending is not None:
        sending.has_left = True


@dataclass
class ScriptedIncoming:
    """Gives its parts one by one; a part that is an exception is raised, one that is callable is awaited first."""

    status: int
    headers: dict[str, str]
    parts: list[Any]

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            if callable(part):
                await part()
            else:
                yield part

    async def whole(self) -> HttpResponse:
        return HttpResponse(self.status, self.headers, b"".join([part async for part in self.chunks()]))


@dataclass
class ScriptedOutbound:
    """Answers every request with `answer`, an exception for one that does not leave; keeps what was sent, and how many
    answers are still open.
    """

    answer: ScriptedIncoming | Exception
    sent: list[HttpRequest] = field(default_factory=list)
    still_open: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        note_sent(sending)
        self.still_open += 1
        try:
            yield self.answer
        finally:
            self.still_open -= 1


@dataclass
class ListRecords:
    written: list[RequestLine] = field(default_factory=list)
    troubles: list[dict[str, Any]] = field(default_factory=list)
    on_write: Callable[[], None] | None = None

    def trouble(self, event: str, **facts: Any) -> None:
        self.troubles.append({"event": event, **facts})

    def write(self, line: RequestLine) -> None:
        self.written.append(line)
        if self.on_write is not None:
            self.on_write()


@dataclass
class ManualClock:
    """Stands still until it is moved or slept by. `slept`: every pause, in seconds."""

    unix_s: float = 1_790_000_000.0
    running_s: float = 100.0
    slept: list[float] = field(default_factory=list)

    def now_s(self) -> float:
        return self.unix_s

    def monotonic_s(self) -> float:
        return self.running_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.unix_s += seconds
        self.running_s += seconds
        await asyncio.sleep(0)  # lets a deadline that has come strike


@dataclass
class MemoryFiles:
    """What tenants store, by (tenant id, file id). `uploads`: what clients put by upload links."""

    clock: Clock
    whole: dict[tuple[str, str], tuple[File, bytes]] = field(default_factory=dict)
    announced: dict[tuple[str, str], File] = field(default_factory=dict)
    uploads: dict[tuple[str, str], bytes] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    async def head(self, tenant_id: str, file_id: str) -> File:
        whole = self.whole.get((tenant_id, file_id))
        file = whole[0] if whole else self.announced.get((tenant_id, file_id))
        if file is None or file.is_expired(self.clock.now_s()):
            raise FileNotFound(f"No such file: '{file_id}'.", param="file_id")
        return file

    async def get(self, tenant_id: str, file_id: str, max_bytes: int) -> StoredFile:
        if (await self.head(tenant_id, file_id)).is_pending:
            raise FileNotFound(f"No such file: '{file_id}'.", param="file_id")
        file, data = self.whole[tenant_id, file_id]
        if len(data) > max_bytes:
            raise PayloadTooLarge(f"The file {file_id} is larger than {max_bytes} bytes.")
        return StoredFile(data, file.content_type, file.filename)

    async def stretch(self, tenant_id: str, file_id: str, start: int, size_bytes: int) -> bytes:
        return (await self.get(tenant_id, file_id, 2**40)).data[start : start + size_bytes]

    async def put(self, tenant_id: str, file: File, data: bytes) -> None:
        self.whole[tenant_id, file.id] = (replace(file, size_bytes=len(data)), data)

    async def put_stream(self, tenant_id: str, file: File, chunks: AsyncIterator[bytes]) -> int:
        data = b"".join([chunk async for chunk in chunks])
        await self.put(tenant_id, file, data)
        return len(data)

    async def delete(self, tenant_id: str, file_id: str) -> None:
        for held in (self.whole, self.announced, self.uploads):
            held.pop((tenant_id, file_id), None)

    async def page(self, tenant_id: str, limit: int, after: str | None, purpose: Purpose | None) -> FilePage:
        files = [
            file
            for (owner, file_id), (file, _) in sorted(self.whole.items())
            if owner == tenant_id and file_id > (after or "") and purpose in (None, file.purpose)
            if not file.is_expired(self.clock.now_s())
        ]
        return FilePage(files[:limit], has_more=len(files) > limit)

    async def link(self, tenant_id: str, file: File) -> Link:
        return Link("GET", f"https://storage.test/files/{tenant_id}/{file.id}", int(self.clock.now_s()) + 600)

    def id_in(self, url: str) -> str | None:
        path, _, _ = url.partition("?")
        last = path.rpartition("/")[2]
        return last if path.startswith("https://storage.test/files/") and is_file_id(last) else None

    async def announce(self, tenant_id: str, file: File) -> None:
        self.announced[tenant_id, file.id] = file

    async def upload_link(self, tenant_id: str, file: File) -> Link:
        url = f"https://storage.test/uploads/{tenant_id}/{file.id}"
        return Link("PUT", url, int(self.clock.now_s()) + 900, {"content-length": str(file.size_bytes)})

    async def uploaded(self, tenant_id: str, file_id: str) -> Uploaded | None:
        data = self.uploads.get((tenant_id, file_id))
        return None if data is None else Uploaded(len(data), data[:MAX_CHECKED_BYTES], hashlib.sha256(data).hexdigest())

    async def adopt(self, tenant_id: str, file: File, version: str) -> None:
        data = self.uploads[tenant_id, file.id]
        if hashlib.sha256(data).hexdigest() != version:
            raise StorageUnavailable("File storage does not answer at the moment (PreconditionFailed).")
        await self.delete(tenant_id, file.id)
        self.whole[tenant_id, file.id] = (file, data)

    async def claim(self, tenant_id: str, key: str, fingerprint: str, file_id: str) -> str:
        claimed, claimed_id = self.claims.get((tenant_id, key), (fingerprint, file_id))
        if is_forgotten(claimed_id, self.clock.now_s()):
            claimed, claimed_id = fingerprint, file_id
        if claimed != fingerprint:
            raise IdempotencyConflict
        self.claims[tenant_id, key] = (claimed, claimed_id)
        return claimed_id


@dataclass
class FixedFetcher:
    """The internet: URL to what is there, or the error that reading it raises."""

    there: dict[str, StoredFile | GatewayError] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    on_fetch: Callable[[], None] | None = None

    async def fetch(
        self, tenant_id: str, url: str, accepted: tuple[str, ...], max_bytes: int, param: str
    ) -> StoredFile:
        self.fetched.append(url)
        if self.on_fetch is not None:
            self.on_fetch()
        found = self.there.get(url) or MediaNotFound("The URL could not be read.", param=param)
        if isinstance(found, GatewayError):
            raise found
        return found


@dataclass
class FixedDownloads:
    """What providers left at URLs, piece by piece; an exception is raised when it is come to."""

    there: dict[str, list[bytes | Exception]] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, url: str, max_bytes: int, timeout_s: float) -> AsyncIterator[AsyncIterator[bytes]]:
        self.opened.append(url)
        if url not in self.there:
            raise ProviderGone("The site answered with status 404.", provider_code="upstream_status")
        yield self._pieces(self.there[url])

    async def _pieces(self, pieces: list[bytes | Exception]) -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


@dataclass
class MemoryJobs:
    """Jobs by (tenant id, job id), with when they are due."""

    held: dict[tuple[str, str], tuple[Job, int | None]] = field(default_factory=dict)

    async def create(self, job: Job, due_at_s: int) -> None:
        if self.held.setdefault((job.tenant_id, job.id), (job, due_at_s))[0] != job:
            raise StorageUnavailable("Jobs cannot be stored at the moment.")

    async def get(self, tenant_id: str, job_id: str) -> Job:
        if (tenant_id, job_id) not in self.held:
            raise JobNotFound(f"No such job: '{job_id}'.", param="job_id")
        return self.held[tenant_id, job_id][0]

    async def change(self, job: Job, due_at_s: int | None = None) -> bool:
        last, _ = self.held.get((job.tenant_id, job.id), (None, None))
        if last is None or last.revision != job.revision - 1 or (last.has_ended and job.status != last.status):
            return last == job
        self.held[job.tenant_id, job.id] = (job, due_at_s)
        return True

    async def page(
        self, tenant_id: str, limit: int, after: str | None, status: Status | None, until: str = LAST
    ) -> JobPage:
        jobs = [
            job
            for (owner, job_id), (job, _) in sorted(self.held.items())
            if owner == tenant_id
            and (after or "") < job_id <= until
            and (status is None or (job.status == status and not job.is_hidden))
        ]
        return JobPage(jobs[:limit], has_more=len(jobs) > limit)

    async def tenant_of_waiting(self, job_id: str) -> str | None:
        owners = (
            owner for (owner, found), (_, due_at_s) in self.held.items() if found == job_id and due_at_s is not None
        )
        return next(owners, None)

    async def due(self, now_s: float) -> AsyncIterator[DueJob]:
        waiting = [(due_at_s, job) for job, due_at_s in self.held.values() if due_at_s is not None]
        for due_at_s, job in sorted(waiting, key=lambda one: one[0]):
            if due_at_s <= now_s:
                yield DueJob(job.tenant_id, job.id, job.status)


@dataclass
class MemoryClaims:
    """Claims by (tenant id, hash of the key). `failures`: what the next calls fail with, after they have written."""

    held: dict[tuple[str, str], Claim] = field(default_factory=dict)
    failures: list[StorageUnavailable] = field(default_factory=list)

    async def claim(self, tenant_id: str, key_hash: str, claim: Claim, now_s: float) -> Claim:
        if await self.find(tenant_id, key_hash, now_s) is None:
            self.held[tenant_id, key_hash] = claim
        self._fail()
        return self.held[tenant_id, key_hash]

    async def find(self, tenant_id: str, key_hash: str, now_s: float) -> Claim | None:
        claim = self.held.get((tenant_id, key_hash))
        return claim if claim is not None and claim.free_at_s > now_s else None

    async def change(self, tenant_id: str, key_hash: str, claim: Claim, changed: Claim) -> bool:
        found = self.held.get((tenant_id, key_hash))
        if found == claim:
            self.held[tenant_id, key_hash] = changed
        self._fail()
        return found in (claim, changed)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop()


@dataclass
class MemoryPayloads:
    """Bodies by job id, replies by key; one that is `broken` keeps and finds nothing."""

    held: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, bytes] = field(default_factory=dict)
    is_broken: bool = False

    async def put(self, job: Job, body: bytes) -> None:
        self._check()
        self.held[job.id] = body

    async def get(self, job: Job) -> bytes:
        self._check()
        if job.id not in self.held:
            raise StorageUnavailable("The job's request cannot be stored or read at the moment.")
        return self.held[job.id]

    async def drop(self, job: Job) -> None:
        self._check()
        self.held.pop(job.id, None)

    async def keep_reply(self, job: Job, body: bytes) -> str:
        self._check()
        self.replies[f"{job.id}.reply"] = body
        return f"{job.id}.reply"

    async def reply(self, key: str) -> bytes:
        self._check()
        if key not in self.replies:
            raise JobExpired("The job's result is gone.", param="job_id")
        return self.replies[key]

    async def drop_reply(self, key: str) -> None:
        self._check()
        self.replies.pop(key, None)

    def _check(self) -> None:
        if self.is_broken:
            raise StorageUnavailable("The job's request cannot be stored or read at the moment.")


@dataclass
class MemorySlots:
    """`held`: by credential, who has a place, and until when. `is_broken`: nobody can count them. `is_unanswered`: they
    are taken, but nobody is told.
    """

    clock: ManualClock = field(default_factory=ManualClock)
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    is_broken: bool = False
    is_unanswered: bool = False

    async def take(self, slot: Slot, most: int, until_s: int) -> bool:
        self._check()
        alive = {taken: until for taken, until in self.held.get(slot.name, {}).items() if until > self.clock.now_s()}
        self.held[slot.name] = alive
        if len(alive) >= most:
            return False
        slot.record = slot.name
        alive[slot.id] = until_s
        self._unanswered()
        return True

    async def give_back(self, slot: Slot) -> None:
        self._check()
        self.held.get(slot.name, {}).pop(slot.id, None)

    def _check(self) -> None:
        if self.is_broken:
            raise StorageUnavailable("Places cannot be counted at the moment.")

    def _unanswered(self) -> None:
        if self.is_unanswered:
            raise StorageUnavailable("Nobody knows whether a place was taken.")


@dataclass
class ListExecutions:
    """`started`: jobs by id, whether their execution still runs. `owners`: their tenants."""

    started: dict[str, bool] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    is_throttled: bool = False

    async def start(self, job: Job) -> bool:
        if self.is_throttled:
            raise StorageUnavailable("The job cannot be started at the moment.")
        self.owners[job.id] = job.tenant_id
        return self.started.setdefault(job.id, True)

    async def is_running(self, job: Job) -> bool:
        return self.started.get(job.id, False)

    async def tenant_of(self, job_id: str) -> str | None:
        return self.owners.get(job_id)

    def place(self, job_id: str) -> ExecutionPlace:
        return ExecutionPlace(f"arn:aws:states:eu-central-1:1:execution:job:{job_id}", "https://console.example/")


@dataclass
class MemoryCallbacks:
    """`providers`: whose webhooks are set up. `tokens`: of executions that wait. `woken`: those that went on."""

    providers: set[str] = field(default_factory=set)
    tokens: dict[RemoteName, str] = field(default_factory=dict)
    told: set[RemoteName] = field(default_factory=set)
    woken: list[str] = field(default_factory=list)
    is_broken: bool = False

    async def are_set_up(self, provider: str) -> bool:
        return provider in self.providers

    async def wait(self, work: RemoteName, token: str, _until_s: int) -> None:
        self._check()
        self.tokens[work] = token
        if work in self.told:
            self.woken.append(token)

    async def tell(self, work: RemoteName) -> bool:
        self._check()
        self.told.add(work)
        return self._woken(work)

    async def wake(self, work: RemoteName) -> None:
        self._check()
        self._woken(work)

    async def forget(self, work: RemoteName) -> None:
        self._check()
        self.tokens.pop(work, None)
        self.told.discard(work)

    def _woken(self, work: RemoteName) -> bool:
        self.woken += [self.tokens[work]] if work in self.tokens else []
        return work in self.tokens

    def _check(self) -> None:
        if self.is_broken:
            raise StorageUnavailable("Calls of providers cannot be kept at the moment.")


@dataclass
class ListEvents:
    told: list[Told] = field(default_factory=list)

    async def send(self, told: Sequence[Told]) -> None:
        self.told += told


HookAnswer = dict[str, Any] | bytes | HookFailed | Callable[[], Awaitable[dict[str, Any]]]


@dataclass
class ScriptedHooks:
    """Remote hooks by id: what each answers, the failure it raises, or what is awaited for its answer.

    `asked`: (hook, message) of every question.
    """

    answers: dict[str, HookAnswer] = field(default_factory=dict)
    asked: list[tuple[RemoteHook, HookMessage]] = field(default_factory=list)

    async def ask(self, hook: RemoteHook, message: HookMessage) -> bytes:
        self.asked.append((hook, message))
        answer = self.answers[hook.id]
        if isinstance(answer, HookFailed):
            raise answer
        if callable(answer):
            answer = await answer()
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    @property
    def questions(self) -> list[Any]:
        return [json.loads(message.body) for _, message in self.asked]


@dataclass
class ListWebhookSender:
    """`sent`: every message. `receipts`: what comes of the next ones, then all are taken; an error is raised."""

    sent: list[WebhookMessage] = field(default_factory=list)
    receipts: list[WebhookReceipt | GatewayError] = field(default_factory=list)

    async def send(self, message: WebhookMessage) -> WebhookReceipt:
        receipt = self.receipts.pop(0) if self.receipts else WebhookReceipt()
        if isinstance(receipt, GatewayError):
            raise receipt
        self.sent.append(message)
        return receipt


@dataclass
class RootedWebhookSecrets:
    """`roots`: what they are derived from. `is_broken`: whether nobody can read these."""

    roots: list[str] = field(default_factory=lambda: ["r" * 48])
    is_broken: bool = False

    async def find(self, tenant_id: str, version: int) -> list[Secret]:
        if self.is_broken:
            raise StorageUnavailable("Webhooks cannot be signed at the moment.")
        return [derived_secret(Secret(root), tenant_id, version) for root in self.roots]


def world_of(outbound: ScriptedOutbound, access: MemoryAccess, catalog: MemoryCatalog) -> World:
    """A world whose only provider is reached through `outbound`."""
    credential = Credential(Secret("provider-key"))
    clock = ManualClock()
    return World(
        access=access,
        tokens=NoTokens(),
        ledger=MemoryLedger(),
        local_ledger=MemoryLedger(),
        events=ListEvents(),
        credentials=MemoryCredentials(dict.fromkeys(catalog.held, credential)),
        catalog=catalog,
        outbound=outbound,
        carriers=BufferedCarriers(outbound),
        files=MemoryFiles(clock),
        fetcher=FixedFetcher(),
        downloads=FixedDownloads(),
        jobs=MemoryJobs(),
        batch_parts=MemoryBatchParts(),
        batch_store=MemoryBatchStore(),
        shipments=MemoryShipments(),
        batch_workers=ListBatchWorkers(),
        claims=MemoryClaims(),
        payloads=MemoryPayloads(),
        executions=ListExecutions(),
        callbacks=MemoryCallbacks(),
        types=MemoryTypes(),
        hooks=ScriptedHooks(),
        webhook_urls=GuardedUrls(),
        webhook_sender=ListWebhookSender(),
        records=ListRecords(),
        clock=clock,
    )


@dataclass
class MemoryTypes:
    """`deployed`: documents by id. `own`: (document, what it depends on) by tenant and id."""

    deployed: dict[str, Json] = field(default_factory=dict)
    own: dict[tuple[str, str], tuple[Json, frozenset[str]]] = field(default_factory=dict)
    finds: list[set[str]] = field(default_factory=list)
    claims: MemoryClaims = field(default_factory=MemoryClaims)

    async def find(self, tenant_id: str, ids: Collection[str]) -> dict[str, Json]:
        self.finds.append(set(ids))
        held = {type_id: document for (owner, type_id), (document, _) in self.own.items() if owner == tenant_id}
        held |= self.deployed
        meant = [type_id if type_id in held else newest_minor(parse(type_id), held) for type_id in ids]
        return {type_id: held[type_id] for type_id in meant if type_id is not None}

    async def ids(self, tenant_id: str, prefix: str) -> dict[str, Origin]:
        own: dict[str, Origin] = {type_id: "tenant" for owner, type_id in self.own if owner == tenant_id}
        both: dict[str, Origin] = {**own, **dict.fromkeys(self.deployed, "gateway")}
        return {type_id: both[type_id] for type_id in sorted(both) if type_id.startswith(prefix)}

    async def dependents(self, tenant_id: str, type_id: str) -> list[str]:
        return sorted(own for (owner, own), (_, needs) in self.own.items() if owner == tenant_id and type_id in needs)

    async def put(
        self,
        tenant_id: str,
        documents: Mapping[str, Json],
        depends_on: Mapping[str, Collection[str]],
        claimed: Claimed | None = None,
    ) -> Claim | None:
        if claimed is not None:
            stands = await self.claims.claim(
                tenant_id, claimed.key_hash, claimed.claim, claimed.claim.ends_at_s - KEPT_S
            )
            if stands != claimed.claim:
                return stands
        for type_id, document in documents.items():
            self.own[tenant_id, type_id] = (document, frozenset(depends_on.get(type_id, ())))
        return None

    async def claimed(self, tenant_id: str, key_hash: str, now_s: float) -> Claim | None:
        return await self.claims.find(tenant_id, key_hash, now_s)

    async def delete(self, tenant_id: str, type_id: str) -> None:
        self.own.pop((tenant_id, type_id), None)
