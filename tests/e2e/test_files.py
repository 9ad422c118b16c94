"""Files over the deployed gateway: the official SDK unmodified, large uploads, links, and whose they are."""

from __future__ import annotations

import hashlib
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.tenants import put_key, put_tenant

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
LARGE = 12_000_000
MAX_DIRECT = 4_400_000
pytestmark = pytest.mark.stack


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The official client as it comes: its own transport follows the redirect to a file's content."""
    with openai.OpenAI(base_url=gateway.http, api_key=gateway.api_key, max_retries=0) as client:
        yield client


@pytest.fixture
def stranger(local: Gateway) -> Iterator[httpx.Client]:
    """A client of another tenant, which the account is given for the test."""
    put_tenant(local.aws_endpoint_url, "stranger")
    key = put_key(local.aws_endpoint_url, "stranger", "eve")
    with httpx.Client(base_url=local.http, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
        yield client


def announce(http: httpx.Client, data: bytes, headers: dict[str, str] | None = None, **members: Any) -> dict[str, Any]:
    told = {"filename": "a.png", "content_type": "image/png", "bytes": len(data), "purpose": "vision", **members}
    answer = http.post("/files", json=told, headers=headers)
    assert answer.status_code == 200, answer.text
    check("File", answer.json())
    file: dict[str, Any] = answer.json()
    return file


def upload(file: dict[str, Any], data: bytes) -> httpx.Response:
    link = file["upload"]
    return httpx.request(link["method"], link["url"], headers=link["headers"], content=data, timeout=60)


def test_the_sdk_stores_reads_lists_and_deletes(sdk: openai.OpenAI) -> None:
    file = sdk.files.create(file=("Grüße.png", PNG), purpose="vision")
    check("File", file.to_dict())
    assert (file.filename, file.bytes, file.status, file.purpose) == ("Grüße.png", len(PNG), "processed", "vision")
    assert sdk.files.retrieve(file.id).id == file.id
    assert sdk.files.content(file.id).read() == PNG
    assert file.id in [listed.id for listed in sdk.files.list(purpose="vision", limit=1)]
    assert file.id not in [listed.id for listed in sdk.files.list(purpose="batch")]
    assert sdk.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as gone:
        sdk.files.retrieve(file.id)
    assert gone.value.code == "file_not_found"


def test_a_list_is_complete_and_newest_first(sdk: openai.OpenAI, http: httpx.Client) -> None:
    made = [sdk.files.create(file=(f"{number}.txt", b"text"), purpose="evals").id for number in range(5)]
    listed = [file.id for file in sdk.files.list(purpose="evals", limit=2)]
    assert [one for one in listed if one in made] == made[::-1]
    page = http.get("/files", params={"limit": 3})
    check("FileList", page.json())
    for file_id in made:
        sdk.files.delete(file_id)


def test_batch_input_in_lines_of_json(sdk: openai.OpenAI) -> None:
    file = sdk.files.create(
        file=("in.jsonl", b'{"custom_id": "1"}\n{"custom_id": "2"}\n'),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == file.created_at + 3600
    assert file.gateway["content_type"] == "application/jsonl"  # type: ignore[attr-defined]  # a member of this gateway
    sdk.files.delete(file.id)


@pytest.mark.parametrize("size", [MAX_DIRECT, MAX_DIRECT + 1, 5_500_000, 11_000_000])
def test_a_form_takes_what_lambda_takes(sdk: openai.OpenAI, size: int) -> None:
    if size <= MAX_DIRECT:
        sdk.files.delete(sdk.files.create(file=("a", bytes(size)), purpose="user_data").id)
        return
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.files.create(file=("a", bytes(size)), purpose="user_data")
    assert (refused.value.status_code, refused.value.code) == (413, "payload_too_large")
    assert "POST /v1/files with JSON" in refused.value.message


def test_a_large_file_in_three_steps(http: httpx.Client, sdk: openai.OpenAI) -> None:
    data = PNG + bytes(LARGE)
    file = announce(http, data)
    assert (file["status"], http.get(f"/files/{file['id']}").json()["status"]) == ("pending", "pending")
    assert upload(file, data).status_code == 200
    done = http.post(f"/files/{file['id']}/complete")
    check("File", done.json())
    assert (done.json()["status"], done.json()["bytes"]) == ("processed", len(data))
    assert http.post(f"/files/{file['id']}/complete").json()["id"] == file["id"]
    content = sdk.files.content(file["id"]).read()
    assert hashlib.sha256(content).digest() == hashlib.sha256(data).digest()

    upload(file, bytes(len(data)))  # the link still takes bytes, and they lead nowhere
    assert hashlib.sha256(sdk.files.content(file["id"]).read()).digest() == hashlib.sha256(data).digest()
    sdk.files.delete(file["id"])


def test_an_upload_link_takes_the_announced_length_only(http: httpx.Client) -> None:
    file = announce(http, PNG)
    longer = httpx.put(file["upload"]["url"], content=PNG + b"x")
    assert longer.status_code == 403
    assert http.post(f"/files/{file['id']}/complete").json()["error"]["param"] == "file_id"


def test_an_upload_of_another_type_is_refused_and_can_be_mended(http: httpx.Client) -> None:
    file = announce(http, PNG)
    assert upload(file, b"%PDF-" + PNG[5:]).status_code == 200
    refused = http.post(f"/files/{file['id']}/complete")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "content_type")
    assert upload(http.get(f"/files/{file['id']}").json(), PNG).status_code == 200
    assert http.post(f"/files/{file['id']}/complete").json()["status"] == "processed"
    http.delete(f"/files/{file['id']}")


def test_content_opens_with_plain_curl(gateway: Gateway, sdk: openai.OpenAI) -> None:
    file = sdk.files.create(file=("a.png", PNG), purpose="vision")
    url = sdk.files.retrieve(file.id).gateway["url"]  # type: ignore[attr-defined]  # a member of this gateway
    by_link = subprocess.run(["curl", "-fsS", url], capture_output=True, timeout=30, check=True)  # noqa: S603, S607
    key = f"Authorization: Bearer {gateway.api_key}"
    by_redirect = subprocess.run(  # noqa: S603
        ["curl", "-fsSL", "-D", "-", "-H", key, f"{gateway.http}/files/{file.id}/content"],  # noqa: S607
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert by_link.stdout == PNG
    assert by_redirect.stdout.endswith(PNG)
    assert b"content-disposition: attachment; filename*=UTF-8''a.png" in by_redirect.stdout.lower().replace(
        b"utf", b"UTF"
    )
    changed = subprocess.run(["curl", "-fsS", f"{url}0"], capture_output=True, timeout=30, check=False)  # noqa: S603, S607
    assert changed.returncode != 0
    sdk.files.delete(file.id)


def test_another_tenant_finds_nothing(http: httpx.Client, stranger: httpx.Client, sdk: openai.OpenAI) -> None:
    whole = sdk.files.create(file=("a.png", PNG), purpose="vision").id
    pending = announce(http, PNG)["id"]
    for file_id in (whole, pending):
        answers = [
            stranger.get(f"/files/{file_id}"),
            stranger.get(f"/files/{file_id}/content"),
            stranger.post(f"/files/{file_id}/complete"),
            stranger.delete(f"/files/{file_id}"),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "file_not_found")
    assert whole not in [file["id"] for file in stranger.get("/files").json()["data"]]
    assert http.delete(f"/files/{whole}").json() == {"id": whole, "object": "file", "deleted": True}
    assert http.delete(f"/files/{pending}").status_code == 200


def test_an_idempotency_key(http: httpx.Client) -> None:
    key = {"idempotency-key": uuid.uuid4().hex}

    def create(data: bytes) -> httpx.Response:
        return http.post("/files", files={"file": ("a", data)}, data={"purpose": "user_data"}, headers=key)

    first, again, other = create(b"one"), create(b"one"), create(b"two")
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    http.delete(f"/files/{first.json()['id']}")


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        ({"json": {"filename": "a"}}, 400, "content_type"),
        ({"json": {"filename": "a", "content_type": "text/plain", "bytes": 1, "purpose": "fun"}}, 400, "purpose"),
        ({"data": {"purpose": "vision"}, "files": {"other": ("a", b"b")}}, 400, "file"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, None),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, None),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, None),
    ],
)
def test_bad_input_is_named(http: httpx.Client, request_: dict[str, Any], status: int, param: str | None) -> None:
    answer = http.post("/files", **request_)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize("file_id", ["file_1", "file_" + "0" * 26, "%2e%2e%2ffiles", "file_%00"])
def test_ids_that_are_none(http: httpx.Client, file_id: str) -> None:
    for path in (f"/files/{file_id}", f"/files/{file_id}/content"):
        assert http.get(path).status_code == 404
