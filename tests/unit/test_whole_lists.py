"""Lists in a stream's deltas, as OpenAI's SDK can put them together."""

from __future__ import annotations

from typing import Any

from gateway.model.reply import Chunk, ChunkChoice, Delta
from gateway.pipeline.whole_lists import WholeLists


def chunk(finish: Any = None, index: int = 0, **delta: Any) -> Chunk:
    return Chunk(choices=[ChunkChoice(index=index, delta=Delta(**delta), finish_reason=finish)], id="c")


def test_lists_come_with_the_finish_of_their_choice() -> None:
    lists = WholeLists()
    assert lists.take(chunk(content="Hi", annotations=[{"a": 1}])) == chunk(content="Hi")
    assert lists.take(chunk(reasoning_details=[{"type": "x"}])).choices == []
    assert lists.take(chunk(index=1, finish="length")) == chunk(index=1, finish="length")
    assert lists.take(chunk(finish="stop", annotations=[{"a": 2}])) == chunk(
        finish="stop", annotations=[{"a": 1}, {"a": 2}], reasoning_details=[{"type": "x"}]
    )


def test_pieces_of_one_block_make_one_block() -> None:
    lists = WholeLists()
    for text in ("Let ", "me ", "see"):
        lists.take(chunk(reasoning_details=[{"type": "reasoning.text", "text": text, "format": None, "index": 0}]))
    (choice,) = lists.take(chunk(finish="stop")).choices
    assert choice.delta.reasoning_details == [
        {"type": "reasoning.text", "text": "Let me see", "format": None, "index": 0}
    ]


def test_what_comes_after_the_finish_is_not_lost() -> None:
    lists = WholeLists()
    lists.take(chunk(finish="stop"))
    late = chunk(annotations=[{"a": 1}])
    assert lists.take(late) == late


def test_other_chunks_are_the_very_same() -> None:
    lists = WholeLists()
    given = chunk(content="Hi")
    assert lists.take(given) is given
