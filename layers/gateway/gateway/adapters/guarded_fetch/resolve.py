"""One name to all its addresses, by the system's resolver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import TypeAlias

from gateway.adapters.guarded_fetch.address import Address
from gateway.adapters.guarded_fetch.refusal import Failed

Resolve: TypeAlias = Callable[[str], Awaitable[list[Address]]]

TIMEOUT_S = 5.0


async def system_resolve(name: str) -> list[Address]:
    """All addresses of a name, none twice, never none of them. Raises Failed.

    The dot at the end keeps the resolver from trying the name under the domains of its own network.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answers = await asyncio.get_running_loop().getaddrinfo(
                f"{name}.".encode("ascii"), 443, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise Failed("name_not_resolved", "The host's name cannot be resolved.") from error
    return list(dict.fromkeys(ip_address(socket_address[0]) for *_, socket_address in answers))
