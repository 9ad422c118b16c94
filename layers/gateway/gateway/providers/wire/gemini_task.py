"""What Gemini's models have in common where they are asked for one thing: an image, a recording, a transcript."""

from __future__ import annotations

RESERVED = frozenset({"model", "contents", "systemInstruction", "tools", "toolConfig", "serviceTier"})
"""Of `provider_options`: what would make something else, or for another price, than was asked and is held for."""
