"""Records and frames of sessions of voice, in memory and in DynamoDB: one holder at a time, and nothing of what is said
is lost or changed.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.realtime_frames import DynamoFrames
from gateway.adapters.aws.realtime_sessions import DynamoSessions
from gateway.model.realtime_session import (
    BEGINS_S,
    BELIEVED_S,
    Admitted,
    Books,
    Frame,
    Lease,
    Link,
    Snapshot,
    Spent,
    first_name_at,
)
from gateway.model.usage import PromptTokensDetails, TokenUsage
from gateway.realtime_ports import Fenced, Frames, Sessions
from tests.ports.conftest import table_of
from tests.realtime_fakes import MemoryFrames, MemorySessions

NOW_S = 1_790_000_000.25
ID = "L0SM9cOFvHcCIhw="


def admitted(connection_id: str = ID, **changes: Any) -> Admitted:
    made = Admitted(
        id="sess_1",
        link=Link(connection_id=connection_id, api_id="a1b2", stage="realtime"),
        request_id="req_1",
        tenant_id="acme",
        user_id="alice",
        key_id="key_1",
        model="openai/gpt-realtime-2.1",
        trace_id="0" * 32,
        arrived_s=NOW_S,
        ends_s=NOW_S + 3600,
        held={"name": "h1", "entries": [{"level": "tenant"}]},
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def realtime_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "realtime", "pk", "sk")


@pytest.fixture(params=["memory", "dynamodb"])
def sessions(request: pytest.FixtureRequest) -> Sessions:
    if request.param == "memory":
        return MemorySessions()
    return DynamoSessions(request.getfixturevalue("dynamodb_api"), request.getfixturevalue("realtime_table"))


@pytest.fixture(params=["memory", "dynamodb"])
def frames(request: pytest.FixtureRequest) -> Frames:
    if request.param == "memory":
        return MemoryFrames()
    return DynamoFrames(request.getfixturevalue("dynamodb_api"), request.getfixturevalue("realtime_table"))


async def test_a_session_waits_for_its_first_holder(sessions: Sessions) -> None:
    assert await sessions.lease(ID) is None
    await sessions.create(admitted(), NOW_S)
    assert await sessions.lease(ID) == Lease(epoch=0, alive_until_s=NOW_S + BEGINS_S, is_free=True)
    assert await sessions.take(ID, 2, NOW_S) is None
    taken = await sessions.take(ID, 1, NOW_S + 1)
    assert taken is not None
    assert (taken.admitted, taken.books, taken.snapshot) == (admitted(), Books(), None)
    assert await sessions.lease(ID) == Lease(epoch=1, alive_until_s=NOW_S + 1 + BELIEVED_S, is_free=False)


async def test_of_many_one_gets_it(sessions: Sessions) -> None:
    await sessions.create(admitted(), NOW_S)
    taken = await asyncio.gather(*(sessions.take(ID, 1, NOW_S) for _ in range(8)))
    assert sum(one is not None for one in taken) == 1


async def test_who_beats_keeps_it_and_who_does_not_is_followed(sessions: Sessions) -> None:
    await sessions.create(admitted(), NOW_S)
    await sessions.take(ID, 1, NOW_S)
    await sessions.beat(ID, 1, NOW_S + 3)
    assert await sessions.take(ID, 2, NOW_S + BELIEVED_S) is None
    assert await sessions.take(ID, 2, NOW_S + 3 + BELIEVED_S) is not None


async def test_what_is_handed_over_is_taken_at_once(sessions: Sessions) -> None:
    await sessions.create(admitted(), NOW_S)
    await sessions.take(ID, 1, NOW_S)
    await sessions.keep(ID, 1, Snapshot(carried={"items": [{"id": "item_1"}]}, cursor="1#a", names={"a": "b"}))
    spent = Spent(usage=TokenUsage(prompt_tokens=7, prompt=PromptTokensDetails(audio_tokens=5)), cost_nano_usd=9)
    await sessions.book(ID, 1, Books(spent={"openai/gpt-realtime-2.1": spent}, context_tokens=12))
    await sessions.hand_over(ID, 1, NOW_S + 2)
    lease = await sessions.lease(ID)
    assert lease is not None and not lease.lacks_holder(NOW_S + 2)
    taken = await sessions.take(ID, 2, NOW_S + 2)
    assert taken is not None and taken.snapshot is not None
    assert taken.snapshot.cursor == "1#a" and taken.snapshot.carried == {"items": [{"id": "item_1"}]}
    assert taken.books.spent == {"openai/gpt-realtime-2.1": spent}


async def test_who_was_followed_changes_nothing(sessions: Sessions) -> None:
    await sessions.create(admitted(), NOW_S)
    await sessions.take(ID, 1, NOW_S)
    await sessions.keep(ID, 1, Snapshot(cursor="1#a"))
    await sessions.take(ID, 2, NOW_S + BELIEVED_S)
    with pytest.raises(Fenced):
        await sessions.beat(ID, 1, NOW_S + 9)
    with pytest.raises(Fenced):
        await sessions.keep(ID, 1, Snapshot(cursor="2#b"))
    with pytest.raises(Fenced):
        await sessions.book(ID, 1, Books(context_tokens=5))
    with pytest.raises(Fenced):
        await sessions.hand_over(ID, 1, NOW_S + 9)
    with pytest.raises(Fenced):
        await sessions.end(ID, 1)
    taken = await sessions.take(ID, 3, NOW_S + 3 * BELIEVED_S)
    assert taken is not None and taken.snapshot == Snapshot(cursor="1#a") and taken.books == Books()


async def test_what_has_ended_is_nobodys(sessions: Sessions) -> None:
    await sessions.create(admitted(), NOW_S)
    await sessions.take(ID, 1, NOW_S)
    left = await sessions.leave(ID)
    assert left is not None and left.is_left and not left.is_ended
    assert (await sessions.beat(ID, 1, NOW_S + 1)).is_left
    taken = await sessions.take(ID, 2, NOW_S + 50)
    assert taken is not None and taken.is_left
    await sessions.end(ID, 2)
    assert await sessions.take(ID, 3, NOW_S + 99) is None
    lease = await sessions.lease(ID)
    assert lease is not None and not lease.lacks_holder(NOW_S + 99)
    assert await sessions.leave("another") is None


async def test_frames_come_in_their_order(frames: Frames) -> None:
    said = [Frame(1_790_000_000_000 + n // 2, f"m{n % 2}", f"frame {n}".encode()) for n in range(40)]
    for frame in Random(4).sample(said, len(said)):  # noqa: S311 - an order, no secret
        await frames.append(ID, frame, NOW_S)
    await frames.append(ID, said[3], NOW_S)
    await frames.append("another", Frame(1, "x", b"y"), NOW_S)
    assert await frames.between(ID, "", "~") == said
    assert await frames.between(ID, said[9].name, "~") == said[10:]
    assert await frames.between(ID, "", first_name_at(said[20].at_ms)) == said[:20]
    assert await frames.between(ID, said[4].name, said[7].name) == said[5:7]
    assert await frames.between(ID, said[4].name, said[4].name) == []
    assert await frames.between(ID, said[7].name, said[4].name) == []


async def test_what_is_said_is_read_to_the_byte(frames: Frames) -> None:
    noise = Random(1).randbytes(60_000)  # noqa: S311 - sound, no secret
    bodies = [
        json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(sound).decode()}).encode()
        for sound in (noise, bytes(9600), noise[:3])
    ]
    bodies += [b"", b"{", "ü".encode(), noise[:5000]]
    for number, body in enumerate(bodies):
        await frames.append(ID, Frame(number, "m", body), NOW_S)
    assert [frame.body for frame in await frames.between(ID, "", "~")] == bodies


async def test_many_frames_are_read_piece_by_piece(dynamodb_api: AwsApi, realtime_table: str) -> None:
    frames = DynamoFrames(dynamodb_api, realtime_table)
    said = [Frame(n, "m", b"x") for n in range(130)]
    await asyncio.gather(*(frames.append(ID, frame, NOW_S) for frame in said))
    read: list[Frame] = []
    while found := await frames.between(ID, read[-1].name if read else "", "~"):
        read += found
    assert read == said


async def test_sound_takes_little_room(dynamodb_api: AwsApi, realtime_table: str) -> None:
    """A write of 100 ms at 24 kHz is billed for its samples, not for their base64."""
    stored: list[int] = []

    class Weighed:
        async def call(self, operation: str, request: dict[str, Any], *_: Any) -> dict[str, Any]:
            stored.append(len(request["Item"]["body"]["B"]) * 3 // 4)
            return {}

    frames = DynamoFrames(Weighed(), "realtime")  # type: ignore[arg-type]
    noise = Random(1).randbytes(4_800)  # noqa: S311 - sound, no secret
    for sound in (noise, bytes(4_800)):
        body = msgspec.json.encode({"type": "input_audio_buffer.append", "audio": b64encode(sound).decode()})
        await frames.append(ID, Frame(1, "m", body), NOW_S)
    assert stored[0] < 5 * 1024 and stored[1] < 200
