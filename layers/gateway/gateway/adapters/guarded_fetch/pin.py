"""A name is asked for once, all its addresses are checked, and the connection goes to one of that very answer."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address

from gateway.adapters.guarded_fetch.address import Address
from gateway.adapters.guarded_fetch.resolve import Resolve
from gateway.adapters.guarded_fetch.target import Target, check_public

MAX_ADDRESSES_TRIED = 3


async def checked_addresses(target: Target, resolve: Resolve) -> Sequence[Address]:
    """All must be public. IPv4 first: a Lambda function outside a VPC has no IPv6. Raises Refused and Failed."""
    if target.literal is not None:
        return [target.literal]
    addresses = await resolve(target.host)
    for address in addresses:
        check_public(address)
    return sorted(addresses, key=lambda address: address.version)[:MAX_ADDRESSES_TRIED]


def url_at(target: Target, address: Address) -> str:
    """The address stands in the URL; the certificate is to be checked for the target's name."""
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return f"{target.scheme}://{host}:{target.port}{target.path}"
