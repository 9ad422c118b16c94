"""What is charged by another measure than tokens: images, seconds, characters, searches. Counts are whole numbers.

A count goes by a name: its unit and, where the price depends on more, a variant of it, as the catalog's prices have
it: "audio_ms", "images:1024x1024:high", "video_ms:1080p", "requests:low".
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Unit: TypeAlias = Literal[
    "audio_ms",
    "characters",
    "grounded_prompts",
    "images",
    "pages",
    "pixels",
    "requests",
    "server_tools",
    "video_ms",
    "web_searches",
]
UnitName: TypeAlias = str

FILE_BYTES: UnitName = "file_bytes"
"""Of files that were stored or given out. Nobody charges for them."""

REQUESTS: Unit = "requests"
"""Each answered call is one, without being counted."""
FEES: frozenset[UnitName] = frozenset({REQUESTS, "web_searches", "grounded_prompts"})
"""What some providers charge beside what is read and made, and others do not: free where it has no price.

A grounded prompt is one that was answered from a search of the provider's own, of which Google counts, by the model,
either the searches or the prompt.
"""


SERVER_TOOLS: Unit = "server_tools"
"""Work of tools that the provider ran and charges for in its own way, by their names: where one has no price, nobody
knows what the call cost.
"""


def unit_name(unit: Unit, variant: str = "") -> UnitName:
    return f"{unit}:{variant}" if variant else unit
