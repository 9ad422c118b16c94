"""URLs that must not be fetched: each is refused by its code, before a name is asked for or a socket is opened.

Everything is refused with and without the local stack's exception for 127.0.0.1:{port}, where a site listens that
would answer.
"""

from __future__ import annotations

import re

import pytest

from gateway.adapters.guarded_fetch.fetch import GuardedFetch
from gateway.adapters.guarded_fetch.refusal import Refused
from tests.ports.guarded_fetch.conftest import PUBLIC, fetch_by
from tests.ports.guarded_fetch.sites import Names, Network, Site

HOSTILE = [
    # Loopback, among it the Lambda Runtime API and SnapStart's credentials
    ("https://127.0.0.1/", "address_not_public"),
    ("https://127.0.0.1:9001/2018-06-01/runtime/invocation/next", "port_not_allowed"),
    ("http://127.0.0.1:9001/2018-06-01/runtime/invocation/next", "scheme_not_allowed"),
    ("https://127.255.255.254/", "address_not_public"),
    ("https://0.0.0.0/", "address_not_public"),
    ("http://127.0.0.2:{port}/", "scheme_not_allowed"),
    ("http://0.0.0.0:{port}/", "scheme_not_allowed"),
    ("https://127.0.0.2:{port}/", "port_not_allowed"),
    # 127.0.0.1 in every other notation
    ("http://127.1:{port}/", "address_notation"),
    ("http://127.0.1:{port}/", "address_notation"),
    ("http://2130706433:{port}/", "address_notation"),
    ("http://0x7f000001:{port}/", "address_notation"),
    ("http://0x7f.0.0.1:{port}/", "address_notation"),
    ("http://0X7F.0x0.0x0.0x1:{port}/", "address_notation"),
    ("http://017700000001:{port}/", "address_notation"),
    ("http://0177.0.0.1:{port}/", "address_notation"),
    ("http://0000127.0.0.1:{port}/", "address_notation"),
    ("http://127.0.0.1.:9001/", "scheme_not_allowed"),
    ("http://127.0.0.0x1:{port}/", "address_notation"),
    ("http://127.0.0.256:{port}/", "address_notation"),
    ("http://127.0.0.1.0:{port}/", "address_notation"),
    ("https://0x/", "address_notation"),
    ("https://0/", "address_notation"),
    ("https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "address_not_public"),
    ("https://①②⑦.⓪.⓪.①/", "address_not_public"),
    ("https://127。0。0。1/", "address_not_public"),
    ("https://%31%32%37.0.0.1/", "address_notation"),
    # Private and other networks that are not public
    ("https://10.0.0.1/", "address_not_public"),
    ("https://172.16.0.1/", "address_not_public"),
    ("https://172.31.255.255/", "address_not_public"),
    ("https://192.168.1.1/", "address_not_public"),
    ("https://100.64.0.1/", "address_not_public"),
    ("https://192.0.0.170/", "address_not_public"),
    ("https://198.18.0.1/", "address_not_public"),
    ("https://203.0.113.7/", "address_not_public"),
    ("https://224.0.0.1/", "address_not_public"),
    ("https://255.255.255.255/", "address_not_public"),
    # Credentials endpoints and instance metadata
    ("https://169.254.169.254/latest/meta-data/iam/security-credentials/", "address_not_public"),
    ("http://169.254.169.254/latest/meta-data/", "scheme_not_allowed"),
    ("https://169.254.170.2/v2/credentials", "address_not_public"),
    ("https://169.254.170.23/v1/credentials", "address_not_public"),
    ("https://[fd00:ec2::254]/latest/meta-data/", "address_not_public"),
    ("https://[fd00:ec2::23]/v1/credentials", "address_not_public"),
    ("https://2852039166/", "address_notation"),
    ("https://0xa9fea9fe/", "address_notation"),
    ("https://[::ffff:169.254.169.254]/", "address_not_public"),
    ("https://metadata.google.internal/", "host_not_allowed"),
    # IPv6
    ("https://[::1]/", "address_not_public"),
    ("https://[::]/", "address_not_public"),
    ("https://[0:0:0:0:0:0:0:1]/", "address_not_public"),
    ("http://[::1]:{port}/", "scheme_not_allowed"),
    ("https://[::ffff:127.0.0.1]/", "address_not_public"),
    ("http://[::ffff:127.0.0.1]:{port}/", "scheme_not_allowed"),
    ("https://[::ffff:7f00:1]/", "address_not_public"),
    ("https://[::ffff:0:127.0.0.1]/", "address_not_public"),
    ("https://[::127.0.0.1]/", "address_not_public"),
    ("https://[::ffff:8.8.8.8]/", "address_not_public"),
    ("https://[64:ff9b::7f00:1]/", "address_not_public"),
    ("https://[64:ff9b:1::a9fe:a9fe]/", "address_not_public"),
    ("https://[2002:7f00:1::]/", "address_not_public"),
    ("https://[2002:a9fe:a9fe::1]/", "address_not_public"),
    ("https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", "address_not_public"),
    ("https://[2606:4700::5efe:7f00:1]/", "address_not_public"),
    ("https://[fe80::1]/", "address_not_public"),
    ("https://[fec0::1]/", "address_not_public"),
    ("https://[fc00::1]/", "address_not_public"),
    ("https://[ff02::1]/", "address_not_public"),
    ("https://[2001:db8::1]/", "address_not_public"),
    ("https://[fe80::1%25eth0]/", "address_notation"),
    ("https://[::1%25lo]/", "address_notation"),
    ("https://[fe80::1%eth0]/", "address_notation"),
    ("https://[v1.a]/", "address_notation"),
    ("https://[]/", "address_notation"),
    ("https://[127.0.0.1]/", "address_notation"),
    ("https://[::1/", "url_invalid"),
    ("https://::1/", "url_invalid"),
    # Names of local networks
    ("http://localhost:{port}/", "host_not_allowed"),
    ("https://LOCALHOST/", "host_not_allowed"),
    ("https://localhost./", "host_not_allowed"),
    ("https://x.localhost/", "host_not_allowed"),
    ("https://localhost.localdomain/", "host_not_allowed"),
    ("https://localho\u017ft/", "host_not_allowed"),
    ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "host_not_allowed"),
    ("https://printer.local/", "host_not_allowed"),
    ("https://ip-10-0-0-1.eu-west-1.compute.internal/", "host_not_allowed"),
    ("https://1.0.0.127.in-addr.arpa/", "host_not_allowed"),
    ("https://intranet/", "host_not_allowed"),
    ("https://redis/", "host_invalid"),
    ("https://redis./", "host_invalid"),
    # Hosts that are none
    ("https:///etc/passwd", "host_invalid"),
    ("https://", "host_invalid"),
    ("https://./", "host_invalid"),
    ("https://site..example/", "host_invalid"),
    ("https://.site.example/", "host_invalid"),
    ("https://-a.site.example/", "host_invalid"),
    ("https://" + "a" * 64 + ".site.example/", "host_invalid"),
    ("https://" + "a." * 127 + "example/", "host_invalid"),
    ("https://site.example%00.evil.example/", "host_invalid"),
    ("https://site.example%2f@127.0.0.1/", "userinfo_not_allowed"),
    ("https://l\u00adocalhost/", "url_invalid"),
    ("https://" + "\u0301" + "x.example/", "host_invalid"),
    # User information, and characters that parsers disagree about
    ("https://user@site.example/", "userinfo_not_allowed"),
    ("https://user:password@site.example/", "userinfo_not_allowed"),
    ("https://@site.example/", "userinfo_not_allowed"),
    ("https://site.example@127.0.0.1/", "userinfo_not_allowed"),
    ("https://site.example:443@127.0.0.1/", "userinfo_not_allowed"),
    ("https://127.0.0.1@site.example/", "userinfo_not_allowed"),
    ("https://127.0.0.1#@site.example/", "address_not_public"),
    ("https://127.0.0.1?@site.example/", "address_not_public"),
    ("https://site.example\\@127.0.0.1/", "url_invalid"),
    ("https://127.0.0.1\\.site.example/", "url_invalid"),
    ("https:\\\\127.0.0.1\\", "url_invalid"),
    ("https://site.example/\r\nHost: 127.0.0.1\r\n\r\n", "url_invalid"),
    ("https://site.example\r\n.evil.example/", "url_invalid"),
    ("https://127.0.\t0.1/", "url_invalid"),
    ("https://site.example/a b", "url_invalid"),
    (" https://site.example/", "url_invalid"),
    ("https://site.example/\x00", "url_invalid"),
    ("https://site.example/\x7f", "url_invalid"),
    ("https://site.example/\u2028", "url_invalid"),
    ("https://site.example/\ud800", "url_invalid"),
    ("https:127.0.0.1/", "url_invalid"),
    ("https:/127.0.0.1/", "url_invalid"),
    ("//127.0.0.1/", "url_invalid"),
    ("127.0.0.1", "url_invalid"),
    ("", "url_invalid"),
    ("https://site.example/" + "a" * 8192, "url_invalid"),
    # Ports
    ("https://site.example:22/", "port_not_allowed"),
    ("https://site.example:80/", "port_not_allowed"),
    ("https://site.example:8443/", "port_not_allowed"),
    ("https://site.example:0/", "port_not_allowed"),
    ("https://site.example:65979/", "port_not_allowed"),  # 443 after an overflow
    ("https://site.example:443:80/", "url_invalid"),
    ("https://site.example:-1/", "url_invalid"),
    ("https://site.example:\uff14\uff14\uff13/", "url_invalid"),
    ("https://site.example:4 43/", "url_invalid"),
    # Schemes
    ("http://site.example/", "scheme_not_allowed"),
    ("http://site.example:443/", "scheme_not_allowed"),
    ("http://127.0.0.1/", "scheme_not_allowed"),
    ("http://93.184.215.14/", "scheme_not_allowed"),
    ("file:///etc/passwd", "scheme_not_allowed"),
    ("file://127.0.0.1/etc/passwd", "scheme_not_allowed"),
    ("gopher://127.0.0.1:{port}/_GET%20/", "scheme_not_allowed"),
    ("ftp://site.example/", "scheme_not_allowed"),
    ("dict://127.0.0.1:11211/stats", "scheme_not_allowed"),
    ("data:text/plain;base64,aGk=", "scheme_not_allowed"),
    ("javascript:alert(1)", "scheme_not_allowed"),
    ("ws://site.example/", "scheme_not_allowed"),
    ("s3://bucket/key", "scheme_not_allowed"),
    ("unix:///var/run/docker.sock", "scheme_not_allowed"),
    ("view-source:https://127.0.0.1/", "scheme_not_allowed"),
    ("https+unix://site.example/", "scheme_not_allowed"),
]

RESOLVED = [
    ["127.0.0.1"],
    ["0.0.0.0"],  # noqa: S104  an answer, not a bind
    ["10.1.2.3"],
    ["172.20.0.1"],
    ["192.168.0.1"],
    ["100.100.100.200"],
    ["169.254.169.254"],
    ["169.254.170.2"],
    ["::1"],
    ["::"],
    ["fd00:ec2::254"],
    ["fe80::1%1"],
    ["::ffff:127.0.0.1"],
    ["::ffff:93.184.215.14"],
    ["::127.0.0.1"],
    ["64:ff9b::a9fe:a9fe"],
    ["2002:7f00:1::"],
    ["2001:0:4136:e378:8000:63bf:80ff:fffe"],
    [PUBLIC, "127.0.0.1"],
    ["127.0.0.1", PUBLIC],
    [PUBLIC, "2606:4700::1111", "fd00::1"],
    [PUBLIC, PUBLIC, PUBLIC, PUBLIC, "10.0.0.1"],
]


@pytest.fixture(params=["deployed", "local"])
def fetcher(request: pytest.FixtureRequest, guarded: GuardedFetch, guarded_locally: GuardedFetch) -> GuardedFetch:
    return guarded if request.param == "deployed" else guarded_locally


def test_there_are_enough_of_them() -> None:
    assert len({url for url, _ in HOSTILE}) == len(HOSTILE) > 140


@pytest.mark.parametrize(("url", "code"), HOSTILE, ids=lambda value: ascii(value)[:60])
async def test_a_hostile_url_is_refused_unasked(
    fetcher: GuardedFetch, names: Names, network: Network, inside: Site, url: str, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        await fetch_by(fetcher)(url.replace("{port}", str(inside.port)))
    assert caught.value.code == code
    assert (network.attempts, inside.connections, names.asked) == ([], 0, [])
    _tells_nothing(caught.value.reason)


@pytest.mark.parametrize("answers", RESOLVED, ids=", ".join)
async def test_a_name_with_any_answer_inside_is_refused(
    fetcher: GuardedFetch, names: Names, network: Network, inside: Site, answers: list[str]
) -> None:
    names.answers["evil.site.example"] = [answers]
    with pytest.raises(Refused) as caught:
        await fetch_by(fetcher)("https://evil.site.example/")
    assert caught.value.code == "address_not_public"
    assert (network.attempts, inside.connections, names.asked) == ([], 0, ["evil.site.example"])
    _tells_nothing(caught.value.reason)


async def test_a_name_that_resolves_to_the_exception_is_not_the_exception(
    guarded_locally: GuardedFetch, names: Names, inside: Site
) -> None:
    names.answers["evil.site.example"] = [["127.0.0.1"]]
    for url, code in (
        ("http://evil.site.example:{port}/", "scheme_not_allowed"),
        ("https://evil.site.example:{port}/", "port_not_allowed"),
    ):
        with pytest.raises(Refused) as caught:
            await fetch_by(guarded_locally)(url.replace("{port}", str(inside.port)))
        assert caught.value.code == code
    assert inside.connections == 0


async def test_what_is_exempt_is_reached_on_the_local_stack_only(
    guarded: GuardedFetch, guarded_locally: GuardedFetch, inside: Site
) -> None:
    url = f"http://127.0.0.1:{inside.port}/picture"
    with pytest.raises(Refused) as caught:
        await fetch_by(guarded)(url)
    assert (caught.value.code, inside.connections) == ("scheme_not_allowed", 0)
    assert (await fetch_by(guarded_locally)(url)).content_type == "image/png"
    assert inside.paths == ["/picture"]


def _tells_nothing(reason: str) -> None:
    assert not re.search(r"\d+\.\d|::|127|169|fd00|site\.example", reason), reason
