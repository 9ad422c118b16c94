"""The last step, after the client has its answer: one record of what happened, never content, and tidying up."""

from __future__ import annotations

from typing import Any

from gateway.pipeline.exchange import Exchange
from gateway.pipeline.upload import delete_uploads
from gateway.ports import World


async def conclude(exchange: Exchange, world: World) -> None:
    """Writes the record of a finished request, refused ones included; then what was uploaded for it is deleted."""
    world.records.write(record_of(exchange, world))
    await delete_uploads(exchange, world)


def record_of(exchange: Exchange, world: World) -> dict[str, Any]:
    """Facts and figures: who, what, which model, tokens, nano-USD, milliseconds, outcome."""
    principal, usage, error = exchange.principal, exchange.usage, exchange.error
    used = exchange.attempts[-1] if exchange.attempts else None
    latency_s = world.clock.monotonic_s() - exchange.started_s
    return {
        "event": "request.failed" if error else "request.completed",
        "request_id": exchange.request_id,
        "operation": exchange.operation,
        "tenant_id": principal.tenant.id if principal else None,
        "user_id": principal.user_id if principal else None,
        "conversation_id": exchange.conversation_id,
        "model_requested": exchange.model_requested,
        "model_used": used.route.model_id if used else None,
        "provider": used.route.provider.name if used else None,
        "stream": exchange.stream,
        "status": error.status if error else 200,
        "code": error.code if error else None,
        "provider_code": error.provider_code if error else None,
        "attempts": len(exchange.attempts),
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cached_tokens": usage.prompt.cached_tokens if usage else None,
        "reasoning_tokens": usage.completion.reasoning_tokens if usage else None,
        "usage_estimated": usage.estimated if usage else None,
        "cost_nano_usd": exchange.cost_nano_usd,
        "latency_ms": round(latency_s * 1000, 3),
        "overhead_ms": round((latency_s - exchange.waited_s) * 1000, 3),
        "ttft_ms": round(used.ttft_s * 1000, 3) if used and used.ttft_s is not None else None,
    }
