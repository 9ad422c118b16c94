"""A place among those that a provider's calls may take at the same time."""

from __future__ import annotations

import secrets

from msgspec import Struct, field


class Slot(Struct):
    """`name`: of the credential. `id`: of who has the place, or asks for it. `record`: the one of several that it is in
    or, where taking it was not answered, may be in; None before that.
    """

    name: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    record: str | None = None
