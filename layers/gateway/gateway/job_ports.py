"""What jobs need of the world: a record for each, its request beside it, and an execution that carries it on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from gateway.model.callback import RemoteName
from gateway.model.claim import Claim
from gateway.model.job import Job, Status
from gateway.model.secret import Secret

LAST = "~"
"""After every job's id."""


class JobPage(Struct, frozen=True):
    jobs: list[Job]
    has_more: bool


class DueJob(Struct, frozen=True):
    """Where the record is of a job that should be looked at, and its status of a moment ago."""

    tenant_id: str
    id: str
    status: Status


class Jobs(Protocol):
    """Records of jobs. Another tenant's job is not found. Every method raises StorageUnavailable (503).

    `due_at_s`: Unix seconds, when somebody should look whether a job is still worked on; None when nobody need.
    """

    async def create(self, job: Job, due_at_s: int) -> None: ...

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """Raises JobNotFound (404)."""
        ...

    async def change(self, job: Job, due_at_s: int | None = None) -> bool:
        """Stores the next revision; False and nothing when somebody else came first, or when it would leave an end."""
        ...

    async def page(
        self, tenant_id: str, limit: int, after: str | None, status: Status | None, until: str = LAST
    ) -> JobPage:
        """At most `limit` of them whose ids come after `after` and not after `until`, in the order of their ids: one
        kind after another, newest first. Of one status perhaps without those that have it since a moment ago, and fewer
        than `limit` though there are more; one at least.
        """
        ...

    async def tenant_of_waiting(self, job_id: str) -> str | None:
        """Whose job it is, of one on which there is still work; None when there is none of that id."""
        ...

    def due(self, now_s: float) -> AsyncIterator[DueJob]:
        """Jobs that should be looked at by now, those first that have been due for longest; some perhaps no longer."""
        ...


class Claims(Protocol):
    """What Idempotency-Keys stand for, each tenant's its own. Every method raises StorageUnavailable (503).

    `key_hash`: of the key. A claim that is free by `now_s` (Unix seconds) is as good as none.
    """

    async def claim(self, tenant_id: str, key_hash: str, claim: Claim, now_s: float) -> Claim:
        """The key's claim from now on: this one, or the one that stands in its way."""
        ...

    async def find(self, tenant_id: str, key_hash: str, now_s: float) -> Claim | None: ...

    async def change(self, tenant_id: str, key_hash: str, claim: Claim, changed: Claim) -> bool:
        """Puts `changed` in the claim's place; False and nothing where that is not as it was."""
        ...


class Payloads(Protocol):
    """Bodies of requests that run as jobs, and of their replies. Every method raises StorageUnavailable (503)."""

    async def put(self, job: Job, body: bytes) -> None: ...

    async def get(self, job: Job) -> bytes: ...

    async def drop(self, job: Job) -> None:
        """Nothing, when it is gone already."""
        ...

    async def keep_reply(self, job: Job, body: bytes) -> str:
        """The key that it is found by."""
        ...

    async def reply(self, key: str) -> bytes:
        """Raises JobExpired (410) when it is gone."""
        ...

    async def drop_reply(self, key: str) -> None:
        """Nothing, when it is gone already."""
        ...


class ExecutionPlace(Struct, frozen=True):
    """`console_url`: where a person sees how it gets on."""

    arn: str
    console_url: str


class Executions(Protocol):
    """What carries jobs on from step to step; one for each job, ever.

    All but `place` raise StorageUnavailable (503).
    """

    async def start(self, job: Job) -> bool:
        """Whether it runs now, also when it was started before; False when it has ended."""
        ...

    async def is_running(self, job: Job) -> bool: ...

    async def tenant_of(self, job_id: str) -> str | None:
        """Whose job it carries on; None when there is no such execution."""
        ...

    def place(self, job_id: str) -> ExecutionPlace: ...


class Callbacks(Protocol):
    """Where executions that wait for their providers, and what providers say by themselves, find each other: whichever
    comes first is kept for the other. All but `are_set_up` raise StorageUnavailable (503), and may be repeated.
    """

    async def are_set_up(self, provider: str) -> bool:
        """Whether the owner has stored what this provider's webhooks are signed with. What cannot be told is False."""
        ...

    async def wait(self, work: RemoteName, token: str, until_s: int) -> None:
        """An execution waits for this work, by its task token; where news came before it goes on at once."""
        ...

    async def tell(self, work: RemoteName) -> bool:
        """News came of this work: whether an execution waited, which goes on. It may have gone on before."""
        ...

    async def wake(self, work: RemoteName) -> None:
        """An execution that waits for this work goes on, without news."""
        ...

    async def forget(self, work: RemoteName) -> None:
        """The token, and what was told: the work has ended."""
        ...


class CallbackSecrets(Protocol):
    async def find(self, provider: str) -> list[Secret]:
        """What a provider's webhooks are signed with: several while one takes over, none where nothing is set up.

        Raises StorageUnavailable (503).
        """
        ...
