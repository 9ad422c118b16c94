"""One step of a batch's state machine; every minute the sweep over batches that nobody carries on."""

from gateway.entry.batch_task import batch_task_handler

handler = batch_task_handler()
