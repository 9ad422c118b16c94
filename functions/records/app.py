"""Keeps what was told of requests: usage, audit, alerts. Invoked by the queue behind the event bus."""

from gateway.entry.records import records_handler

handler = records_handler()
