"""What a server says to one request, parsed while it arrives.

The parser is llhttp, which Node has too, as httptools wraps it; docs/decisions/0007 says why there is no client around
it. Source: https://www.rfc-editor.org/rfc/rfc9112.html
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

import httptools

from gateway.model.http import HttpResponse

MAX_HEAD_BYTES = 32 * 1024
HIGH_WATER_BYTES = 256 * 1024
"""Of a body, that wait to be read: more is left in the network."""
INFLATED_AT_ONCE_BYTES = 1024 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_COMPRESSIONS = ("gzip", "x-gzip", "deflate")


class HttpFailure(Exception):
    """No answer, or one that broke off. `kind` names what happened; never an address. `is_disconnect`: the other side
    hung up. `is_unreached`: there was none, for the name was not found or the connection refused.
    """

    def __init__(self, kind: str, *, is_disconnect: bool = False, is_unreached: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.is_disconnect, self.is_unreached = kind, is_disconnect, is_unreached


class _Refused(Exception):
    """What the parser has found is not taken."""


class HttpIncoming:
    """An answer from its head on. `headers`: names in lower case, of several with a name the last. `encodings`: how the
    body is compressed. `keeps_alive`: whether its connection can be used again, once it is whole.

    Its `on_` methods are the parser's.
    """

    def __init__(self, method: str, transport: asyncio.Transport) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.encodings: list[str] = []
        self.has_head = self.is_whole = self.keeps_alive = False
        self._method, self._transport = method, transport
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._unparsed_bytes = self._header_bytes = self._waiting_bytes = 0
        self._parts: list[bytes] = []
        self._is_paused = False
        self._failure: HttpFailure | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def has_news(self) -> bool:
        """Whether there is an answer, or will be none."""
        return self.has_head or self._failure is not None

    @property
    def is_read(self) -> bool:
        """Whether it is whole, and nothing keeps its connection from being used again."""
        return self.is_whole and self.keeps_alive and not self._is_paused

    async def head(self) -> None:
        """Until there is one. Raises HttpFailure."""
        while not self.has_head:
            await self._more()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, what came in one network read together, decompressed. Raises HttpFailure."""
        inflated = _Inflated() if self._is_compressed() else None
        while data := await self._next():
            if inflated is None:
                yield data
            else:
                for piece in inflated.pieces(data):
                    yield piece
        if inflated is not None:
            inflated.check_end()

    async def whole(self, max_bytes: int) -> HttpResponse:
        """Raises HttpFailure, also when there are more than `max_bytes`."""
        inflated = _Inflated() if self._is_compressed() else None
        body, size_bytes = [], 0
        while data := await self._next():
            for piece in (data,) if inflated is None else inflated.pieces(data):
                body.append(piece)
                size_bytes += len(piece)
                if size_bytes > max_bytes:
                    raise HttpFailure("TooLarge")
        if inflated is not None:
            inflated.check_end()
        return HttpResponse(self.status, self.headers, b"".join(body))

    def feed(self, data: bytes) -> None:
        assert self._parser is not None  # noqa: S101 - nothing is given after the end
        if not self.has_head:
            self._unparsed_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # after its end, too: then it is surplus
            self.keeps_alive = False
            self._fail(HttpFailure("NoHttp"))
        if not self.has_head and self._unparsed_bytes > MAX_HEAD_BYTES:
            self._fail(HttpFailure("HeadTooLarge"))
        if self.is_whole:
            self._parser = None  # and with it a cycle of references
        self._tell()

    def end(self, *, is_orderly: bool) -> None:
        """There is no connection any more. A body of which nobody said how long it is ends with that."""
        is_unbounded = not {"content-length", "transfer-encoding"} & self.headers.keys()
        if self.has_head and is_unbounded and is_orderly and self._failure is None:
            self.is_whole = True
        self._fail(HttpFailure("Disconnected", is_disconnect=True))
        self._parser = None
        self._tell()

    def on_message_begin(self) -> None:
        self._refuse_surplus()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.has_head:
            return  # a trailer: what is known of the answer is what its head said
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEAD_BYTES:
            self._fail(HttpFailure("HeadTooLarge"))
            raise _Refused
        lower, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace").strip()
        self.headers[lower] = text
        if lower == "content-encoding":
            self.encodings += [each.strip().lower() for each in text.split(",")]

    def on_headers_complete(self) -> None:
        assert self._parser is not None  # noqa: S101 - it is what calls
        self.status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.0", "1.1") or not 100 <= self.status < 600:
            self._fail(HttpFailure("NoHttp"))
            raise _Refused
        if self.status < 200:  # what comes before the answer itself
            self.headers.clear()
            self.encodings.clear()
            return
        self.has_head = True
        if self._method == "HEAD":
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        self._refuse_surplus()
        self._parts.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > HIGH_WATER_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        assert self._parser is not None  # noqa: S101 - as above
        if self.has_head and not self.is_whole:
            self.is_whole, self.keeps_alive = True, self._parser.should_keep_alive()

    def _refuse_surplus(self) -> None:
        """What follows a whole answer is none of it; the parser ends with this."""
        if self.is_whole:
            raise _Refused

    def _is_compressed(self) -> bool:
        """Raises HttpFailure where nobody here can read it."""
        if not self.encodings:
            return False
        compressions = [each for each in self.encodings if each not in ("", "identity")]
        if len(compressions) > 1 or any(each not in _COMPRESSIONS for each in compressions):
            raise HttpFailure("UnknownEncoding")
        return bool(compressions)

    async def _next(self) -> bytes:
        """What has come since, nothing after the end. Raises HttpFailure."""
        while not self._parts and not self.is_whole:
            await self._more()
        parts, self._parts, self._waiting_bytes = self._parts, [], 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _more(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _fail(self, failure: HttpFailure) -> None:
        if self._failure is None and not self.is_whole:
            self._failure = failure

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class _Inflated:
    """A compressed body in pieces of a bounded size, however well it is compressed."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._has_begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Raises HttpFailure."""
        self._has_begun = True
        while data:
            if self._inflate.eof:
                raise HttpFailure("NoCompression")  # something follows
            try:
                piece = self._inflate.decompress(data, INFLATED_AT_ONCE_BYTES)
            except zlib.error as error:
                raise HttpFailure("NoCompression") from error
            if piece:
                yield piece
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

    def check_end(self) -> None:
        """Raises HttpFailure for a body that was cut off."""
        if self._has_begun and not self._inflate.eof:
            raise HttpFailure("NoCompression")
