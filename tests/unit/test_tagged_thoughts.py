"""Models that think within their content: the thoughts are no answer, streamed or whole."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.model.tagged_thoughts import TaggedThoughts, taken_apart
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import FIGURES, HELLO, event
from tests.unit.test_structured import GOOD, LOOSE
from tests.unit.test_structured_stream import END

TEXTS = {
    f"<think>\nHm, so.\n</think>\n\n{GOOD}": ("Hm, so.", GOOD),
    f"\n <think>a </thin b</think>{GOOD}": ("a </thin b", GOOD),
    "<think> </think>Yes ": ("", "Yes "),
    "<think>Cut by a lim ": ("Cut by a lim", ""),
    "<think>Cut</thin": ("Cut</thin", ""),
    "<think>a</think>b <think>c</think>": ("a", "b <think>c</think>"),
    " <thin air": ("", " <thin air"),
    "A <think>b</think>": ("", "A <think>b</think>"),
    "<thi": ("", "<thi"),
    "<think>": ("", ""),
    " \n": ("", " \n"),
    "": ("", ""),
}


@pytest.mark.parametrize(("text", "parts"), TEXTS.items())
def test_every_cut_of_a_text_gives_the_same(text: str, parts: tuple[str, str]) -> None:
    assert taken_apart(text) == parts
    for size in range(1, len(text) + 1):
        taken = TaggedThoughts()
        pairs = [taken.take(text[start : start + size]) for start in range(0, len(text), size)] + [taken.finish()]
        assert ("".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs)) == parts


def think(gateway: Gateway) -> None:
    facts = msgspec.structs.replace(
        FACTS, source="x", capabilities=("streaming", "structured_output"), tagged_thoughts=True
    )
    gateway.world.catalog.held["openai"]["gpt-4o"] = facts  # type: ignore[attr-defined]


TEXT = f"<think>\nHm, so.\n</think>\n\n{GOOD}"


async def test_a_schema_is_held_against_the_answer_alone(gateway: Gateway) -> None:
    """Perplexity's docs: `response_format` does not remove the thoughts from the content."""
    think(gateway)
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    gateway.answers(200, json.dumps({**FIGURES, "choices": [choice]}).encode())
    answer = await gateway.chat({**HELLO, "response_schema": LOOSE})
    assert answer.status == 200
    message = answer.json["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (GOOD, "Hm, so.")


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_in_a_stream_too(gateway: Gateway, size: int) -> None:
    think(gateway)
    pieces = [TEXT[start : start + size] for start in range(0, len(TEXT), size)]
    gateway.answers(200, *(event({"content": piece}) for piece in pieces), event({}, "stop"), END)
    events = (await gateway.chat({**HELLO, "response_schema": LOOSE, "stream": True})).events
    assert not any("error" in said for said in events)
    deltas = [choice["delta"] for said in events if said != "[DONE]" for choice in said["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == GOOD
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Hm, so."


async def test_thoughts_that_the_end_cuts_off(gateway: Gateway) -> None:
    think(gateway)
    gateway.answers(200, event({"content": "<think>Hm </th"}), event({}, "length"), END)
    events = (await gateway.chat({**HELLO, "stream": True})).events
    deltas = [choice["delta"] for said in events if said != "[DONE]" for choice in said["choices"]]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Hm </th"
    assert not any(delta.get("content") for delta in deltas)
