"""What the lock files name: every package that is installed anywhere, with its version and the hashes it may have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from local.places import REPOSITORY

LAYER = "layers/deps/requirements.txt"
COMMAND = "cli/requirements.txt"
LOCKS = {
    LAYER: "functions on AWS",
    COMMAND: "the command `gateway`",
    "requirements-dev.txt": "tests, checks, benchmarks",
    "local/requirements-stack.txt": "the local stack",
    "local/requirements-sam.txt": "building and deploying",
    "local/requirements-contract.txt": "requests made from the contract",
    "local/requirements-supply.txt": "looking after these locks",
}
"""Every lock file of the gateway and of its tools, and what is installed from it."""

PEERS = ("benchmarks/peers/litellm/requirements.txt", "benchmarks/peers/tensorzero/requirements.txt")
NPM_PEERS = ("benchmarks/peers/portkey/package-lock.json",)
"""Who is measured beside the gateway: installed by `make bench` alone, each in a place of its own, and under licences
and with weaknesses that are its makers' affair.
"""

_PACKAGE = re.compile(r"(?P<name>[a-z0-9-]+)(\[[a-z0-9,-]+\])?==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\\n]+?))? \\")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Package:
    """`marker` says where alone it is installed, in the words of PEP 508; empty is everywhere."""

    name: str
    version: str
    marker: str
    sha256: tuple[str, ...]


def packages(lock: str | Path) -> list[Package]:
    """Raises ValueError for a line that is no package with its hashes."""
    found = []
    for block in re.split(r"\n(?=\S)", (REPOSITORY / lock).read_text().strip()):
        package, hashes = _PACKAGE.match(block), tuple(_HASH.findall(block))
        if package is None or not hashes:
            raise ValueError(f"{lock} names something without a version and hashes: {block[:60]}")
        found.append(Package(package["name"], package["version"], package["marker"] or "", hashes))
    return found
