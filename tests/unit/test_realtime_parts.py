"""What a session is made of: the order of what comes in, the pace of what goes out, and whose it is."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from gateway.model.realtime import Audio, AudioInput, MuLaw, SessionConfig
from gateway.model.realtime_errors import SpokenTooFast
from gateway.model.realtime_session import BEAT_S, SILENT_S, Admitted, Frame, Link, Snapshot
from gateway.pipeline.realtime_incoming import Incoming
from gateway.pipeline.realtime_lease import Holding
from gateway.pipeline.realtime_outgoing import MAX_WAITING_BYTES, OPENING_S, PATIENCE_S, Outgoing, SlowClient
from gateway.pipeline.realtime_pace import BYTES, MESSAGES, Pace, Rate
from gateway.pipeline.realtime_sound import BURST_S, heard_s, said_s, unspoken
from gateway.realtime_ports import ClientGone, ClientUnreachable, Fenced
from tests.fakes import ManualClock
from tests.realtime_fakes import MemoryClients, MemoryFrames, MemorySessions

ID = "c1"
LINK = Link(connection_id=ID, api_id="a1", stage="realtime")
WINDOW_MS = 50


def sound(delta: bytes, **members: Any) -> dict[str, Any]:
    place = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_audio.delta", **place, "delta": b64encode(delta).decode(), **members}


async def some_turns() -> None:
    """Of the loop, in each of which a task goes on to its next pause."""
    for _ in range(60):
        await asyncio.sleep(0)


class TestIncoming:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def frames(self) -> MemoryFrames:
        return MemoryFrames()

    @pytest.fixture
    def incoming(self, frames: MemoryFrames, clock: ManualClock) -> Incoming:
        return Incoming(ID, frames, WINDOW_MS, clock, clock.now_s())

    async def said(self, frames: MemoryFrames, at_ms: int, frame_id: str, kind: str = "x") -> Frame:
        frame = Frame(at_ms, frame_id, json.dumps({"type": kind}).encode())
        await frames.append(ID, frame, 0)
        return frame

    async def test_what_may_be_overtaken_waits(
        self, incoming: Incoming, frames: MemoryFrames, clock: ManualClock
    ) -> None:
        now_ms = int(clock.now_s() * 1000)
        later = await self.said(frames, now_ms - WINDOW_MS + 1, "b")
        assert await incoming.due() == []
        earlier = await self.said(frames, now_ms - WINDOW_MS - 10, "a")
        assert await incoming.due() == [earlier]
        incoming.dealt_with(earlier)
        await clock.sleep(0.01)
        assert await incoming.due() == [later]

    async def test_what_was_written_twice_is_said_once(
        self, incoming: Incoming, frames: MemoryFrames, clock: ManualClock
    ) -> None:
        now_ms = int(clock.now_s() * 1000)
        first = await self.said(frames, now_ms - 200, "a")
        incoming.dealt_with(first)
        await self.said(frames, now_ms - 100, "a")
        assert await incoming.due() == []
        twice = await self.said(frames, now_ms - 90, "b")
        await self.said(frames, now_ms - 80, "b")
        assert await incoming.due() == [twice]
        incoming.dealt_with(twice)
        follower = Incoming(ID, frames, WINDOW_MS, clock, clock.now_s())
        follower.go_on_from(Snapshot(cursor=incoming.cursor, recent=incoming.recent))
        assert await follower.due() == []

    async def test_of_one_moment_what_is_asked_for_comes_last(
        self, incoming: Incoming, frames: MemoryFrames, clock: ManualClock
    ) -> None:
        """Nobody knows their order, and their ids say nothing of it."""
        at_ms = int(clock.now_s() * 1000) - 100
        kinds = ["response.create", "input_audio_buffer.commit", "input_audio_buffer.append", "session.update"]
        for number, kind in enumerate(kinds):
            await self.said(frames, at_ms, f"m{number}", kind)
        await frames.append(ID, Frame(at_ms, "m9", b"{"), 0)
        due = [frame.body for frame in await incoming.due()]
        assert due == [*(json.dumps({"type": kind}).encode() for kind in reversed(kinds)), b"{"]

    async def test_a_hundred_at_a_time_and_all_of_them(self, incoming: Incoming, frames: MemoryFrames) -> None:
        said = [await self.said(frames, number, "m") for number in range(5)]
        assert await incoming.said_between(said[0].name, said[3].name) == said[1:4]


class TestOutgoing:
    def outgoing(self, clients: MemoryClients, clock: ManualClock, may_speak: Any = lambda: True) -> Outgoing:
        return Outgoing(LINK, clients, clock, may_speak, clock.monotonic_s())

    async def test_sound_that_waits_goes_in_one_message(self) -> None:
        clients, clock = MemoryClients(), ManualClock()
        outgoing = self.outgoing(clients, clock)
        for event in (sound(b"abc"), sound(b"de"), sound(b"f", item_id="i2"), {"type": "response.done"}):
            outgoing.put(event)
        speaking = asyncio.create_task(outgoing.run())
        await outgoing.drained()
        speaking.cancel()
        told = [json.loads(message) for message in clients.posted[ID]]
        assert told == [sound(b"abcde"), sound(b"f", item_id="i2"), {"type": "response.done"}]

    async def test_no_message_is_larger_than_a_client_takes(self) -> None:
        clients, clock = MemoryClients(), ManualClock()
        outgoing = self.outgoing(clients, clock)
        for _ in range(8):
            outgoing.put(sound(bytes(4_800)))
        speaking = asyncio.create_task(outgoing.run())
        await outgoing.drained()
        speaking.cancel()
        assert [len(message) < 28 * 1024 for message in clients.posted[ID]] == [True] * 3

    async def test_what_is_larger_than_a_message_is_cut_or_told_to_be_missing(self) -> None:
        clients, clock = MemoryClients(), ManualClock()
        outgoing = self.outgoing(clients, clock)
        whole = bytes(range(250)) * 400
        outgoing.put(sound(whole))
        outgoing.put({"type": "session.updated", "event_id": "e1", "session": {"instructions": "x" * 140_000}})
        speaking = asyncio.create_task(outgoing.run())
        await outgoing.drained()
        speaking.cancel()
        *pieces, lost = [json.loads(message) for message in clients.posted[ID]]
        assert b"".join(b64decode(piece["delta"]) for piece in pieces) == whole and len(pieces) == 6
        assert (lost["type"], lost["error"]["code"]) == ("error", "payload_too_large")

    async def test_sound_that_ends_within_a_sample_is_not_joined(self) -> None:
        clients, clock = MemoryClients(), ManualClock()
        outgoing = self.outgoing(clients, clock)
        for delta in (b"abc", b"d", b"efg"):
            outgoing.put(sound(delta))
        speaking = asyncio.create_task(outgoing.run())
        await outgoing.drained()
        speaking.cancel()
        assert [json.loads(message) for message in clients.posted[ID]] == [sound(b"abcd"), sound(b"efg")]

    async def test_a_connection_that_is_not_there_yet(self) -> None:
        """The session may begin before API Gateway has let the client in."""
        clients, clock = MemoryClients(gone={ID}), ManualClock()
        outgoing = self.outgoing(clients, clock)
        outgoing.put({"type": "session.created"})
        speaking = asyncio.create_task(outgoing.run())
        await some_turns()
        clients.gone.clear()
        await outgoing.drained()
        speaking.cancel()
        assert len(clients.posted[ID]) == 1

    async def test_a_connection_that_is_not_there_any_more(self) -> None:
        clients, clock = MemoryClients(gone={ID}), ManualClock()
        outgoing = self.outgoing(clients, clock)
        outgoing.put({"type": "session.created"})
        with pytest.raises(ClientGone):
            await outgoing.run()
        assert sum(clock.slept) >= OPENING_S

    async def test_a_client_that_takes_nothing(self) -> None:
        async def refuse(_link: Link, _message: bytes) -> None:
            raise ClientUnreachable

        clients, clock = MemoryClients(on_post=refuse), ManualClock()
        outgoing = self.outgoing(clients, clock)
        outgoing.put({"type": "session.created"})
        with pytest.raises(SlowClient):
            await outgoing.run()
        assert sum(clock.slept) >= PATIENCE_S

    async def test_a_client_that_is_too_far_behind(self) -> None:
        outgoing = self.outgoing(MemoryClients(), ManualClock())
        with pytest.raises(SlowClient):
            for _ in range(MAX_WAITING_BYTES // 4_800):
                outgoing.put(sound(bytes(4_800)))

    async def test_who_may_have_been_followed_is_silent(self) -> None:
        clients, clock, sure = MemoryClients(), ManualClock(), [False]
        outgoing = self.outgoing(clients, clock, lambda: sure[0])
        outgoing.put({"type": "response.done"})
        speaking = asyncio.create_task(outgoing.run())
        await some_turns()
        assert clients.posted == {}
        sure[0] = True
        await outgoing.drained()
        speaking.cancel()
        assert len(clients.posted[ID]) == 1


class TestHolding:
    async def taken(self, sessions: MemorySessions, clock: ManualClock) -> Holding:
        admitted = Admitted(
            id="sess_1",
            link=LINK,
            request_id="req_1",
            tenant_id="acme",
            user_id="alice",
            key_id="key_1",
            model="voice",
            trace_id="0" * 32,
            arrived_s=clock.now_s(),
            ends_s=clock.now_s() + 60,
            held={},
        )
        await sessions.create(admitted, clock.now_s())
        await sessions.take(ID, 1, clock.now_s())
        return Holding(ID, 1, sessions, clock, clock.monotonic_s())

    async def test_who_does_not_say_so_is_not_sure_before_another_may_follow(self) -> None:
        sessions, clock = MemorySessions(), ManualClock()
        holding = await self.taken(sessions, clock)
        await clock.sleep(SILENT_S - 0.1)
        assert holding.is_sure() and await sessions.take(ID, 2, clock.now_s()) is None
        await clock.sleep(0.2)
        assert not holding.is_sure() and await sessions.take(ID, 2, clock.now_s()) is None

    async def test_it_is_held_as_long_as_that_is_said(self) -> None:
        sessions, clock = MemorySessions(), ManualClock()
        holding = await self.taken(sessions, clock)
        beating = asyncio.create_task(holding.beat())
        await some_turns()
        assert sum(clock.slept) > 2 * SILENT_S + BEAT_S and holding.is_sure()
        await sessions.leave(ID)
        await some_turns()
        assert holding.is_left
        sessions.held[ID].lease = type(sessions.held[ID].lease)(epoch=2)
        with pytest.raises(Fenced):
            await beating

    async def test_a_store_that_does_not_answer_makes_it_silent(self) -> None:
        sessions, clock = MemorySessions(), ManualClock()
        holding = await self.taken(sessions, clock)
        sessions.is_down = True
        beating = asyncio.create_task(holding.beat())
        await some_turns()
        assert not holding.is_sure()
        beating.cancel()


class TestSound:
    def test_in_real_time_it_counts_as_nothing_for_hours(self) -> None:
        silence = unspoken()
        assert sum(silence.beyond(0.1, at / 10) for at in range(36_000)) == 0

    def test_what_comes_faster_counts_beyond_a_burst(self) -> None:
        silence = unspoken()
        assert [silence.beyond(BURST_S / 2, 5.0) for _ in range(3)] == [0, 0, BURST_S / 2]
        assert silence.beyond(4.0, 7.0) == 2.0
        assert silence.beyond(2 * BURST_S, 1_000.0) == BURST_S

    def test_its_length_is_that_of_its_format(self) -> None:
        second = b64encode(bytes(48_000)).decode()
        telephone = SessionConfig(audio=Audio(input=AudioInput(format=MuLaw())))
        assert [heard_s(second, config) for config in (SessionConfig(), telephone)] == [1.0, 6.0]
        assert said_s(second, telephone) == 1.0


class TestPace:
    def frame(self, at_ms: int, size: int = 1) -> Frame:
        return Frame(at_ms, "m", b"x" * size)

    def test_whoever_talks_in_the_smallest_pieces_is_far_from_it(self) -> None:
        pace = Pace()
        for at_ms in range(0, 600_000, 10):
            pace.keep(self.frame(at_ms, 7_000))

    def test_what_waited_for_its_function_counts_as_it_came(self) -> None:
        """Its times are API Gateway's, of which some are those of a later try to write it."""
        pace = Pace()
        for at_ms in range(0, 60_000, 5):
            pace.keep(self.frame(at_ms + 900 * (at_ms % 50 == 0)))

    @pytest.mark.parametrize(("rate", "size"), [(MESSAGES, 1), (BYTES, 8_000)])
    def test_a_flood_is_refused_by_its_name(self, rate: Rate, size: int) -> None:
        pace = Pace()
        for _ in range(rate.burst // (1 if rate is MESSAGES else size)):
            pace.keep(self.frame(5, size))
        with pytest.raises(SpokenTooFast) as refused:
            pace.keep(self.frame(5, size))
        assert f"{rate.per_s:,} {rate.unit} a second" in refused.value.message
        pace.keep(self.frame(1_005, size))
