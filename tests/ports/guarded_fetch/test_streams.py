"""What is too large to be held comes piece by piece, under the same rules, and ends with the same refusals."""

from __future__ import annotations

import asyncio

import pytest

from gateway.adapters.downloads import GuardedDownloads
from gateway.adapters.guarded_fetch.fetch import GuardedFetch
from gateway.adapters.guarded_fetch.refusal import Failed, NotFetched, Refused
from gateway.model.provider_errors import ProviderError, ProviderGone
from tests.ports.guarded_fetch.sites import Site, answer, ok, redirect

LARGE = bytes(range(256)) * 4096


async def read(guarded: GuardedFetch, url: str, max_bytes: int = 10_000_000, timeout_s: float = 5.0) -> list[bytes]:
    async with guarded.opened(url, max_bytes, timeout_s) as parts:
        return [part async for part in parts]


async def test_it_comes_in_pieces_of_any_type(guarded: GuardedFetch, site: Site) -> None:
    site.answers["/v"] = ok(LARGE)
    parts = await read(guarded, "https://site.example/v")
    assert b"".join(parts) == LARGE
    assert len(parts) > 1


async def test_a_redirect_is_followed_and_checked(guarded: GuardedFetch, site: Site) -> None:
    site.answers["/a"] = redirect("https://files.site.example/v")
    site.answers["/v"] = ok(LARGE)
    assert b"".join(await read(guarded, "https://site.example/a")) == LARGE
    site.answers["/a"] = redirect("http://169.254.169.254/latest/meta-data")
    with pytest.raises(Refused) as refused:
        await read(guarded, "https://site.example/a")
    assert refused.value.code == "scheme_not_allowed"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (answer("404 Not Found", "Content-Length: 0"), "upstream_status"),
        (answer("200 OK", "Content-Encoding: gzip", "Content-Length: 1") + b"x", "content_encoding"),
        (answer("200 OK", f"Content-Length: {20_000_000}"), "too_large"),
        (answer("200 OK", "Content-Length: 100") + b"x", "protocol_error"),
    ],
)
async def test_what_is_not_read(guarded: GuardedFetch, site: Site, told: bytes, code: str) -> None:
    site.answers["/v"] = told
    with pytest.raises(NotFetched) as refused:
        await read(guarded, "https://site.example/v")
    assert refused.value.code == code


async def test_what_turns_out_to_be_too_large_ends_there(guarded: GuardedFetch, site: Site) -> None:
    async def more_than_it_said(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", "Connection: close"))
        for _number in range(40):
            writer.write(bytes(65_536))
            await writer.drain()

    site.answers["/v"] = more_than_it_said
    with pytest.raises(Refused) as refused:
        await read(guarded, "https://site.example/v", max_bytes=1_000_000)
    assert refused.value.code == "too_large"


async def test_a_site_that_stops_in_the_middle_is_not_waited_for(guarded: GuardedFetch, site: Site) -> None:
    async def stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", "Content-Length: 100") + b"x")
        await reader.read()

    site.answers["/v"] = stops
    with pytest.raises(Failed) as failed:
        await read(guarded, "https://site.example/v", timeout_s=0.2)
    assert failed.value.code == "timeout"


@pytest.mark.parametrize(
    ("status", "failure"),
    [(404, ProviderGone), (410, ProviderGone), (401, ProviderError), (403, ProviderError), (503, ProviderError)],
)
async def test_only_what_is_gone_is_gone_for_good(status: int, failure: type[ProviderError]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(f"{status} Said", "Content-Length: 0"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ProviderError) as raised:
            async with GuardedDownloads(place).open(f"http://{place}/a.mp4", 1_000, 5.0):
                raise AssertionError("it was opened")
    assert (type(raised.value), raised.value.provider_code) == (failure, "upstream_status")


@pytest.mark.parametrize(
    "url", ["http://site.example/", "https://127.0.0.1/", "https://10.0.0.1/", "file:///etc/passwd"]
)
async def test_what_must_not_be_read_is_the_providers_failure(url: str) -> None:
    with pytest.raises(ProviderError) as failure:
        async with GuardedDownloads().open(url, 1_000, 5.0):
            raise AssertionError("it was opened")
    assert failure.value.provider_code in ("scheme_not_allowed", "address_not_public", "url_invalid")
    assert "127.0.0.1" not in failure.value.message
