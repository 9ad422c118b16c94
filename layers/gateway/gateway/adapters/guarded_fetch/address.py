"""Which IP addresses are public.

Everything that is not is refused by an explicit list; the standard library's `is_global` is only a second opinion, for
its meaning has changed between Python versions. Forms of IPv6 that carry an IPv4 address (mapped, compatible,
translated, NAT64, 6to4, Teredo) are refused as a whole, whichever address they carry: no public site needs them.

Sources: https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Exempt: TypeAlias = frozenset[tuple[Address, int]]  # with port
NONE_EXEMPT: Exempt = frozenset()

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT, also inside AWS
        "127.0.0.0/8",  # the Lambda Runtime API is 127.0.0.1:9001, SnapStart's credentials are here too
        "169.254.0.0/16",  # instance metadata, task credentials (169.254.170.2), the VPC's resolver
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Global unicast addresses are all in here, so loopback, mapped, compatible, translated and NAT64 addresses, fc00::/7
# (with AWS's fd00:ec2::/32), fe80::/10, fec0::/10 and ff00::/8 are not: https://www.rfc-editor.org/rfc/rfc4291#section-2.4
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# The interface half of an ISATAP address, before its IPv4 address: https://www.rfc-editor.org/rfc/rfc5214#section-6.1
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet can reach it, so that reaching it from here gives nothing away."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_V4)
    return (
        address.is_global
        and address in _GLOBAL_V6
        and not any(address in network for network in _NOT_PUBLIC_V6)
        and int(address) >> 32 & 0xFFFF_FFFF not in _ISATAP
    )


def local_exempt(environment: Mapping[str, str]) -> Exempt:
    """There are exceptions on the local stack only, whatever the setting says. Raises ValueError for a wrong one."""
    if not environment.get("GATEWAY_LOCAL_ENDPOINT"):
        return NONE_EXEMPT
    return read_exempt(environment.get("GATEWAY_FETCH_EXCEPTIONS", ""))


def read_exempt(text: str) -> Exempt:
    """ "127.0.0.1:8001,[::1]:8001": loopback addresses, each with its port. Raises ValueError for anything else."""
    return frozenset(_read_exempt_one(entry.strip()) for entry in text.split(",") if entry.strip())


def _read_exempt_one(entry: str) -> tuple[Address, int]:
    host, _, port = entry.rpartition(":")
    address = ip_address(host.removeprefix("[").removesuffix("]"))
    if not address.is_loopback or not 0 < int(port) < 65536:
        raise ValueError(f"{entry!r} is not a loopback address with a port")
    return address, int(port)
