"""A batch's worker holds no more of long replies at once than it has memory for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.http import HttpRequest, Sending
from gateway.pipeline.batch_results import AHEAD, pieces_at
from gateway.pipeline.batch_weight import AT_ONCE_BYTES, IMAGE_BYTES, VECTOR_BYTES, reply_bytes
from tests.batch_stage import CHAT, Stage
from tests.fakes import ScriptedIncoming, note_sent

EMBEDDINGS, IMAGES = "/v1/embeddings", "/v1/images/generations"


@dataclass
class Vectors:
    """A provider of vectors. `most`: how many requests it had at once."""

    now: int = 0
    most: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        note_sent(sending)
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        inputs = json.loads(request.body)["input"]
        data = [{"object": "embedding", "index": at, "embedding": [0.5]} for at in range(len(inputs))]
        answer = {"object": "list", "data": data, "model": "embed", "usage": {"prompt_tokens": 2, "total_tokens": 2}}
        yield ScriptedIncoming(200, {"content-type": "application/json"}, [json.dumps(answer).encode()])


@pytest.mark.parametrize(("inputs", "at_once"), [(1, 8), (200, 8), (500, 3), (2_048, 1)])
async def test_so_many_lines_are_asked_at_once_as_their_vectors_leave_room(inputs: int, at_once: int) -> None:
    stage, provider = Stage.of(), Vectors()
    stage.world = replace(stage.world, outbound=provider)
    body = {"model": "openai/embed", "input": ["hi"] * inputs}
    batch_id = await stage.ordered([{"custom_id": f"{n}", "url": EMBEDDINGS, "body": body} for n in range(12)])
    assert await stage.carried_on(batch_id) == "Completed"
    assert (await stage.shown(batch_id))["counts"]["completed"] == 12
    assert provider.most == at_once


@pytest.mark.parametrize(
    ("endpoint", "body", "expected"),
    [
        (CHAT, {"messages": []}, 0),
        (EMBEDDINGS, {"input": "one text"}, VECTOR_BYTES),
        (EMBEDDINGS, {"input": [1, 2, 3]}, VECTOR_BYTES),
        (EMBEDDINGS, {"input": [[1, 2], [3]]}, 2 * VECTOR_BYTES),
        (EMBEDDINGS, {"input": ["a", "b", "c"]}, 3 * VECTOR_BYTES),
        (IMAGES, {"prompt": "p"}, IMAGE_BYTES),
        (IMAGES, {"prompt": "p", "n": 4}, 4 * IMAGE_BYTES),
    ],
)
def test_a_reply_is_as_long_as_what_it_is_asked_for(endpoint: str, body: dict[str, Any], expected: int) -> None:
    assert reply_bytes(endpoint, json.dumps(body).encode()) == expected
    assert 8 * IMAGE_BYTES <= AT_ONCE_BYTES


@pytest.mark.parametrize(("size_bytes", "ahead"), [(1_000, AHEAD), (5 * 1024 * 1024, 1)])
async def test_no_more_pieces_are_read_ahead_than_are_small(size_bytes: int, ahead: int) -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(
        [{"custom_id": "a", "url": EMBEDDINGS, "body": {"model": "openai/embed", "input": "a"}}]
    )
    stage.world = replace(stage.world, outbound=Vectors())
    await stage.carried_on(batch_id)
    [part] = await stage.parts(batch_id)
    now = most = 0

    async def piece(*_: Any) -> bytes | None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return b" " * size_bytes

    stage.world.batch_store.piece = piece  # type: ignore[method-assign, assignment]
    read = [len(data) async for data in pieces_at([(part, number) for number in range(20)], stage.world)]
    assert read == [size_bytes] * 20
    assert most <= ahead
    assert most > ahead / 2
