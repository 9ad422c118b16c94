"""What `_HANDLER` may name: an ASGI 3 application, or an EventHandler."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from msgspec import Struct

from gateway.entry.runtime.client import Invocation

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class HandlerNotFound(Exception):
    """`_HANDLER` names no attribute that can be served."""


class EventHandler(Struct, frozen=True):
    """Marks a function for events that are not HTTP requests: Step Functions tasks, EventBridge, direct invocations.

    `handle(event, invocation)` takes the decoded event and returns what JSON can hold. When it raises, the class's
    name becomes the error's name, which a state machine can match in Retry and Catch.
    """

    handle: Callable[[Any, Invocation], Awaitable[Any]]


def load_handler(name: str) -> AsgiApp | EventHandler:
    """Import `module.attribute` (the module may be written with slashes).

    Raises HandlerNotFound, and whatever importing the module raises.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        raise HandlerNotFound(f"the handler {name!r} is not module.attribute")
    handler = getattr(importlib.import_module(module_name.replace("/", ".")), attribute, None)
    if not isinstance(handler, EventHandler) and not callable(handler):
        raise HandlerNotFound(f"{module_name} has no application called {attribute!r}")
    return handler
