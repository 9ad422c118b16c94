"""What every simulated API shares: its interface, refusals, parameter rules, and notes on media parts."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, NoReturn

import msgspec

from local.simulators.http1 import Request
from local.simulators.script import Answer, Prompt, compose
from local.simulators.switches import Switches

if TYPE_CHECKING:
    from local.simulators.live import Live

Json = dict[str, Any]
Headers = list[tuple[str, str]]
Kind = Literal[
    "missing_key",
    "wrong_key",
    "model_not_found",
    "no_route",
    "invalid_json",
    "missing_parameter",
    "unknown_parameter",
    "unsupported_parameter",
    "wrong_type",
    "out_of_range",
    "empty",
    "fault",
]

KEY_PREFIX = "sim-"
REFUSED_KEY = "sim-invalid"
WITHDRAWN: set[str] = set()
"""Keys that were good and are not any more."""
UNKNOWN_MODEL = "does-not-exist"
JSON_HEADERS: Headers = [("content-type", "application/json")]


class Refused(Exception):
    """The provider would refuse this. ``kind`` chooses status and code; a "fault" brings its own status."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class Reply(NamedTuple):
    """A whole HTTP reply."""

    status: int
    headers: Headers
    body: bytes


class Filed(NamedTuple):
    """The reply of an API for files, and what the request log says of the file."""

    reply: Reply
    file: Json


class Event(NamedTuple):
    """One server-sent event as bytes. ``content`` events carry text, reasoning or tool arguments."""

    data: bytes
    content: bool = False


class Said(NamedTuple):
    """An answer that is ready to be sent. ``number``: of its id. ``events``: of one that is streamed.

    ``headers``: besides those that every answer has.
    """

    number: int
    body: Callable[[], bytes]
    events: Callable[[], Iterable[Event]] = tuple
    headers: tuple[tuple[str, str], ...] = ()


class Asked(ABC):
    """A request that passed the provider's checks, whatever it asks for, and what is said to it.

    ``settings``: the switches in it. ``stream``: whether the answer is sent event by event, which may be plain bytes.
    """

    settings: dict[str, str]
    stream: bool = False
    stream_type: str = "text/event-stream; charset=utf-8"
    body_type: str = "application/json"

    @property
    @abstractmethod
    def model(self) -> str:
        """As the client named it."""

    @abstractmethod
    def say(self, switches: Switches) -> Said:
        """The answer."""


class Call(Asked):
    """A chat."""

    prompt: Prompt

    @property
    def model(self) -> str:
        return self.prompt.model

    def say(self, switches: Switches) -> Said:
        answer = compose(self.prompt, switches)
        return Said(answer.number, lambda: encode(self.body(answer)), lambda: self.events(answer))

    @abstractmethod
    def body(self, answer: Answer) -> Json:
        """The reply in one piece."""

    @abstractmethod
    def events(self, answer: Answer) -> Iterator[Event]:
        """The reply as a stream."""


class Api(ABC):
    """One provider's API under one path prefix; ``prefix`` is the base URL's path."""

    name: str
    prefix: str
    id_header: str | None = "x-request-id"
    settings: ClassVar[Mapping[str, str]] = {}  # what an owner would store with the key

    @property
    def root(self) -> str:
        """Where the provider's paths begin, which may be above the base URL."""
        return self.prefix

    def at(self, path: str) -> "tuple[Api, str]":
        """Which API answers at a path below the root, and the path as that one knows it."""
        return self, path

    @abstractmethod
    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        """A checked call, the body of a plain GET, or a file API's reply. ``path`` has no prefix. Raises Refused."""

    def live(self, _request: Request, path: str, _armed: Callable[[str], dict[str, str]], /) -> "Live":
        """A realtime session, for a WebSocket handshake. ``_armed``: the faults for a model. Raises Refused."""
        raise Refused("no_route", f"No WebSocket at {path}.")

    @abstractmethod
    def refuse(self, refused: Refused) -> Reply:
        """The provider's own error reply."""

    @abstractmethod
    def stream_error(self, status: int) -> Iterable[Event]:
        """The provider's own failure in the middle of a stream."""


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)


def sse(value: Any, event: str | None = None) -> bytes:
    """One server-sent event holding JSON."""
    head = f"event: {event}\ndata: ".encode() if event else b"data: "
    return head + msgspec.json.encode(value) + b"\n\n"


def now_s() -> int:
    """Epoch seconds, as `created` fields have them."""
    return int(time.time())


def decode_object(body: bytes) -> Json:
    """The request body as a JSON object. Raises Refused (invalid_json)."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Refused("invalid_json", f"The request body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Refused("invalid_json", "The request body is not a JSON object.")
    return value


def check_key(key: str | None, *, required: bool = True) -> None:
    """Raises Refused when the key is absent, malformed, withdrawn or the one that is always refused."""
    if not key:
        if required:
            raise Refused("missing_key", "No API key was provided.")
    elif key in (REFUSED_KEY, *WITHDRAWN) or (required and not key.startswith(KEY_PREFIX)):
        raise Refused("wrong_key", f"Incorrect API key provided: {key[:4]}****.")


# -- parameters -----------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What a parameter may be. ``word`` is the type's name in messages."""

    types: tuple[type[Any], ...]
    word: str
    low: float | None = None
    high: float | None = None


TEXT = Rule((str,), "string")
FLAG = Rule((bool,), "boolean")
LIST = Rule((list,), "array")
OBJECT = Rule((dict,), "object")
ANY = Rule((object,), "any")


def decimal(low: float | None = None, high: float | None = None) -> Rule:
    """A number within bounds, both included."""
    return Rule((int, float), "decimal", low, high)


def integer(low: float | None = None, high: float | None = None) -> Rule:
    """A whole number within bounds, both included."""
    return Rule((int,), "integer", low, high)


def check_parameters(body: Json, rules: Mapping[str, Rule], *, strict: bool) -> None:
    """Type and range of every known parameter; unknown ones only when ``strict``. Raises Refused."""
    for name, value in body.items():
        rule = rules.get(name)
        if rule is None:
            if strict:
                raise Refused("unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
        elif value is not None:
            _check_value(name, value, rule)


def _check_value(name: str, value: Any, rule: Rule) -> None:
    if rule is ANY:
        return
    typed: Any = value
    if not isinstance(typed, rule.types) or (isinstance(value, bool) and bool not in rule.types):
        got = type(value).__name__
        raise Refused("wrong_type", f"Invalid type for '{name}': expected {rule.word}, got {got}.", param=name)
    if rule.low is not None and value < rule.low:
        _out_of_range(name, rule, f"{rule.word}_below_min_value", f">= {rule.low}", value)
    if rule.high is not None and value > rule.high:
        _out_of_range(name, rule, f"{rule.word}_above_max_value", f"<= {rule.high}", value)


def _out_of_range(name: str, rule: Rule, code: str, bound: str, value: float) -> NoReturn:
    raise Refused(
        "out_of_range", f"Invalid '{name}': expected {rule.word} {bound}, got {value}.", param=name, code=code
    )


def require(body: Json, *names: str) -> None:
    """Raises Refused for the first parameter that is absent."""
    for name in names:
        if body.get(name) is None:
            raise Refused("missing_parameter", f"Missing required parameter: '{name}'.", param=name)


def check_messages(messages: list[Any], param: str) -> None:
    """Raises Refused when a conversation is empty or holds something else than objects."""
    if not messages:
        raise Refused("empty", f"Invalid '{param}': expected at least one item.", param=param, code="empty_array")
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise Refused("wrong_type", f"Invalid type for '{param}[{at}]': expected object.", param=f"{param}[{at}]")


# -- media ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Parts:
    """Text and media notes collected from message content."""

    texts: list[str]
    media: list[str]

    @property
    def text(self) -> str:
        """The texts, one a line."""
        return "\n".join(self.texts)


def note_base64(kind: str, content_type: str, data: str) -> str:
    """`[image image/png 1234 bytes]`: what arrived, without decoding it."""
    size = len(data) * 3 // 4 - data[-2:].count("=")
    return f"[{kind} {content_type} {size} bytes]"


def note_url(kind: str, url: str) -> str:
    """The note for a data URL or for a link."""
    if url.startswith("data:"):
        content_type, _, data = url[5:].partition(";base64,")
        return note_base64(kind, content_type, data)
    return f"[{kind} url {url}]"
