"""A batch from its order to its record, in reading order. What it orders is looked at when its execution begins."""

from __future__ import annotations

import msgspec

from gateway.model.batch import FACT, KEPT_S, MAX_BYTES, Batch
from gateway.model.errors import FileNotFound, InvalidRequest, PayloadTooLarge
from gateway.model.file import purpose_of
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.pipeline.batch_order import BatchOrder, read_batch_order
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.visit import NO_MODEL
from gateway.ports import World

PARAM = "input_file_id"


class BatchPlan(msgspec.Struct, frozen=True):
    """It takes a place among its tenant's jobs; what its lines can cost is held once they were read."""

    order: BatchOrder
    demand: Demand = NO_MODEL


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Job:
    """The record of the batch. Raises GatewayError."""

    def read() -> BatchOrder:
        order = read_batch_order(inbound.content_type, inbound.body)
        exchange.is_async = True
        return order

    async def plan(order: BatchOrder, principal: Principal) -> BatchPlan:
        await _check_file(order, principal.tenant.id, world)
        return BatchPlan(order)

    exchange.asks_model = False
    planned = await enter(inbound.authorization, "batches", read, plan, exchange, world)
    order = planned.order
    batch = Batch(
        endpoint=order.endpoint,
        input_file_id=order.input_file_id,
        completion_window=order.completion_window,
        metadata=order.metadata,
        processing=order.processing,
        output_kept_s=order.output_expires_after.seconds if order.output_expires_after else KEPT_S,
    )
    job = await accepted(order, inbound, exchange, world, facts={FACT: msgspec.to_builtins(batch)})
    assert job is not None  # noqa: S101 - it is no job's own request
    return job


async def _check_file(order: BatchOrder, tenant_id: str, world: World) -> None:
    """Raises FileNotFound (404), InvalidRequest (400), PayloadTooLarge (413), StorageUnavailable (503)."""
    if order.input_file_id is None:
        return
    try:
        file = await world.files.head(tenant_id, order.input_file_id)
    except FileNotFound as error:
        error.param = PARAM
        raise
    if purpose_of(file.id) != "batch":
        raise InvalidRequest("A batch is read from a file with the purpose 'batch'.", param=PARAM)
    if file.is_pending:
        raise InvalidRequest(f"The upload is not completed: POST /v1/files/{file.id}/complete.", param=PARAM)
    if file.size_bytes > MAX_BYTES:
        raise PayloadTooLarge(f"A batch's file has at most {MAX_BYTES} bytes.", param=PARAM)
