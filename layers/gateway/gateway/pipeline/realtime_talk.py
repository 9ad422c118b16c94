"""A session over one connection to its provider: what either side says is put into the words of the other, until the
connection is of no more use, the session ends, or it is time for another to hold it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import ceil

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gateway.gts.naming import Names
from gateway.model.errors import (
    AdmissionUnavailable,
    GatewayError,
    StorageUnavailable,
)
from gateway.model.provider_errors import ProviderFailure
from gateway.model.realtime import (
    AppendAudio,
    Audio,
    AudioInput,
    CancelResponse,
    CloseSession,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ProviderEvent,
    SessionConfig,
    SessionUpdate,
    TruncateItem,
    updated,
)
from gateway.model.realtime_errors import SpokenTooFast
from gateway.model.realtime_events import ServerEvent, error_event
from gateway.model.realtime_session import Frame, Snapshot, first_name_at
from gateway.pipeline.admit import NO_ROOM
from gateway.pipeline.realtime_demand import TOKENS_PER_S_OF_SOUND
from gateway.pipeline.realtime_hall import Dropped, Hall, Moving, Over
from gateway.pipeline.realtime_outgoing import SOUND
from gateway.pipeline.realtime_read import client_event_id, read_event
from gateway.pipeline.realtime_sound import heard_s, said_s
from gateway.pipeline.realtime_tools import in_own_names, to_functions
from gateway.providers.contract.realtime import RealtimeSession, Step
from gateway.realtime_ports import ProviderSocket, SocketClosed

ACTIVE_POLL_S, SILENT_POLL_S = 0.02, 0.1
"""Between two looks for what the client says; longer where a look itself takes longer, for then there is little to win.
"""
ACTIVE_S = 2.0
"""How long after its last word a client is expected to go on speaking."""
CONFIRMED = ("conversation.item.added", "conversation.item.deleted", "conversation.item.truncated", "error")
CONFIRMED_S = 1.0
"""Within which providers confirm what the client has asked for. Then it is part of what is carried."""
WINDING_UP_S = 3.0
KEEP_EVERY_S = 15.0
"""How often it is written down where a follower would go on, while all is quiet."""
BEFORE_CLOSING_S = 60.0
"""Of the time that the provider keeps a connection: then a quiet moment is looked for."""


class Talk:
    def __init__(
        self, hall: Hall, session: RealtimeSession, socket: ProviderSocket, config: SessionConfig, begun_from: Snapshot
    ) -> None:
        self._hall, self._session, self._socket, self._config = hall, session, socket, config
        self._clock = hall.world.clock
        self._lock = asyncio.Lock()
        self._wants_another = self._is_changed = False
        self._kept_s = self._clock.monotonic_s()
        self._open_from = begun_from.open_from or ""
        self._asked, self._asked_s = 0, 0.0
        opened_s = self._clock.monotonic_s()
        hall.schedule.must_reconnect_s = opened_s + hall.wire.connection_s - BEFORE_CLOSING_S / 4
        hall.schedule.reconnect_s = opened_s + hall.wire.connection_s - BEFORE_CLOSING_S

    async def run(self, replayed: list[Frame]) -> Dropped | Moving:
        """`replayed`: sound that nobody may have heard. Raises Over, Fenced."""
        await self._carry_out(self._session.open())
        for frame in replayed:
            await self._replay(frame)
        listening = [asyncio.create_task(self._hear_client()), asyncio.create_task(self._hear_provider())]
        try:
            done, _ = await asyncio.wait(listening, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        try:
            return next(task.result() for task in listening if task in done)
        except Over:
            await self._wind_up()
            raise

    async def _wind_up(self) -> None:
        """Responses that go on are ended, so that their provider tells what they have cost."""
        with suppress(SocketClosed, ProviderFailure, GatewayError, TimeoutError):
            async with asyncio.timeout(WINDING_UP_S):
                for response_id in self._hall.books.under_way:
                    await self._carry_out(self._session.send(CancelResponse(response_id=response_id)))
                while self._hall.books.is_answering:
                    await self._carry_out(self._session.receive(await self._socket.receive()))

    # -- the client -------------------------------------------------------------------------------------------------

    async def _hear_client(self) -> Dropped | Moving:
        try:
            while True:
                looked_s = self._clock.monotonic_s()
                frames = await self._due()
                took_s = self._clock.monotonic_s() - looked_s
                for frame in frames:
                    await self._take(frame)
                    self._hall.incoming.dealt_with(frame)
                async with self._lock:
                    if (moving := await self._moving()) is not None:
                        return moving
                self._hall.check(self._clock.now_s())
                await self._clock.sleep(max(took_s, self._pause_s(bool(frames))))
        except SocketClosed as closed:
            return self._dropped(closed)
        except ProviderFailure as failure:
            return Dropped(failure)

    async def _due(self) -> list[Frame]:
        try:
            return await self._hall.incoming.due()
        except StorageUnavailable as error:
            self._hall.world.records.trouble("realtime.not_looked_at", reason=error.message)
            return []

    def _pause_s(self, has_said: bool) -> float:
        is_active = has_said or self._clock.now_s() - self._hall.incoming.heard_s < ACTIVE_S
        return ACTIVE_POLL_S if is_active else SILENT_POLL_S

    async def _take(self, frame: Frame) -> None:
        """One message of the client. Raises Over, SocketClosed, ProviderFailure, Fenced."""
        event_id = client_event_id(frame.body) if b'"event_id"' in frame.body else None
        try:
            self._hall.pace.keep(frame)
            event = read_event(frame.body)
            if isinstance(event, CloseSession):
                raise Over
            await self._say(event, len(frame.body))
        except (*NO_ROOM, SpokenTooFast) as refusal:
            raise Over(refusal, refusal) from None
        except ProviderFailure:
            raise
        except GatewayError as error:
            self._tell(error_event(error, self._event_id(frame), cause=event_id))

    async def _say(self, event: ProviderEvent, size_bytes: int) -> None:
        """Raises InvalidRequest, CapabilityNotSupported (400) and what has to be told; as `SessionBooks.make_room`."""
        names = None
        if not isinstance(event, AppendAudio):
            event, names = await to_functions(event, self._hall.tenant_id, self._hall.world.types)
            event = await self._bounded(event)
        self._count(event, size_bytes)
        await self._hall.books.make_room()
        async with self._lock:
            step = self._put(event)
            if isinstance(event, SessionUpdate):
                self._config = updated(self._config, replace(event.session, model=UNSET))
            if names is not None:
                self._is_changed = True
                self._hall.names = Names({**self._hall.names.own, **names.own})
            if isinstance(event, CreateItem | DeleteItem | TruncateItem):
                self._asked, self._asked_s = self._asked + 1, self._clock.monotonic_s()
            await self._carry_out(step)

    def _put(self, event: ProviderEvent) -> Step:
        try:
            return self._session.send(event)
        except GatewayError:
            if _is_beside(event):
                self._hall.books.one_less_beside()
            raise

    async def _bounded(self, event: ProviderEvent) -> ProviderEvent:
        """With a bound for responses where there is none, and enough held for those that it allows."""
        books, wire = self._hall.books, self._hall.wire
        if isinstance(event, SessionUpdate):
            config = updated(self._config, replace(event.session, model=UNSET))
            wire.check(config, self._hall.target)
            await books.configure(config, wire.also_used(config))
            told = books.told_output_tokens
            if told is not None and event.session.max_output_tokens == "inf":
                return replace(event, session=replace(event.session, max_output_tokens=told))
        if isinstance(event, CreateResponse) and event.response is not None:
            most = event.response.max_output_tokens
            if _is_beside(event):
                await books.ask_beside(most if isinstance(most, int) else None)
            if isinstance(most, int):
                await books.make_room(most)
            elif most == "inf" and (told := books.told_output_tokens) is not None:
                return replace(event, response=replace(event.response, max_output_tokens=told))
        return event

    def _count(self, event: ProviderEvent, size_bytes: int) -> None:
        """From above: no text has more tokens than bytes. Sound in which nobody is heard to speak is forgotten by the
        provider, and of a word that begins there is always more held than it takes to be noticed; so as long as it
        comes no faster than it is spoken, it counts as nothing.
        """
        if not isinstance(event, AppendAudio):
            self._hall.books.hear(size_bytes)
            return
        counted_s = heard_s(event.audio, self._config)
        if self._detects_turns and self._session.is_quiet:
            counted_s = self._hall.unspoken.beyond(counted_s, self._clock.monotonic_s())
        self._hall.books.hear(ceil(counted_s * TOKENS_PER_S_OF_SOUND))

    async def _replay(self, frame: Frame) -> None:
        """Sound that may have been said before anybody listened here."""
        try:
            event = read_event(frame.body)
        except GatewayError:
            return
        if isinstance(event, AppendAudio):
            async with self._lock:
                await self._carry_out(self._session.send(event))

    # -- the provider -----------------------------------------------------------------------------------------------

    async def _hear_provider(self) -> Dropped | Moving:
        try:
            while True:
                message = await self._socket.receive()
                async with self._lock:
                    await self._carry_out(self._session.receive(message))
        except SocketClosed as closed:
            return self._dropped(closed)
        except ProviderFailure as failure:
            return Dropped(failure)
        except (*NO_ROOM, AdmissionUnavailable) as refusal:
            raise Over(refusal, refusal) from None

    def _dropped(self, closed: SocketClosed) -> Dropped:
        return Dropped(self._hall.wire.closed(closed.code, closed.reason, self._hall.target))

    async def _carry_out(self, step: Step) -> None:
        """Raises SocketClosed, ProviderFailure, Fenced, and as `SessionBooks.response_ends`."""
        for message in step.messages:
            await self._socket.send(message)
        for event in step.events:
            await self._note(event)
            self._tell(self._in_own_words(event))
        self._wants_another |= step.reconnect
        if step.go_away_s is not None:
            now_s, schedule = self._clock.monotonic_s(), self._hall.schedule
            schedule.reconnect_s = min(schedule.reconnect_s, now_s)
            schedule.must_reconnect_s = min(schedule.must_reconnect_s, now_s + 0.8 * step.go_away_s)
        if step.turn_ended:
            self._is_changed = True
            over = [event["response"]["id"] for event in step.events if event["type"] == "response.done"]
            await self._hall.books.response_ends(over, step.used)
        elif step.used:
            await self._hall.books.use(step.used)
        if step.failure is not None:
            raise step.failure

    def _in_own_words(self, event: ServerEvent) -> ServerEvent:
        """The first one names the request: a client that loses its connection hears no summary, and looks for it."""
        if event["type"] == "session.created":
            event = {**event, "request_id": self._hall.request_id}
        return in_own_names(event, self._hall.names)

    async def _note(self, event: ServerEvent) -> None:
        kind = event["type"]
        if kind in CONFIRMED:
            self._asked = max(0, self._asked - 1)
        if kind == "response.created":
            await self._hall.books.response_begins(event["response"]["id"])
        elif kind == SOUND:
            tokens = ceil(said_s(event["delta"], self._config) * TOKENS_PER_S_OF_SOUND)
            self._hall.books.say(event["response_id"], tokens)
        elif kind in ("input_audio_buffer.committed", "input_audio_buffer.cleared"):
            self._open_from = first_name_at(int(self._clock.now_s() * 1000))

    def _tell(self, event: ServerEvent) -> None:
        self._hall.outgoing.put(event)

    def _event_id(self, frame: Frame) -> str:
        return f"event_{frame.at_ms}{frame.id}"

    # -- moving on --------------------------------------------------------------------------------------------------

    async def _moving(self) -> Moving | None:
        """Raises Fenced."""
        schedule, now_s = self._hall.schedule, self._clock.monotonic_s()
        is_handover = now_s >= schedule.hand_over_s
        is_confirmed = not self._asked or now_s >= self._asked_s + CONFIRMED_S
        if self._session.is_quiet and is_confirmed and self._hall.outgoing.is_drained:
            if is_handover or self._wants_another or now_s >= schedule.reconnect_s:
                return Moving(self._now(), is_handover)
            await self._keep(now_s)
        elif now_s >= min(schedule.must_hand_over_s, schedule.must_reconnect_s):
            snapshot = replace(self._hall.snapshot, is_whole=False)
            return Moving(snapshot, is_handover=now_s >= schedule.must_hand_over_s)
        return None

    async def _keep(self, now_s: float) -> None:
        """Where a follower goes on, if this function dies."""
        if not self._is_changed and now_s < self._kept_s + KEEP_EVERY_S:
            return
        self._is_changed, self._kept_s = False, now_s
        self._hall.snapshot = snapshot = replace(self._now(), is_whole=False)
        await self._hall.books.keep()
        try:
            await self._hall.holding.keep(snapshot)
        except StorageUnavailable as error:
            self._is_changed = True
            self._hall.world.records.trouble("realtime.not_kept", reason=error.message)

    def _now(self) -> Snapshot:
        incoming = self._hall.incoming
        unheard_ms = int(incoming.heard_s * 1000) - 1000 * self._hall.wire.unheard_s
        return Snapshot(
            carried=msgspec.to_builtins(self._session.carried()),
            cursor=incoming.cursor,
            open_from=max(self._open_from, first_name_at(unheard_ms)) if self._detects_turns else None,
            recent=incoming.recent,
            names=dict(self._hall.names.own),
            is_whole=True,
        )

    @property
    def _detects_turns(self) -> bool:
        audio = self._config.audio if isinstance(self._config.audio, Audio) else Audio()
        return not (isinstance(audio.input, AudioInput) and audio.input.turn_detection is None)


def _is_beside(event: ProviderEvent) -> bool:
    return isinstance(event, CreateResponse) and event.response is not None and event.response.conversation == "none"
