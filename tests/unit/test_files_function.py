"""/v1/files, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from gateway.entry.files import files_app
from gateway.model.errors import StorageUnavailable
from gateway.model.file import MAX_CHECKED_BYTES, MAX_DIRECT_BYTES, MAX_FILE_BYTES, PENDING_S
from gateway.model.tenant import Tenant
from tests.fakes import ManualClock, MemoryFiles, key_hash, principal
from tests.unit.conftest import KEY, Gateway
from tests.unit.facts.contract import component, problems

AUTH = {"authorization": f"Bearer {KEY}"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PDF = b"%PDF-1.7 ..."
TENANT = "acme"
FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nbytes\r\n--b--\r\n'


@pytest.fixture
def files(gateway: Gateway) -> MemoryFiles:
    return MemoryFiles(gateway.world.clock)


@pytest.fixture
def clock(gateway: Gateway) -> ManualClock:
    assert isinstance(gateway.world.clock, ManualClock)
    return gateway.world.clock


@pytest.fixture
async def client(gateway: Gateway, files: MemoryFiles) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(files_app(replace(gateway.world, files=files)), raise_app_exceptions=False)
    hooks = {"response": [keeps_the_contract]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=AUTH, event_hooks=hooks
    ) as client:
        yield client


async def keeps_the_contract(answer: httpx.Response) -> None:
    await answer.aread()
    if answer.status_code == 302:
        return
    success = {"GET": "FileList" if answer.url.path == "/v1/files" else "File", "POST": "File", "DELETE": "FileDeleted"}
    schema = success[answer.request.method] if answer.status_code == 200 else "ErrorEnvelope"
    assert problems(component(schema), answer.json()) == []


async def post_form(
    client: httpx.AsyncClient, file: Any, headers: dict[str, str] | None = None, /, **fields: str
) -> httpx.Response:
    data = {"purpose": "user_data", **fields}
    return await client.post("/v1/files", files={"file": file}, data=data, headers=headers)


async def announce(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    told = {"filename": "a.png", "content_type": "image/png", "bytes": len(PNG), "purpose": "vision", **members}
    return await client.post("/v1/files", json=told, headers=headers)


async def announced(client: httpx.AsyncClient, files: MemoryFiles, data: bytes, **members: Any) -> str:
    """The id of a file that is announced and uploaded."""
    file_id: str = (await announce(client, bytes=len(data), **members)).json()["id"]
    files.uploads[TENANT, file_id] = data
    return file_id


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


async def test_a_form_stores_a_file(client: httpx.AsyncClient, clock: ManualClock) -> None:
    answer = (await post_form(client, ("a.png", PNG, "image/png"))).json()
    url, expiry = answer["gateway"].pop("url"), answer["gateway"].pop("url_expires_at")
    assert answer == {
        "id": answer["id"],
        "object": "file",
        "bytes": len(PNG),
        "created_at": int(clock.unix_s),
        "expires_at": None,
        "filename": "a.png",
        "purpose": "user_data",
        "status": "processed",
        "gateway": {"content_type": "image/png"},
    }
    assert url.endswith(answer["id"])
    assert 300 <= expiry - clock.unix_s <= 900


@pytest.mark.parametrize(
    ("declared", "data", "purpose", "kept"),
    [
        ("image/png", PDF, "user_data", "application/pdf"),
        ("application/octet-stream", PNG, "user_data", "image/png"),
        ("nonsense", PNG, "user_data", "image/png"),
        ("text/markdown; charset=utf-8", b"# Title", "user_data", "text/markdown"),
        ("application/octet-stream", b'{"a": 1}\n{"b": 2}\n', "batch", "application/jsonl"),
        ("application/octet-stream", b"\x00\x01\x02", "user_data", "application/octet-stream"),
        ("application/zip", b"\x00\x01\x02", "user_data", "application/zip"),
        ("image/png", b"\x00\x01\x02", "user_data", "application/octet-stream"),
        ("image/png", b"just text", "user_data", "text/plain"),
    ],
)
async def test_a_form_gets_the_type_of_its_bytes(
    client: httpx.AsyncClient, declared: str, data: bytes, purpose: str, kept: str
) -> None:
    answer = (await post_form(client, ("a", data, declared), purpose=purpose)).json()
    assert answer["gateway"]["content_type"] == kept


async def test_lifetimes(client: httpx.AsyncClient, clock: ManualClock) -> None:
    asked = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    form = (await post_form(client, ("a", b"a"), **asked)).json()
    json = (await announce(client, expires_after={"anchor": "created_at", "seconds": 7200})).json()
    batch = (await post_form(client, ("a", b"a"), purpose="batch")).json()
    assert [file["expires_at"] - int(clock.unix_s) for file in (form, json, batch)] == [3600, 7200, 30 * 24 * 3600]
    clock.unix_s += 3600
    assert (await client.get(f"/v1/files/{form['id']}")).status_code == 404


async def test_an_upload_in_three_steps(client: httpx.AsyncClient, files: MemoryFiles, clock: ManualClock) -> None:
    told = (await announce(client)).json()
    assert (told["status"], told["bytes"], told["gateway"]) == ("pending", len(PNG), {"content_type": "image/png"})
    assert told["upload"] == {
        "method": "PUT",
        "url": f"https://storage.test/uploads/{TENANT}/{told['id']}",
        "headers": {"content-length": str(len(PNG))},
        "expires_at": int(clock.unix_s) + 900,
    }
    assert (await client.get(f"/v1/files/{told['id']}")).json() == told
    assert (await client.get("/v1/files")).json()["data"] == []
    assert refusal(await client.get(f"/v1/files/{told['id']}/content")) == (400, "validation_error", "file_id")
    assert refusal(await client.post(f"/v1/files/{told['id']}/complete")) == (400, "validation_error", "file_id")

    files.uploads[TENANT, told["id"]] = PNG
    done = (await client.post(f"/v1/files/{told['id']}/complete")).json()
    assert (done["status"], "upload" in done) == ("processed", False)
    assert (await client.post(f"/v1/files/{told['id']}/complete")).json() == done
    assert (await client.get(f"/v1/files/{told['id']}")).json() == done
    assert files.whole[TENANT, told["id"]][1] == PNG


@pytest.mark.parametrize(
    ("data", "members", "param"),
    [
        (PNG, {"bytes": 7}, "bytes"),
        (b"", {"bytes": 7}, "bytes"),
        (PDF, {}, "content_type"),
        (b"just text", {}, "content_type"),
        (b"\x00\x01", {}, "content_type"),
        (PNG, {"content_type": "text/plain"}, "content_type"),
        (PNG + bytes(MAX_CHECKED_BYTES), {"content_type": "application/pdf"}, "content_type"),
    ],
)
async def test_an_upload_that_is_not_what_was_announced(
    client: httpx.AsyncClient, files: MemoryFiles, data: bytes, members: dict[str, Any], param: str
) -> None:
    file_id = (await announce(client, **{"bytes": len(data), **members})).json()["id"]
    files.uploads[TENANT, file_id] = data
    answer = await client.post(f"/v1/files/{file_id}/complete")
    assert refusal(answer) == (400, "validation_error", param)
    assert (await client.get(f"/v1/files/{file_id}")).json()["status"] == "pending"


@pytest.mark.parametrize(
    ("declared", "data", "kept"),
    [
        ("application/octet-stream", PDF, "application/pdf"),
        ("image/jpg", b"\xff\xd8\xff\xe0" + bytes(20), "image/jpeg"),
        ("video/mp4", b"\0\0\0\x18ftypM4A " + bytes(12), "audio/mp4"),
        ("application/jsonl", b'{"a": "b"}\n', "application/jsonl"),
        ("text/plain", b'{"a": "b"}', "text/plain"),
        ("application/zip", bytes(9), "application/zip"),
        ("text/plain", ("é" * MAX_CHECKED_BYTES).encode(), "text/plain"),
        ("application/pdf", bytes(MAX_CHECKED_BYTES + 1), "application/pdf"),
    ],
)
async def test_an_upload_keeps_the_type_that_its_bytes_allow(
    client: httpx.AsyncClient, files: MemoryFiles, declared: str, data: bytes, kept: str
) -> None:
    file_id = await announced(client, files, data, content_type=declared)
    done = (await client.post(f"/v1/files/{file_id}/complete")).json()
    assert done["gateway"]["content_type"] == kept


async def test_an_upload_has_a_day(client: httpx.AsyncClient, files: MemoryFiles, clock: ManualClock) -> None:
    file_id = await announced(client, files, PNG)
    clock.unix_s += PENDING_S
    assert refusal(await client.post(f"/v1/files/{file_id}/complete")) == (404, "file_not_found", "file_id")


async def test_content_leads_to_the_storage(client: httpx.AsyncClient) -> None:
    file_id = (await post_form(client, ("a.png", PNG))).json()["id"]
    answer = await client.get(f"/v1/files/{file_id}/content")
    assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
    assert answer.headers["location"] == f"https://storage.test/files/{TENANT}/{file_id}"


async def test_a_deleted_file_is_gone(client: httpx.AsyncClient) -> None:
    file_id = (await post_form(client, ("a.png", PNG))).json()["id"]
    answer = await client.delete(f"/v1/files/{file_id}")
    assert answer.json() == {"id": file_id, "object": "file", "deleted": True}
    assert refusal(await client.delete(f"/v1/files/{file_id}")) == (404, "file_not_found", "file_id")


async def test_lists_are_paged(client: httpx.AsyncClient, clock: ManualClock) -> None:
    ids = []
    for purpose in ("vision", "batch", "vision"):
        clock.unix_s += 1
        ids.append((await post_form(client, ("a", b"a"), purpose=purpose)).json()["id"])
    first = (await client.get("/v1/files", params={"limit": 2})).json()
    assert ([file["id"] for file in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
    assert (first["first_id"], first["last_id"]) == (ids[2], ids[1])
    rest = (await client.get("/v1/files", params={"after": first["last_id"], "order": "desc"})).json()
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == ([ids[0]], False)
    batches = (await client.get("/v1/files", params={"purpose": "batch"})).json()
    assert [file["id"] for file in batches["data"]] == [ids[1]]
    assert batches["data"][0]["gateway"] == {"content_type": "application/jsonl"}


async def test_an_empty_list(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/files")).json()
    assert answer == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"after": "file_1"}, "after"),
        ({"order": "asc"}, "order"),
        ({"purpose": "fun"}, "purpose"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_list_refuses_by_name(client: httpx.AsyncClient, query: dict[str, str], param: str) -> None:
    assert refusal(await client.get("/v1/files", params=query)) == (400, "validation_error", param)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": "12"}, "bytes"),
        ({"purpose": "batch_output"}, "purpose"),
        ({"purpose": None}, "purpose"),
        ({"content_type": "png"}, "content_type"),
        ({"filename": ""}, "filename"),
        ({"filename": "a\nb"}, "filename"),
        ({"filename": "é" * 128}, "filename"),
        ({"expires_after": {"anchor": "created_at", "seconds": 60}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 3600}}, "expires_after.anchor"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_an_announcement_refuses_by_name(client: httpx.AsyncClient, members: dict[str, Any], param: str) -> None:
    answer = await announce(client, **members)
    assert refusal(answer) == (400, "validation_error", param)
    assert answer.json()["error"]["details"][0]["pointer"] == "/" + param.replace(".", "/")
    assert answer.headers["x-should-retry"] == "false"


async def test_every_violation_is_listed(client: httpx.AsyncClient) -> None:
    details = (await client.post("/v1/files", json={"bytes": 1})).json()["error"]["details"]
    assert {detail["pointer"] for detail in details} == {"/filename", "/content_type", "/purpose"}


async def test_the_longest_file_name_is_kept(client: httpx.AsyncClient) -> None:
    assert (await announce(client, filename="é" * 127 + "a")).json()["filename"] == "é" * 127 + "a"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "fun"}, "purpose"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "soon"}, "expires_after.seconds"),
        ({"expires_after[anchor]": "created_at"}, "expires_after.seconds"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_form_refuses_by_name(client: httpx.AsyncClient, fields: dict[str, str], param: str) -> None:
    assert refusal(await post_form(client, ("a", b"a"), **fields)) == (400, "validation_error", param)


async def test_a_form_without_a_usable_file(client: httpx.AsyncClient) -> None:
    assert refusal(await post_form(client, ("a", b""))) == (400, "validation_error", "file")
    nothing = await client.post("/v1/files", files={"purpose": (None, "vision")})
    text = await client.post("/v1/files", files={"purpose": (None, "vision"), "file": (None, "text")})
    two = await client.post("/v1/files", files=[("file", ("a", b"a")), ("file", ("b", b"b"))])
    assert [refusal(answer) for answer in (nothing, text)] == [(400, "validation_error", "file")] * 2
    assert refusal(two) == (400, "validation_error", None)


@pytest.mark.parametrize(
    ("content_type", "body", "refused"),
    [
        ("application/json", b"{", (400, "validation_error", None)),
        ("application/json", b"[]", (400, "validation_error", None)),
        ("multipart/form-data", b"x", (400, "validation_error", None)),
        ("multipart/form-data; boundary=b", b"--b\r\nrubbish", (400, "validation_error", "file")),
        pytest.param(
            "multipart/form-data; boundary=b",
            FORM[:-8],
            (400, "validation_error", "file"),
            # Starlette leaves the temporary file of a form that is cut to the garbage collector.
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        ),
        ("multipart/form-data; boundary=b", FORM, (400, "validation_error", "purpose")),
        ("text/plain", b"x", (415, "unsupported_media_type", None)),
        ("", b"x", (415, "unsupported_media_type", None)),
    ],
)
async def test_bodies_that_cannot_be_read(
    client: httpx.AsyncClient, content_type: str, body: bytes, refused: tuple[int, str, str | None]
) -> None:
    answer = await client.post("/v1/files", content=body, headers={"content-type": content_type})
    assert refusal(answer) == refused


async def test_too_large_names_the_way_that_takes_it(client: httpx.AsyncClient) -> None:
    answer = await post_form(client, ("a", bytes(MAX_DIRECT_BYTES + 1)))
    assert refusal(answer) == (413, "payload_too_large", "file")
    assert "/v1/files/{id}/complete" in answer.json()["error"]["message"]
    assert (await post_form(client, ("a", bytes(MAX_DIRECT_BYTES)))).status_code == 200
    assert refusal(await announce(client, bytes=MAX_FILE_BYTES + 1)) == (413, "payload_too_large", "bytes")
    assert (await announce(client, bytes=MAX_FILE_BYTES)).status_code == 200


async def test_an_idempotency_key_replays_its_answer(
    client: httpx.AsyncClient, files: MemoryFiles, clock: ManualClock
) -> None:
    key = {"idempotency-key": "k-1"}
    first = (await post_form(client, ("a", b"a"), key)).json()
    clock.unix_s += 60
    again = (await post_form(client, ("a", b"a"), key)).json()
    assert (again["id"], again["created_at"], len(files.whole)) == (first["id"], first["created_at"], 1)
    for changed in (("a", b"b"), ("b", b"a"), ("a", b"a", "image/png")):
        assert refusal(await post_form(client, changed, key)) == (409, "idempotency_conflict", "Idempotency-Key")
    assert refusal(await post_form(client, ("a", b"a"), key, purpose="batch")) == (
        409,
        "idempotency_conflict",
        "Idempotency-Key",
    )
    assert refusal(await announce(client, key)) == (409, "idempotency_conflict", "Idempotency-Key")


async def test_an_idempotency_key_replays_an_announcement(
    client: httpx.AsyncClient, files: MemoryFiles, clock: ManualClock
) -> None:
    key = {"idempotency-key": "k-1"}
    first = (await announce(client, key)).json()
    clock.unix_s += 60
    again = (await announce(client, key)).json()
    assert (again["id"], again["upload"]["expires_at"]) == (first["id"], first["upload"]["expires_at"] + 60)
    files.uploads[TENANT, first["id"]] = PNG
    await client.post(f"/v1/files/{first['id']}/complete", headers=key)
    assert (await announce(client, key)).json()["status"] == "processed"
    assert refusal(await announce(client, key, bytes=1)) == (409, "idempotency_conflict", "Idempotency-Key")


async def test_a_first_try_that_broke_off_is_finished(
    client: httpx.AsyncClient, files: MemoryFiles, clock: ManualClock
) -> None:
    key = {"idempotency-key": "k-1"}
    asked = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    first = (await post_form(client, ("a", b"a"), key, **asked)).json()
    files.whole.clear()
    clock.unix_s += 60
    again = (await post_form(client, ("a", b"a"), key, **asked)).json()
    assert (again["id"], again["expires_at"]) == (first["id"], first["expires_at"])
    assert files.whole[TENANT, first["id"]][1] == b"a"


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_an_idempotency_key_has_a_length(client: httpx.AsyncClient, key: str) -> None:
    answer = await announce(client, {"idempotency-key": key})
    assert refusal(answer) == (400, "validation_error", "Idempotency-Key")


ROUTES = [("GET", ""), ("GET", "/content"), ("POST", "/complete"), ("DELETE", "")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_another_tenants_file_is_not_found(
    client: httpx.AsyncClient, gateway: Gateway, files: MemoryFiles, method: str, path: str
) -> None:
    file_id = (await post_form(client, ("a", b"a"))).json()["id"]
    pending = await announced(client, files, PNG)
    gateway.access.held[key_hash("gwk_other")] = principal(Tenant(id="other"), "bob")
    stranger = {"authorization": "Bearer gwk_other"}
    for known in (file_id, pending):
        answer = await client.request(method, f"/v1/files/{known}{path}", headers=stranger)
        assert refusal(answer) == (404, "file_not_found", "file_id")
    assert (await client.get("/v1/files", headers=stranger)).json()["data"] == []
    assert (TENANT, file_id) in files.whole


@pytest.mark.parametrize(
    ("method", "path", "refused"),
    [
        *((method, f"/file_1{path}", (401, "invalid_api_key", None)) for method, path in ROUTES),
        ("GET", "", (401, "invalid_api_key", None)),
        ("POST", "", (401, "invalid_api_key", None)),
        ("POST", "/file_1", (405, "method_not_allowed", None)),
        ("GET", "/", (404, "not_found", None)),
        ("GET", "/file_1/else", (404, "not_found", None)),
    ],
)
async def test_every_route_needs_a_key(
    client: httpx.AsyncClient, method: str, path: str, refused: tuple[int, str, str | None]
) -> None:
    answer = await client.request(method, f"/v1/files{path}", headers={"authorization": "Bearer wrong"})
    assert refusal(answer) == refused
    assert answer.json()["error"]["request_id"] == answer.headers["x-gateway-request-id"]


async def test_a_storage_that_does_not_answer_is_a_503_worth_a_retry(
    client: httpx.AsyncClient, files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: Any) -> None:
        raise StorageUnavailable("File storage does not answer at the moment (SlowDown).")

    monkeypatch.setattr(files, "put", down)
    answer = await post_form(client, ("a", b"a"))
    assert refusal(answer) == (503, "storage_unavailable", None)
    assert (answer.json()["error"]["retryable"], "x-should-retry" in answer.headers) == (True, False)


async def test_a_defect_is_a_500_that_tells_nothing(
    client: httpx.AsyncClient, files: MemoryFiles, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    files.page = None  # type: ignore[assignment, method-assign]
    answer = await client.get("/v1/files")
    assert refusal(answer) == (500, "internal_error", None)
    assert b"gateway.defect" in capsysbinary.readouterr().out
