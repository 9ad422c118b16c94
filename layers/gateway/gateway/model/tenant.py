"""Who calls: the tenant, its user and what they may use."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal


@dataclass(frozen=True, slots=True)
class Tenant:
    """`approvals`: patterns over "provider/model" ("*", "openai/*"). `aliases`: own name -> "provider/model"."""

    id: str
    status: Literal["active", "disabled"] = "active"
    approvals: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)

    def approves(self, model_id: str) -> bool:
        return any(fnmatchcase(model_id, pattern) for pattern in self.approvals)


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key. `expires_at_s`: Unix seconds, None for a key without end."""

    tenant: Tenant
    user_id: str
    key_status: Literal["active", "revoked"] = "active"
    expires_at_s: int | None = None
