"""WebSocket over a connection of the small HTTP server, which can be cut at any moment."""

from __future__ import annotations

from collections import deque

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from local.simulators.http1 import BadRequestError, Connection, Request

MAX_MESSAGE_BYTES = 16 * 1024 * 1024


def is_asked_for(request: Request) -> bool:
    return request.headers.get("upgrade", "").lower() == "websocket"


class Socket:
    """The server's side. Pings are answered, fragments put together."""

    def __init__(self, request: Request, out: Connection) -> None:
        self._out = out
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self._frames: deque[Frame] = deque()
        self._parts: list[bytes] = []
        self._is_text = True
        head = [f"{request.method} {request.target} HTTP/1.1", *(f"{n}: {v}" for n, v in request.headers.items())]
        self._protocol.receive_data("\r\n".join([*head, "", ""]).encode("latin-1"))

    def accept(self) -> None:
        """Answer the handshake. Raises BadRequestError for what is none."""
        asked = next(iter(self._protocol.events_received()), None)
        if not isinstance(asked, Handshake):
            raise BadRequestError(400, f"no WebSocket handshake: {self._protocol.handshake_exc or 'unreadable'}")
        try:
            self._protocol.send_response(self._protocol.accept(asked))
        except InvalidHandshake as error:
            raise BadRequestError(400, str(error)) from None
        self._flush()

    async def receive(self) -> str | bytes | None:
        """The next message; None when the client has closed."""
        while True:
            self._frames += (event for event in self._protocol.events_received() if isinstance(event, Frame))
            while self._frames:
                if (message := self._joined(self._frames.popleft())) is not None:
                    return message
            if self._protocol.state is not State.OPEN:
                return None
            self._protocol.receive_data(await self._out.receive())
            self._flush()

    async def send(self, text: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._flush()
            await self._out.drain()

    def close(self, code: int, reason: str = "") -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    def _joined(self, frame: Frame) -> str | bytes | None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        whole, self._parts = b"".join(self._parts), []
        return whole.decode() if self._is_text else whole

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._out.write(data)
