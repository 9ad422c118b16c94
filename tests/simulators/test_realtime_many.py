"""Many sessions at once whose clients never stop sending, while functions take turns: every piece comes back."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode

import pytest

from gateway.model.realtime_call import Terms
from tests.simulators.process import Simulator
from tests.simulators.realtime_client import PREFIXES, Caller, calling

SESSIONS, TURNS = 10, 5
PIECE_S, PIECE_BYTES = 0.02, 960
SPOKEN, SILENT = 40, 50
"""Pieces: the provider takes half a second of silence for the end of a turn."""
ROLLOVER_S = 1.5


def pieces(turn: int) -> list[bytes]:
    """Each unlike any other, and loud enough to be speech."""
    marks = [turn.to_bytes(2, "little") + number.to_bytes(2, "little") for number in range(SPOKEN)]
    return [mark + b"\x10\x20" * ((PIECE_BYTES - len(mark)) // 2) for mark in marks]


async def speaks_without_end(caller: Caller) -> list[bytes]:
    """As a microphone: a piece every 20 ms, whether somebody speaks or not."""
    said: list[bytes] = []
    began_s, number = time.perf_counter(), 0
    for turn in range(TURNS):
        spoken = pieces(turn)
        said += spoken
        for piece in [*spoken, *([bytes(PIECE_BYTES)] * SILENT)]:
            await asyncio.sleep(max(0.0, began_s + number * PIECE_S - time.perf_counter()))
            number += 1
            await caller.says("input_audio_buffer.append", audio=b64encode(piece).decode())
    return said


@pytest.mark.parametrize("name", PREFIXES)
async def test_ten_at_once_lose_nothing_while_functions_take_turns(simulator: Simulator, name: str) -> None:
    async def one() -> None:
        async with calling(simulator, name, Terms(window_ms=50, rollover_s=ROLLOVER_S)) as caller:
            said = await speaks_without_end(caller)
            await caller.says("session.close")
            await caller.until("gateway.session.summary", timeout_s=20)
            await caller.ended()
            assert await caller.held() == 0
        heard = [caller.sound[at : at + PIECE_BYTES] for at in range(0, len(caller.sound), PIECE_BYTES)]
        assert [piece for piece in heard if any(piece)] == said
        assert caller.outcomes == ["handed over"] * (len(caller.epochs) - 1) + ["ended"]
        assert len(caller.epochs) >= 3
        assert not {"error", "gateway.session.recovered"} & caller.kinds

    await asyncio.gather(*(one() for _ in range(SESSIONS)))
