"""Where a provider's WebSocket is, and what it means that it was closed."""

from __future__ import annotations

import re


def socket_url(base_url: str) -> str:
    """https becomes wss, http ws."""
    return re.sub(r"^http", "ws", base_url)


def closed(provider: str, code: int) -> str:
    """Nothing of the reason, which may speak of the gateway's own account."""
    return f"{provider} closed the realtime session with code {code}."
