"""Where things are in a working copy."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATE = REPOSITORY / "template.yaml"
LOCAL = REPOSITORY / ".local"
"""Everything that a run makes and `make clean` removes."""

BUILD = LOCAL / "build"
STATE = LOCAL / "state"
LOGS = LOCAL / "logs"
PEERS = LOCAL / "peers"
"""Whom the benchmarks measure beside the gateway, installed."""
SETUP_LOCK = LOCAL / "setup.lock"
"""Held by whoever installs an environment, builds, or deploys what is built."""
