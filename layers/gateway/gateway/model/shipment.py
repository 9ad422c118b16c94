"""A shipment: items of a batch that one provider is given as one batch of its own, and the crates in which they lie.

Its record says what may have been done, each before it is: so whoever finds a batch asked for and no name of one knows
that it may be there, and that nobody may ask for another.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, structs


class Crate(Struct, frozen=True, array_like=True):
    """Items of one part that lie together, as the provider's input has them. `name`: where they lie. Of the part's
    lines from `first` to before `end` all are in it that have not ended otherwise. `inputs`: texts to embed.
    `size_bytes`: with what stands between the items. `own_key`: whether they were packed for the tenant's own key.
    """

    part: int
    number: int
    name: str
    first: int
    end: int
    items: int
    inputs: int
    size_bytes: int
    own_key: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """In the order in which crates are shipped."""
        return self.part, self.number


class Shipment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`label`: what the provider's batch is called by us. `own_key`: whether it is made with the tenant's own key.

    `file`: how the provider calls the input, where it was uploaded. `is_asked`: the batch may have been made, at
    `asked_at_s`. `remote_id`: how the provider calls that. `cancels`: it was told to cancel it. `gone_at_s`: since when
    it does not know it. `ask_at_s`: before which it has no room for another. `is_collected`: all its items have ended.
    `alive_until_s`, `worker`: as of a part.
    """

    tenant_id: str
    batch_id: str
    group: int
    number: int
    label: str
    own_key: bool
    crates: tuple[Crate, ...]
    ends_at_s: int
    revision: int = 0
    file: str | None = None
    is_asked: bool = False
    asked_at_s: float = 0
    remote_id: str | None = None
    cancels: bool = False
    gone_at_s: float = 0
    ask_at_s: float = 0
    is_collected: bool = False
    alive_until_s: float = 0
    worker: str | None = None

    @property
    def name(self) -> str:
        return shipment_name(self.group, self.number)

    def changed(self, **changes: Any) -> Shipment:
        """The next revision."""
        return structs.replace(self, revision=self.revision + 1, **changes)


def shipment_name(group: int, number: int) -> str:
    """In the order of groups and shipments; no part has such a name."""
    return f"R{group:02}-{number:05}"


def label_of(batch_id: str, group: int, number: int) -> str:
    """At most 64 characters, and no other shipment's."""
    return f"{batch_id}-{group}-{number}"


_ITEM = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


def item_id_of(part: int, at: int) -> str:
    """Of the line at that place of its part: its name in its provider's batch."""
    return f"{part}-{at}"


def place_of(item_id: str) -> tuple[int, int] | None:
    """The part, and the place there; None for the name of no item."""
    found = _ITEM.fullmatch(item_id)
    return None if found is None else (int(found[1]), int(found[2]))
