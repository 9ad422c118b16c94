"""Which model made the reasoning of a reply: what one has signed another refuses.

Sources: https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5 ("Thinking blocks are tied to the
model"), https://github.com/vybestack/llxprt-code/issues/2335 ("Invalid signature in thinking block").
"""

from __future__ import annotations

import re

from gateway.model.chat import Json

MODEL = "model"
_EDITION = re.compile(r"(?:[-@]\d{8}|@[a-z]+|-v\d+(?::\d+)?)+$")
"""Date and version of one model, as the hosts write them, each in its own way, behind its name."""

_REGION_AND_MAKER = re.compile(r"(?:(?:us-gov|ai21|[a-z]+)\.){1,2}")
"""Before the name on Bedrock. Names have dots of their own, behind their numbers (`glm-4.7`).

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html (2026-11)
"""

SIGNED = ("thinking", "redacted_thinking", "reasoningContent")
"""Types of such blocks, Claude's own and Converse's."""


def model_mark(model: str) -> Json:
    return {"type": MODEL, "model": model}


def without_foreign(details: list[tuple[str, Json]], model: str) -> list[tuple[str, Json]]:
    """What this model may be given back: without reasoning that another has signed, where a mark says so.

    The details come with their places, as from `replayed`.
    """
    marked = next((detail.get("model") for _, detail in details if detail.get("type") == MODEL), None)
    if not isinstance(marked, str) or _bare(marked) == _bare(model):
        return details
    return [(at, detail) for at, detail in details if detail.get("type") not in SIGNED]


def _bare(model: str) -> str:
    """`eu.anthropic.claude-x-20251001-v1:0` and `claude-x@20251001` are both claude-x."""
    name = model.rpartition("/")[2]
    maker = _REGION_AND_MAKER.match(name)
    return _EDITION.sub("", name[maker.end() :] if maker else name)
