"""Who calls: the tenant, its users and keys, and what they may use. As stored, and as the admin API takes it.

Each is one JSON document. `model/limits.py` has limits and budgets, `model/hook.py` the hooks.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from gateway.model.call import Name
from gateway.model.group import ModelGroup
from gateway.model.hook import Hook
from gateway.model.limits import ALL_MODELS, Allowance, Count, Limits, Pattern
from gateway.model.reliability import FallbackRule, TimeoutRule
from gateway.model.webhook import WebhookSettings

TenantId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
USER_ID = r"^[!-~]{1,256}$"
UserId = Annotated[str, Meta(pattern=USER_ID)]
Alias = Annotated[str, Meta(pattern=r"^[!-~]{1,128}$")]
Scope: TypeAlias = Literal[
    "*",
    "assert_user",
    "batches",
    "chat",
    "embeddings",
    "files",
    "images",
    "jobs",
    "models",
    "realtime",
    "speech",
    "transcriptions",
    "types",
    "usage",
    "videos",
]
"""What a key may be used for. "*" is every capability; to name another user takes "assert_user", spelled out."""

UrlPrefix = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[!-.0-~]+/[!-~]*$", max_length=1024)]
"""With its whole host or bucket, so that "gs://mine/" is not the beginning of "gs://mine-too/"."""

ProviderName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]{0,31}$")]
Status: TypeAlias = Literal["active", "disabled"]
MAX_SHARDS = 64
MAX_RETRIES = 2
JOBS_OF_A_SHARD = 250
"""Of a tenant that says nothing else. A job is held for in its user's record until it ends, and adds some 160 bytes to
each write of that: docs/admin.md has figures.
"""


class Tenant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`approvals`: patterns over "provider/model" ("*", "openai/*"). `aliases`: own name -> "provider/model", or a
    group of several.

    `allowance`: limits and budgets of all its users together. `user_allowance`: of each user that has none of its own.
    `shards`: over how many records its counters are spread; one carries 50 requests a second of 5 s each, a user's 24,
    and each has its share of every limit (docs/admin.md has more figures). `default_max_tokens`: the most tokens of a
    reply that was not told, where tokens or money are limited; None: what the model can give.
    `allows_unpriced_models`: whether a model without a known price may be used although money is limited.
    `without_ledger`: what happens while limits cannot be checked: nothing passes, or what one environment counts by
    itself. `lost_requests`: what a request costs of which nobody knows what its provider
    charged, because its function died or its answer broke off: all that was held for it, or what was counted, which is
    nothing where the function died. `provider_urls`: how addresses begin that its requests may have a
    provider read in its own storage, with the owner's rights ("gs://bucket/"); none by default.
    `webhooks`: where the ends of its jobs are told, and signed with what. `fallbacks`: what
    requests fall back on that do not say so themselves; the first rule for their model counts. `timeouts`: the first
    rule for a model that says a time counts, and the lowest ceiling of all. `max_retries`: how often a provider that
    says when is asked again for a request that is waited for, where no other model may answer. `own_keys`: providers
    that it is asked for with a key of its own, and never with the owner's.
    """

    id: TenantId
    name: Annotated[str, Meta(max_length=256)] = ""
    status: Status = "active"
    approvals: tuple[Pattern, ...] = ()
    aliases: dict[Alias, Name | ModelGroup] = field(default_factory=dict)
    allowance: Allowance = Allowance()
    user_allowance: Allowance = Allowance()
    hooks: Annotated[tuple[Hook, ...], Meta(max_length=16)] = ()
    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] = 1
    default_max_tokens: Count | None = None
    allows_unpriced_models: bool = False
    without_ledger: Literal["refuse", "local"] = "refuse"
    lost_requests: Literal["charge", "release"] = "charge"
    provider_urls: Annotated[tuple[UrlPrefix, ...], Meta(max_length=64)] = ()
    webhooks: WebhookSettings = WebhookSettings()
    fallbacks: Annotated[tuple[FallbackRule, ...], Meta(max_length=64)] = ()
    timeouts: Annotated[tuple[TimeoutRule, ...], Meta(max_length=64)] = ()
    max_retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 0
    own_keys: Annotated[tuple[ProviderName, ...], Meta(max_length=64)] = ()

    @property
    def full_allowance(self) -> Allowance:
        """With the limit of jobs that holds where `allowance` has none for all models."""
        if any(limits.models == ALL_MODELS and limits.concurrent_jobs is not None for limits in self.allowance.limits):
            return self.allowance
        jobs = Limits(concurrent_jobs=JOBS_OF_A_SHARD * self.shards)
        return replace(self.allowance, limits=(*self.allowance.limits, jobs))

    def approves(self, model_id: str) -> bool:
        return _matches(model_id, self.approvals)

    def group(self, name: str) -> ModelGroup | None:
        """None for the name of one model."""
        found = self.aliases.get(name)
        return found if isinstance(found, ModelGroup) else None

    def fallback_for(self, *names: str) -> FallbackRule | None:
        """`names`: what a request asks for; any of them will do."""
        return next((rule for rule in self.fallbacks if any(fnmatchcase(name, rule.models) for name in names)), None)


class User(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`allowance`: None takes the tenant's `user_allowance`. `shards` as the tenant's."""

    id: UserId
    name: Annotated[str, Meta(max_length=256)] = ""
    status: Status = "active"
    allowance: Allowance | None = None
    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] = 1


class ApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`models`: patterns that narrow the tenant's approvals. `expires_at_s`: Unix seconds, None for never.

    `hint`: the first characters of the key, to recognise it by.
    """

    id: str
    tenant_id: TenantId
    user_id: UserId
    status: Literal["active", "revoked"] = "active"
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)] = ("*",)
    models: Annotated[tuple[Pattern, ...], Meta(min_length=1)] = ("*",)
    expires_at_s: int | None = None
    label: Annotated[str, Meta(max_length=256)] = ""
    hint: str = ""
    created_at_s: int = 0

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or (scope != "assert_user" and "*" in self.scopes)

    def is_usable(self, now_s: float) -> bool:
        return self.status == "active" and (self.expires_at_s is None or now_s < self.expires_at_s)


class Principal(Struct, frozen=True, kw_only=True):
    """Who a request is made for: a key, the tenant it belongs to, and the user: the key's own, or one it names."""

    key: ApiKey
    tenant: Tenant
    user: User

    @property
    def allowance(self) -> Allowance:
        """The user's."""
        return self.tenant.user_allowance if self.user.allowance is None else self.user.allowance

    def approves(self, model_id: str) -> bool:
        return self.tenant.approves(model_id) and _matches(model_id, self.key.models)


def _matches(model_id: str, patterns: tuple[str, ...]) -> bool:
    return ALL_MODELS in patterns or any(fnmatchcase(model_id, pattern) for pattern in patterns)
