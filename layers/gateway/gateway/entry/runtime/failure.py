"""Exceptions as log lines and error documents: types and places, never messages.

An exception's message can quote a prompt, a reply or a key; its type and the lines it passed cannot. The one exception
is a failed start: no request has been seen by then.
"""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import Any

_MAX_FRAMES = 12
_MAX_DEPTH = 4


def type_name(error: BaseException) -> str:
    """The class's own name: what Step Functions matches in Retry and Catch."""
    return type(error).__name__


def places(error: BaseException) -> list[str]:
    """`file:line function` of each frame, outermost first; the last 12 when there are more."""
    frames: list[str] = []
    step: TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        frames.append(f"{code.co_filename}:{step.tb_lineno} {code.co_name}")
        step = step.tb_next
    return frames[-_MAX_FRAMES:]


def describe(error: BaseException, depth: int = _MAX_DEPTH) -> dict[str, Any]:
    """`{type, places, causes?}`; causes are a group's members, or what the error was raised from or during."""
    description: dict[str, Any] = {"type": type_name(error), "places": places(error)}
    if isinstance(error, BaseExceptionGroup):
        causes = list(error.exceptions)
    else:
        during = None if error.__suppress_context__ else error.__context__
        causes = [cause for cause in (error.__cause__ or during,) if cause is not None]
    if causes and depth > 1:
        description["causes"] = [describe(cause, depth - 1) for cause in causes]
    return description


def error_document(error: BaseException, message: str) -> dict[str, Any]:
    """The body of the Runtime API's error endpoints and of the error trailer.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (invocation error, initialization error)
    """
    return {"errorType": type_name(error), "errorMessage": message, "stackTrace": places(error)}


def log(level: str, event: str, **fields: Any) -> None:
    """One JSON object on one line of stderr: what Lambda stores as one record."""
    line = json.dumps({"level": level, "event": event, "timestamp_s": round(time.time(), 3), **fields})
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
