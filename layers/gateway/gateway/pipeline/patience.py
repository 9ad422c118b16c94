"""Whether a provider that did not answer in time has failed, or only had too little of it."""

from __future__ import annotations

from gateway.model.provider_errors import ProviderTimeout
from gateway.pipeline.exchange import Attempt

STREAM_S = 60.0
"""Above what reasoning models take to begin."""
WHOLE_S = 140.0
"""About what the gateway itself gives the first of two models. Long answers take minutes, so less says nothing."""
OWN_S = 90.0
"""Of a whole answer where nobody but the gateway says how long it may take: less with several models, or a hook."""
BEGINNING_S = 50.0
"""Of taking an order, which takes a moment, whoever says how long that may be."""


def has_failed(timeout: ProviderTimeout, attempt: Attempt, had_s: float) -> bool:
    """For everybody. One that has begun to answer has not, however its caller's limits end it."""
    return timeout.is_refusal or (attempt.ttft_s is None and had_s >= attempt.enough_s)
