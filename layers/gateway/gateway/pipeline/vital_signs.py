"""What the attempts of a request say of the health of their models, told when the client has its answer."""

from __future__ import annotations

from gateway.model.circuit import PATIENCE_S
from gateway.model.provider_errors import CircuitOpen, ProviderBusy, ProviderFailure, ProviderTimeout
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.ports import World


async def tell_health(exchange: Exchange, world: World) -> None:
    """Never raises."""
    for number, attempt in enumerate(exchange.attempts, start=1):
        later = exchange.error if number == len(exchange.attempts) else None
        error = attempt.error or (later if isinstance(later, ProviderFailure) else None)
        if attempt.ended_s is None or attempt.is_overtaken or not _says_something(error, attempt):
            continue
        first_s = attempt.ended_s - attempt.started_s if attempt.ttft_s is None else attempt.ttft_s
        world.health.note(
            attempt.route.provider.name,
            attempt.route.facts.id,
            None if error else first_s * 1000,
            is_stream=attempt.ttft_s is not None,
        )
    if exchange.attempts:
        await world.health.share()


def _says_something(error: Exception | None, attempt: Attempt) -> bool:
    """Nothing of its model says what was not sent, what was asked with a tenant's own key, what its provider finds
    wrong with the request itself, and that it was not ready when only its caller had no more patience.
    """
    if attempt.key_of is not None:
        return False
    if error is None:
        return True
    if not isinstance(error, ProviderFailure) or error.blames_request or isinstance(error, CircuitOpen | ProviderBusy):
        return False
    is_own = isinstance(error, ProviderTimeout) and not error.is_refusal
    return not is_own or (attempt.ended_s or 0) - attempt.started_s >= PATIENCE_S
