"""Something of every kind that routes ask for by its id: what is deleted or ended has one of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import httpx

from local.simulators.sounds import recording
from tests.e2e.customer import Customer, eventually

CHAT = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
LINE = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}
VIDEO = {"model": "xai/grok-imagine-video", "seconds": 2, "size": "480x480", "prompt": "waves"}
ENDED = ("completed", "failed", "cancelled", "expired")
Ids: TypeAlias = dict[str, dict[str, str]]
"""By operationId: values of the parameters in its path."""


def known_ids(customer: Customer, admin: httpx.Client) -> Ids:
    http, of_tenant = customer.http, _of_tenants(admin)
    return {
        "retrieveModel": {"id": "openai/gpt-4o-mini"},
        **_of_work(http, "Job", _order(http, "/jobs", {"endpoint": "/v1/chat/completions", "body": CHAT})),
        **_of_work(http, "Batch", _order(http, "/batches", {"requests": [LINE]})),
        **_of_work(http, "Video", _order(http, "/videos", VIDEO)),
        **_of_files(http),
        **_of_types(http),
        "retrieveRequestUsage": {"request_id": _recorded(http)},
        "locateJob": {"id": _order(http, "/jobs", {"endpoint": "/v1/chat/completions", "body": CHAT})()},
        **of_tenant,
        "hearProvider": {"provider": "google"},
    }


def known_bodies(customer: Customer, ids: Ids) -> dict[str, Any]:
    """By operationId: a body that says something of what is there, where those of the document name others."""
    new = uuid.uuid4().hex[:12]
    file = {"file": (f"{new}.jsonl", b'{"custom_id": "one"}\n')}
    made = customer.http.post("/files", files=file, data={"purpose": "batch"}).raise_for_status().json()["id"]
    user_id = ids["retrieveUser"]["user_id"]
    return {
        "createBatch": {"input_file_id": made, "endpoint": "/v1/chat/completions", "completion_window": "24h"},
        "createTranscription": {"model": "deepgram/nova-3", "file": _stored(customer.http, recording("Hello", "wav"))},
        "createTenant": {"id": f"any-{new}"},
        "replaceTenant": {"id": ids["replaceTenant"]["tenant_id"]},
        "createUser": {"id": f"any-{new}"},
        "putUser": {"id": user_id, "name": "Anybody"},
        "issueKey": {"user_id": user_id},
    }


def _order(http: httpx.Client, route: str, body: Mapping[str, Any]) -> Callable[[], str]:
    def order() -> str:
        answer = http.post(route, json=body)
        assert answer.status_code in (200, 202), answer.text
        found: str = answer.json()["id"]
        return found

    return order


def _of_work(http: httpx.Client, kind: str, order: Callable[[], str]) -> Ids:
    """Jobs, batches and videos: one that has ended, one to delete and one to cancel, where that can be done."""
    route = {"Job": "jobs", "Batch": "batches", "Video": "videos"}[kind]
    ended, deleted = order(), order()

    def look() -> bool | None:
        states = [http.get(f"/{route}/{one}").raise_for_status().json()["status"] for one in (ended, deleted)]
        return all(state in ENDED for state in states) or None

    eventually(look, 90)
    more = {
        "Job": {"deleteJob": deleted, "cancelJob": order()},
        "Batch": {"cancelBatch": order(), "listBatchResults": ended},
        "Video": {"deleteVideo": deleted, "downloadVideo": ended},
    }
    return {name: {"id": one} for name, one in {f"retrieve{kind}": ended, **more[kind]}.items()}


def _of_files(http: httpx.Client) -> Ids:
    told = {"filename": "a.txt", "content_type": "text/plain", "bytes": 5, "purpose": "user_data"}
    file = http.post("/files", json=told).raise_for_status().json()
    link = file["upload"]
    httpx.request(link["method"], link["url"], headers=link["headers"], content=b"Hello").raise_for_status()
    kept, deleted = _stored(http, b"Hello"), _stored(http, b"Hello")
    names = {"retrieveFile": kept, "downloadFile": kept, "deleteFile": deleted, "completeFile": file["id"]}
    return {name: {"id": one} for name, one in names.items()} | {"listFiles": {"after": kept}}


def _stored(http: httpx.Client, data: bytes) -> str:
    sent = {"file": ("any", data)}
    found: str = http.post("/files", files=sent, data={"purpose": "user_data"}).raise_for_status().json()["id"]
    return found


def _of_types(http: httpx.Client) -> Ids:
    kept, deleted = (f"gts.acme.any.geo.{name}.v1~" for name in ("kept", "deleted"))
    dialect = "https://json-schema.org/draft/2020-12/schema"
    types = [{"$schema": dialect, "$id": f"gts://{one}", "type": "object"} for one in (kept, deleted)]
    http.post("/types", json={"types": types}).raise_for_status()
    return {"retrieveType": {"id": kept}, "deleteType": {"id": deleted}}


def _recorded(http: httpx.Client) -> str:
    request_id: str = http.post("/chat/completions", json=CHAT).raise_for_status().headers["x-request-id"]

    def look() -> str | None:
        return request_id if http.get(f"/usage/requests/{request_id}").status_code == 200 else None

    return eventually(look, 60)


def _of_tenants(admin: httpx.Client) -> Ids:
    """A tenant for what leaves him as he is, and others, each with a user and a key, for what does not."""
    lasting = ["retrieveTenant", "changeTenant", "retrieveTenantLedger", "retrieveWebhookSecret"]
    lasting += ["rotateWebhookSecret", "createUser", "listUsers", "issueKey", "listKeys"]
    lasting += ["retrieveUser", "putUser", "changeUser", "retrieveUserLedger", "retrieveKey", "changeKey"]
    changed = ["replaceTenant", "deleteTenant", "disableTenant", "enableTenant"]
    changed += ["disableUser", "enableUser", "rotateKey", "revokeKey"]
    shared = _tenant(admin)
    made = {name: shared for name in lasting} | {name: _tenant(admin) for name in changed}
    admin.post(f"/tenants/{made['deleteTenant']['tenant_id']}/disable").raise_for_status()
    return made


def _tenant(admin: httpx.Client) -> dict[str, str]:
    tenant_id = f"any-{uuid.uuid4().hex[:12]}"
    admin.post("/tenants", json={"id": tenant_id, "approvals": ["*"]}).raise_for_status()
    admin.post(f"/tenants/{tenant_id}/users", json={"id": "alice"}).raise_for_status()
    key = admin.post(f"/tenants/{tenant_id}/keys", json={"user_id": "alice"}).raise_for_status().json()
    return {"tenant_id": tenant_id, "user_id": "alice", "key_id": key["id"]}
