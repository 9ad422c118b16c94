"""From the JSON that the administrator sends to a tenant, a user or a key's settings, whole or in part.

A part is a JSON Merge Patch: https://datatracker.ietf.org/doc/html/rfc7396. Values pass as they were written, so that
no amount of money goes through a float.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from gateway.hooks.settings import problems_of
from gateway.model.errors import Detail, InvalidRequest, PayloadTooLarge
from gateway.model.group import ModelGroup
from gateway.model.limits import ALL_MODELS, MAX_NUMBERS, Allowance
from gateway.model.tenant import Tenant, User
from gateway.model.webhook import WebhookSettings
from gateway.pipeline.decode import decoded
from gateway.ports import Catalog
from gateway.providers.lookup import provider_named, provider_names
from gateway.webhook_ports import WebhookUrls

T = TypeVar("T")
MAX_BODY_BYTES = 64 * 1024
"""Every request of the tenant reads its settings."""
READ_ONLY = ("object", "tenant_id", "created_at", "changed_at", "warnings")
"""What an answer has beyond the settings. It may come back, so that what was read can be changed and sent."""

_members = msgspec.json.Decoder(dict[str, Raw])
_POSITION = re.compile(r"/(\d+)(?=/|$)")


def read_whole(body: bytes, kind: type[T], settled: dict[str, str] | None = None) -> T:
    """`settled`: members that are known, and that the body may only repeat.

    Raises InvalidRequest (400), PayloadTooLarge (413).
    """
    members = _writable(body)
    for name, value in (settled or {}).items():
        if name in members and msgspec.json.decode(members[name]) != value:
            raise InvalidRequest(f"The {name} cannot be changed: it is '{value}'.", param=name)
        members[name] = Raw(msgspec.json.encode(value))
    return _as(kind, members)


def read_part(body: bytes, text: str, kind: type[T], fixed: tuple[str, ...] = ("id",)) -> T:
    """What the document `text` becomes by the patch. Raises InvalidRequest (400), PayloadTooLarge (413)."""
    patch, members = _writable(body), _members.decode(text)
    for name in fixed:
        if name in patch and msgspec.json.decode(patch[name]) != msgspec.json.decode(members[name]):
            raise InvalidRequest(f"The {name} cannot be changed.", param=name)
    return _as(kind, _merged(members, patch))


def changed_members(before: Any, after: Any) -> list[str]:
    """Names of the members in which two values of one kind differ."""
    names = type(after).__struct_fields__
    return [name for name in names if before is None or getattr(before, name) != getattr(after, name)]


def check_together(settings: Tenant, webhook_urls: WebhookUrls, was: Tenant | None = None) -> None:
    """What one member's type cannot say, of the members that are not as they were. Raises InvalidRequest (400)."""
    new = changed_members(was, settings)
    groups = _of_groups(settings) if "aliases" in new else ()
    hooks = _of_hooks(settings, webhook_urls) if "hooks" in new else ()
    webhooks = _of_webhooks(settings.webhooks, webhook_urls) if "webhooks" in new else ()
    _refuse_for(*_of_numbers(settings, new), *groups, *hooks, *webhooks)


def with_secret_of(was: WebhookSettings, settings: Tenant) -> Tenant:
    """Settings say where a tenant is told, and change nothing about what that is signed with; they may repeat it.

    Raises InvalidRequest (400).
    """
    given, fresh = settings.webhooks, WebhookSettings(url=settings.webhooks.url)
    kept = msgspec.structs.replace(was, url=given.url)
    if given not in (kept, fresh):
        name = "secret_version" if given.secret_version != was.secret_version else "previous_until_s"
        raise InvalidRequest(
            f"The {name} is not set but made: POST /admin/tenants/{{id}}/webhook-secret/rotate.",
            param=f"webhooks.{name}",
        )
    return msgspec.structs.replace(settings, webhooks=kept)


def check_user(settings: User) -> None:
    """The same of a user. Raises InvalidRequest (400)."""
    _refuse_for(*_of_numbers(settings, ["allowance"]))


def _refuse_for(*problems: Detail) -> None:
    if problems:
        first = problems[0]
        param = _POSITION.sub(r"[\1]", first.pointer).removeprefix("/").replace("/", ".")
        raise InvalidRequest(f"{first.reason}, at '{param}'.", param=param, details=problems)


def _of_numbers(settings: Tenant | User, members: list[str]) -> Iterator[Detail]:
    for name in members:
        allowance = getattr(settings, name)
        if isinstance(allowance, Allowance) and (numbers := allowance.numbers) > MAX_NUMBERS:
            reason = f"Limits and budgets together set at most {MAX_NUMBERS} numbers, these set {numbers}"
            yield Detail(f"/{name}/limits", reason)


def _of_groups(settings: Tenant) -> Iterator[Detail]:
    """A member is a model by its own name: what that means cannot depend on other aliases."""
    for alias, group in settings.aliases.items():
        if not isinstance(group, ModelGroup):
            continue
        names = [member.model for member in group.members]
        for number, name in enumerate(names):
            place = f"{_pointer('aliases', alias)}/models/{number}"
            if name in settings.aliases:
                what = "an alias" if settings.group(name) is None else "a group"
                yield Detail(place, f"'{name}' is {what} here, and a member is a model by its own name")
            if name in names[:number]:
                yield Detail(place, f"'{name}' is in this group already")
        if not any(member.weight for member in group.members):
            yield Detail(f"{_pointer('aliases', alias)}/models", "One of them has to have a weight of more than 0")


def _pointer(*members: str) -> str:
    return "".join("/" + member.replace("~", "~0").replace("/", "~1") for member in members)


def _of_hooks(settings: Tenant, webhook_urls: WebhookUrls) -> Iterator[Detail]:
    seen: set[str] = set()
    for number, hook in enumerate(settings.hooks):
        if hook.id in seen:
            yield Detail(f"/hooks/{number}/id", f"A hook before it has the id '{hook.id}'")
        seen.add(hook.id)
        for problem in problems_of(hook, webhook_urls.refusal):
            yield Detail(f"/hooks/{number}{problem.pointer}", problem.reason)


def _of_webhooks(webhooks: WebhookSettings, webhook_urls: WebhookUrls) -> Iterator[Detail]:
    if webhooks.url is not None and (refusal := webhook_urls.refusal(webhooks.url)):
        yield Detail("/webhooks/url", refusal.removesuffix("."))


def warnings_of(settings: Tenant | User, catalog: Catalog) -> list[dict[str, str]]:
    """What can be stored, and means nothing: pointers to it, and why."""
    ids = [f"{provider}/{facts.id}" for provider, facts in catalog.models()]
    return [msgspec.to_builtins(detail) for detail in _warnings(settings, ids, catalog)]


def unmatched(pointer: str, patterns: tuple[str, ...], ids: list[str]) -> Iterator[Detail]:
    for number, pattern in enumerate(patterns):
        if not _matches_any(pattern, ids):
            yield _unmatched(f"{pointer}/{number}", pattern)


def _matches_any(pattern: str, ids: list[str]) -> bool:
    return any(fnmatchcase(model_id, pattern) for model_id in ids)


def _unmatched(pointer: str, pattern: str) -> Detail:
    return Detail(pointer, f"No model of the catalog matches '{pattern}'.")


def _warnings(settings: Tenant | User, ids: list[str], catalog: Catalog) -> Iterator[Detail]:
    if isinstance(settings, User):
        if settings.allowance is not None:
            yield from _of_allowance("/allowance", settings.allowance, ids)
        return
    yield from unmatched("/approvals", settings.approvals, ids)
    yield from _of_aliases(settings, catalog)
    yield from _of_allowance("/allowance", settings.allowance, ids)
    yield from _of_allowance("/user_allowance", settings.user_allowance, ids)
    yield from _of_urls(settings)
    yield from _of_failing_providers(settings, ids, catalog)


def _of_urls(tenant: Tenant) -> Iterator[Detail]:
    own = tuple(begin for name in sorted(provider_names()) for begin in provider_named(name).own_urls)
    for number, prefix in enumerate(tenant.provider_urls):
        if not prefix.startswith(own):
            yield Detail(f"/provider_urls/{number}", f"No provider has storage of its own at '{prefix}'.")


def _of_aliases(tenant: Tenant, catalog: Catalog) -> Iterator[Detail]:
    for alias, target in tenant.aliases.items():
        if not isinstance(target, ModelGroup):
            yield from _of_model(_pointer("aliases", alias), target, tenant, catalog)
            continue
        for number, member in enumerate(target.members):
            yield from _of_model(f"{_pointer('aliases', alias)}/models/{number}", member.model, tenant, catalog)


def _of_model(pointer: str, target: str, tenant: Tenant, catalog: Catalog) -> Iterator[Detail]:
    provider, _, model = target.partition("/")
    if catalog.find(provider, model) is not None:
        if not tenant.approves(target):
            yield Detail(pointer, f"'{target}' is not among the approvals.")
    elif len(catalog.providers_of(target)) != 1:
        yield Detail(pointer, f"'{target}' is no model of the catalog.")


def _of_failing_providers(tenant: Tenant, ids: list[str], catalog: Catalog) -> Iterator[Detail]:
    groups = [alias for alias in tenant.aliases if tenant.group(alias) is not None]
    for number, rule in enumerate(tenant.fallbacks):
        if rule.models != ALL_MODELS and not _matches_any(rule.models, [*ids, *groups]):
            yield _unmatched(f"/fallbacks/{number}/models", rule.models)
        for place, name in enumerate(rule.fallback):
            target = tenant.aliases.get(name, name)
            if not isinstance(target, ModelGroup):
                yield from _of_model(f"/fallbacks/{number}/fallback/{place}", target, tenant, catalog)
    for number, limits in enumerate(tenant.timeouts):
        if limits.models != ALL_MODELS and not _matches_any(limits.models, ids):
            yield _unmatched(f"/timeouts/{number}/models", limits.models)


def _of_allowance(pointer: str, allowance: Allowance, ids: list[str]) -> Iterator[Detail]:
    patterns = [(f"{pointer}/limits/{number}/models", rule.models) for number, rule in enumerate(allowance.limits)]
    patterns += [(f"{pointer}/budgets/{number}/models", rule.models) for number, rule in enumerate(allowance.budgets)]
    for place, pattern in patterns:
        if pattern != ALL_MODELS and not _matches_any(pattern, ids):
            yield _unmatched(place, pattern)


def _writable(body: bytes) -> dict[str, Raw]:
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"Settings have at most {MAX_BODY_BYTES} bytes.")
    members = decoded(body, _members)
    return {name: value for name, value in members.items() if name not in READ_ONLY}


def _as(kind: type[T], members: dict[str, Raw]) -> T:
    return decoded(msgspec.json.encode(members), msgspec.json.Decoder(kind))


def _merged(members: dict[str, Raw], patch: dict[str, Raw]) -> dict[str, Raw]:
    merged = dict(members)
    for name, value in patch.items():
        text = bytes(value).strip()
        if text == b"null":
            merged.pop(name, None)
        elif text.startswith(b"{"):
            below = merged.get(name, Raw(b"{}"))
            held = _members.decode(below) if bytes(below).startswith(b"{") else {}
            merged[name] = Raw(msgspec.json.encode(_merged(held, _members.decode(value))))
        else:
            merged[name] = value
    return merged
