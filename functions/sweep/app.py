"""Ends the holds of requests whose function died. Invoked every minute."""

from gateway.entry.sweep import sweep_handler

handler = sweep_handler()
