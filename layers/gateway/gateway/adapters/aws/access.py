"""API keys, their tenants and users in DynamoDB.

Item K#<hash of the key> / K   the key         Item T#<tenant> / T          the tenant
Item T#<tenant> / U#<user>     a user with settings of his own
What a tenant registers itself lies elsewhere, at TYPES#<tenant> (`types.py`): IAM tells partitions apart, not items.
Each has its JSON text in `document`. Which tenant and user a key belongs to never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.telemetry import log_trouble
from gateway.model.caller import Caller
from gateway.model.errors import AdmissionUnavailable
from gateway.model.tenant import ApiKey, Principal, Tenant, User
from gateway.ports import RECENT_S, Clock

MAX_REMEMBERED = 10_000
T = TypeVar("T")


class Address(msgspec.Struct, frozen=True):
    pk: str
    sk: str

    @property
    def is_of_user(self) -> bool:
        return self.sk.startswith("U#")

    def as_key(self) -> dict[str, Any]:
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


class Remembered(msgspec.Struct, frozen=True):
    """None: there was no such document. `read_at_s`: Unix seconds."""

    text: str | None
    document: Any
    read_at_s: float


class DynamoAccess:
    """Documents are remembered as they were last read, to plan a request with while they are read anew; of a user also
    that he has none.
    """

    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float, clock: Clock) -> None:
        self._dynamodb, self._table, self._timeout_s, self._clock = dynamodb, table, timeout_s, clock
        self._remembered: dict[Address, Remembered] = {}

    def remembered(self, caller: Caller) -> Principal | None:
        key: ApiKey | None = caller.token_key or self._known(key_address(caller.key_hash))
        if key is None:
            return None
        tenant = self._known(tenant_address(key.tenant_id))
        user_id = caller.user_id or key.user_id
        user = self._known(user_address(key.tenant_id, user_id)) or User(id=user_id)
        return None if tenant is None else Principal(key=key, tenant=tenant, user=user)

    def recent(self, caller: Caller) -> Principal | None:
        principal = self.remembered(caller)
        if principal is None:
            return None
        parts = [tenant_address(principal.tenant.id), user_address(principal.tenant.id, principal.user.id)]
        parts += [] if caller.token_key else [key_address(caller.key_hash)]
        return principal if all(self._is_recent(part) for part in parts) else None

    async def read(self, caller: Caller) -> Principal | None:
        try:
            key: ApiKey | None = caller.token_key or self._known(key_address(caller.key_hash))
            if key is None:
                [key] = await self._read([(key_address(caller.key_hash), ApiKey)])
            return None if key is None else await self._all(caller, key)
        except AwsFailure as failure:
            raise AdmissionUnavailable(f"API keys cannot be checked at the moment ({failure.code}).") from failure

    async def holder(self, tenant_id: str, user_id: str) -> tuple[Tenant, User] | None:
        wanted = [(tenant_address(tenant_id), Tenant), (user_address(tenant_id, user_id), User)]
        try:
            tenant, user = await self._read(wanted)
        except AwsFailure as failure:
            raise AdmissionUnavailable(f"Tenants cannot be read at the moment ({failure.code}).") from failure
        return None if tenant is None else (tenant, user or User(id=user_id))

    async def _all(self, caller: Caller, key: ApiKey) -> Principal | None:
        user_id = caller.user_id or key.user_id
        wanted: list[tuple[Address, Any]] = [
            (tenant_address(key.tenant_id), Tenant),
            (user_address(key.tenant_id, user_id), User),
        ]
        if caller.token_key is None:
            wanted.append((key_address(caller.key_hash), ApiKey))
        tenant, user, *read = await self._read(wanted)
        key = read[0] if read else key
        if key is None or tenant is None:
            return None
        return Principal(key=key, tenant=tenant, user=user or User(id=user_id))

    async def _read(self, wanted: Iterable[tuple[Address, type[Any]]]) -> list[Any]:
        """The documents, None for one that is not there. Raises AwsFailure, also when DynamoDB left one unread."""
        kinds = dict(wanted)
        keys = [address.as_key() for address in kinds]
        request = {"RequestItems": {self._table: {"Keys": keys, "ConsistentRead": True}}}
        answer = await self._dynamodb.call("BatchGetItem", request, self._timeout_s)
        if answer.get("UnprocessedKeys"):
            raise AwsFailure("UnprocessedKeys", is_fault=True)
        items = answer["Responses"].get(self._table, [])
        texts = {Address(item["pk"]["S"], item["sk"]["S"]): item["document"]["S"] for item in items}
        return [self._learn(address, kind, texts.get(address)) for address, kind in kinds.items()]

    def _learn(self, address: Address, kind: type[T], text: str | None) -> T | None:
        if text is None and not address.is_of_user:
            self._remembered.pop(address, None)
            return None
        known = self._remembered.get(address)
        document: T | None
        if known is not None and known.text == text:
            document = known.document
        else:
            document = None if text is None else _decode(text, kind, address)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[address] = Remembered(text, document, self._clock.now_s())
        return document

    def _known(self, address: Address) -> Any:
        known = self._remembered.get(address)
        return None if known is None else known.document

    def _is_recent(self, address: Address) -> bool:
        known = self._remembered.get(address)
        return known is not None and self._clock.now_s() - known.read_at_s < RECENT_S


def _decode(text: str, kind: type[T], address: Address) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        log_trouble("tenants.malformed", pk=address.pk if address.pk.startswith("T#") else "K#", sk=address.sk)
        raise AdmissionUnavailable("A record of this key or tenant is damaged; the operator has to mend it.") from error


def key_address(key_hash: str) -> Address:
    return Address(f"K#{key_hash}", "K")


def tenant_address(tenant_id: str) -> Address:
    return Address(f"T#{tenant_id}", "T")


def types_partition(tenant_id: str) -> str:
    return f"TYPES#{tenant_id}"


def user_address(tenant_id: str, user_id: str) -> Address:
    return Address(f"T#{tenant_id}", f"U#{user_id}")
