"""POST to URLs that somebody else chose: checked and pinned as a fetch is, no redirect followed, connections kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import Exempt
from gateway.adapters.guarded_fetch.post import ADDRESSES_KEPT_S, GuardedPost
from gateway.adapters.guarded_fetch.refusal import Failed, Refused
from gateway.adapters.http_client import HttpClient
from gateway.model.http import HttpResponse
from tests.fakes import ManualClock
from tests.ports.guarded_fetch.certificates import Authority
from tests.ports.guarded_fetch.conftest import PUBLIC
from tests.ports.guarded_fetch.sites import Names, Network, Site, answer
from tests.ports.guarded_fetch.test_hostile_urls import HOSTILE

BODY = b'{"stage": "pre_call"}'
URL = "https://site.example/hook?a=b"


def said(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    return answer(status, *headers, f"Content-Length: {len(body)}") + body


class Hook:
    """A receiver that keeps its connections open."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bodies.append(await reader.readexactly(len(BODY)))
        for following in self.answers[:-1]:
            writer.write(following)
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            self.bodies.append(await reader.readexactly(len(BODY)))
        writer.write(self.answers[-1])
        await writer.drain()


@pytest.fixture
async def client(network: Network, authority: Authority) -> AsyncIterator[HttpClient]:
    client = HttpClient(trust=authority.trust)
    yield client
    await client.aclose()


@pytest.fixture
def post(client: HttpClient, names: Names) -> GuardedPost:
    return GuardedPost(client, SystemClock(), names.resolve)


async def sent(post: GuardedPost, url: str = URL, max_bytes: int = 1_000) -> HttpResponse:
    async with asyncio.timeout(5):
        return await post.send(url, {"content-type": "application/json", "webhook-id": "m1"}, BODY, max_bytes)


async def test_the_receiver_gets_the_body_and_the_headers(post: GuardedPost, site: Site, network: Network) -> None:
    site.answers["/hook?a=b"] = hook = Hook(said("200 OK", b'{"action": "allow"}'))
    response = await sent(post)
    assert (response.status, response.body) == (200, b'{"action": "allow"}')
    assert hook.bodies == [BODY]
    assert network.attempts == [(PUBLIC, 443)]
    head = site.heads[0].decode().lower()
    assert head.startswith("post /hook?a=b http/1.1\r\n")
    for header in ("host: site.example", "webhook-id: m1", "accept-encoding: identity", "user-agent: llm-gateway"):
        assert f"\r\n{header}\r\n" in head


async def delivered(post: GuardedPost) -> HttpResponse:
    async with asyncio.timeout(5):
        return await post.deliver(URL, {"webhook-id": "m1"}, BODY)


async def test_of_what_is_only_delivered_the_head_counts(post: GuardedPost, site: Site) -> None:
    """However large the rest is, and if it never ends."""
    endless = answer("202 Accepted", "Content-Length: 99999999999", "Content-Encoding: gzip", "Retry-After: 7")
    site.answers["/hook?a=b"] = hook = Hook(endless)
    response = await delivered(post)
    assert (response.status, response.headers["retry-after"], response.body) == (202, "7", b"")
    assert hook.bodies == [BODY]


async def test_what_is_only_delivered_goes_nowhere_inside(post: GuardedPost, names: Names) -> None:
    names.answers["site.example"] = [["10.0.0.7"]]
    with pytest.raises(Refused) as refused:
        await delivered(post)
    assert refused.value.code == "address_not_public"


async def test_a_connection_is_kept_for_the_next(post: GuardedPost, site: Site, names: Names) -> None:
    site.answers["/hook?a=b"] = hook = Hook(said("200 OK"), said("200 OK"))
    for _ in range(2):
        await sent(post)
    assert (site.connections, len(hook.bodies), names.asked) == (1, 2, ["site.example"])


async def test_addresses_are_asked_for_anew_after_a_while(client: HttpClient, names: Names, site: Site) -> None:
    clock = ManualClock()
    post = GuardedPost(client, clock, names.resolve)
    site.answers["/hook?a=b"] = Hook(said("200 OK"), said("200 OK"), said("200 OK"))
    await sent(post)
    clock.running_s += ADDRESSES_KEPT_S
    await sent(post)
    post.forget()
    await sent(post)
    assert names.asked == ["site.example"] * 3


@pytest.mark.parametrize(("url", "code"), HOSTILE, ids=[re.sub(r"\W+", " ", url) for url, _ in HOSTILE])
async def test_what_must_not_be_fetched_must_not_be_posted_to(
    post: GuardedPost, inside: Site, site: Site, url: str, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        await sent(post, url.replace("{port}", str(inside.port)))
    assert refused.value.code == code
    assert (site.connections, inside.connections) == (0, 0)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1", PUBLIC]])
async def test_a_name_with_an_address_inside_is_refused(
    post: GuardedPost, names: Names, network: Network, addresses: list[str]
) -> None:
    names.answers["site.example"] = [addresses]
    with pytest.raises(Refused) as refused:
        await sent(post)
    assert (refused.value.code, network.attempts) == ("address_not_public", [])


async def test_a_name_that_changes_its_mind_changes_nothing(
    post: GuardedPost, names: Names, network: Network, site: Site
) -> None:
    names.answers["site.example"] = [[PUBLIC], ["127.0.0.1"]]
    site.answers["/hook?a=b"] = Hook(said("200 OK"))
    await sent(post)
    assert network.attempts == [(PUBLIC, 443)]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_leads_nowhere(
    post: GuardedPost, site: Site, inside: Site, status: int
) -> None:
    site.answers["/hook?a=b"] = Hook(said(f"{status} There", b"", f"Location: http://127.0.0.1:{inside.port}/"))
    assert (await sent(post)).status == status
    assert (len(site.heads), inside.connections) == (1, 0)


async def test_the_next_address_is_tried_when_one_is_dead(
    post: GuardedPost, names: Names, network: Network, site: Site
) -> None:
    network.dead.add("93.184.215.15")
    names.answers["site.example"] = [["93.184.215.15", PUBLIC]]
    site.answers["/hook?a=b"] = Hook(said("200 OK"))
    assert (await sent(post)).status == 200
    network.dead.add(PUBLIC)
    names.answers["dead.site.example"] = [["93.184.215.15", PUBLIC]]
    with pytest.raises(Failed) as failed:
        await sent(post, "https://dead.site.example/")
    assert failed.value.code == "connect_failed"


async def test_a_certificate_for_another_name_is_not_good(post: GuardedPost, names: Names) -> None:
    names.answers["other.example"] = [[PUBLIC]]
    with pytest.raises(Failed) as failed:
        await sent(post, "https://other.example/")
    assert failed.value.code == "tls_failed"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (said("200 OK", b"x" * 2_000), "too_large"),
        (said("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"), "content_encoding"),
    ],
)
async def test_an_answer_that_cannot_be_taken(post: GuardedPost, site: Site, told: bytes, code: str) -> None:
    site.answers["/hook?a=b"] = Hook(told)
    with pytest.raises(Refused) as refused:
        await sent(post)
    assert refused.value.code == code


async def test_one_that_breaks_off_is_no_answer(post: GuardedPost, site: Site) -> None:
    site.answers["/hook?a=b"] = Hook(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
    with pytest.raises(Failed) as failed:
        await sent(post)
    assert failed.value.code == "protocol_error"


async def test_the_local_stack_may_be_posted_to_by_its_exception_alone(
    client: HttpClient, names: Names, exempt: Exempt, inside: Site
) -> None:
    inside.answers["/hook"] = Hook(said("200 OK"))
    post = GuardedPost(client, SystemClock(), names.resolve, exempt)
    assert (await sent(post, f"http://127.0.0.1:{inside.port}/hook")).status == 200
    with pytest.raises(Refused):
        await sent(post, f"http://localhost:{inside.port}/hook")
