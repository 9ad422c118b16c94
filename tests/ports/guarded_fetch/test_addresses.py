"""Which addresses are public, at the edges of every range; which exceptions there can be; and the system's resolver."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from gateway.adapters.guarded_fetch.address import is_public, read_exempt
from gateway.adapters.guarded_fetch.refusal import Failed
from gateway.adapters.guarded_fetch.resolve import system_resolve

NOT_PUBLIC = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::1/128",
    "::/128",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "::ffff:0:0/96",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "2001::/32",
    "2001:db8::/32",
    "100::/64",
    "3fff::/20",
    "5f00::/16",
    "2001:2::/48",
    "2001:20::/28",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001::200e",
    "2001:4860:4860::8888",
    "2400:cb00::1",
    "2003::1",
]


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_no_address_of_these_ranges_is_public(network: str) -> None:
    addresses = ip_network(network)
    first, last = addresses[0], addresses[-1]
    middle = type(first)((int(first) + int(last)) // 2)
    assert [str(address) for address in (first, middle, last) if is_public(address)] == []


@pytest.mark.parametrize("text", PUBLIC)
def test_their_neighbours_are(text: str) -> None:
    assert is_public(ip_address(text))


def test_an_exception_is_an_address_of_this_machine_with_a_port() -> None:
    assert read_exempt(" 127.0.0.1:8001 ,[::1]:8002,") == {
        (ip_address("127.0.0.1"), 8001),
        (ip_address("::1"), 8002),
    }
    assert read_exempt("") == frozenset()


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "localhost:80", "10.0.0.1:80", "0.0.0.0:80", "*:80", "127.0.0.1:*", "127.0.0.1:0", "127.0.0.1:65536",
     "127.0.0.0/8:80", "169.254.169.254:80", "::ffff:10.0.0.1:80", "http://127.0.0.1:80"],
)  # fmt: skip
def test_nothing_else_can_be_an_exception(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_exempt(text)


async def test_the_system_is_asked_for_the_absolute_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        asked.append((host, port))
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%3", 443, 0, 3)),
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    answers = await system_resolve("site.example")
    assert [str(address) for address in answers] == ["93.184.215.14", "fe80::1%3"]
    assert (asked, is_public(answers[1])) == ([(b"site.example.", 443)], False)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), TimeoutError(), OSError()])
async def test_a_name_that_is_not_resolved_is_a_failure(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    async def getaddrinfo(*_: Any, **options: Any) -> list[Any]:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(Failed) as caught:
        await system_resolve("site.example")
    assert caught.value.code == "name_not_resolved"


async def test_the_real_resolver_knows_no_invalid_name() -> None:
    """RFC 6761 has every resolver say so, and without a network there is none: both are the same failure."""
    with pytest.raises(Failed, match="cannot be resolved"):
        await system_resolve("name.invalid")
