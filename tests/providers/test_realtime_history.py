"""What a new connection is told of a conversation."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.providers.wire.realtime_history import MAX_CARRIED_BYTES, History


def said(item_id: str, text: str, previous: str | None = None) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    item = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": content}
    return {"type": "conversation.item.done", "previous_item_id": previous, "item": item}


def texts(history: History) -> list[str]:
    return [item["content"][0]["text"] for item in history.told()]


def test_items_stand_where_they_were_put() -> None:
    history = History()
    for event in (said("a", "1"), said("c", "3", "a"), said("b", "2", "a"), said("d", "4", "c")):
        history.take(event)
    assert texts(history) == ["1", "2", "3", "4"]
    assert History(history.told()).told() == history.told()


def test_what_is_put_in_front_is_told_first() -> None:
    history = History()
    for event in (said("b", "2"), said("a", "1", "root"), said("a", "1", "root"), said("c", "3", "b")):
        history.take(event)
    assert texts(history) == ["1", "2", "3"]


def test_deleted_and_unfinished_items_are_not_told() -> None:
    history = History()
    history.take(said("a", "1"))
    history.take(said("b", "2", "a"))
    history.take({"type": "conversation.item.deleted", "item_id": "a"})
    unfinished = {"id": "c", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    history.take({"type": "conversation.item.added", "previous_item_id": "b", "item": unfinished})
    history.take({"type": "conversation.item.done", "item": None})
    assert texts(history) == ["2"]


def test_what_was_heard_in_part_is_told_in_part_whenever_its_transcript_comes() -> None:
    history = History()
    content = [{"type": "output_audio", "transcript": "One two three four"}]
    item = {"id": "a", "type": "message", "role": "assistant", "status": "incomplete"}
    history.take({"type": "conversation.item.added", "item": {**item, "status": "in_progress", "content": []}})
    history.shorten("a", 0.5)
    history.take({"type": "conversation.item.done", "item": {**item, "content": content}})
    assert texts(history) == ["One two t"]
    history.shorten("a", 7)
    assert texts(history) == ["One two three four"]
    history.shorten("a", 0)
    assert history.told() == ()


def test_of_a_long_conversation_the_newest_part_is_told() -> None:
    history = History()
    for number in range(300):
        history.take(said(f"i{number}", f"{number} " + "x" * 1000))
    told = history.told()
    assert 150 < len(told) < 300
    assert told[-1]["id"] == "i299"
    assert len(msgspec.json.encode(told)) <= MAX_CARRIED_BYTES + len(told) + 2


def test_an_output_without_its_call_is_not_told() -> None:
    """A provider refuses it."""
    history = History()
    output = {"id": "o", "type": "function_call_output", "call_id": "c", "output": "x"}
    history.take({"type": "conversation.item.done", "item": output})
    assert history.told() == ()
    call = {"id": "c1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}
    earlier = History()
    earlier.take({"type": "conversation.item.done", "item": call})
    earlier.take({"type": "conversation.item.done", "item": output})
    assert [item["type"] for item in earlier.told()] == ["function_call", "function_call_output"]
