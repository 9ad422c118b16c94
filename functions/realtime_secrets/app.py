"""Client secrets for browsers: POST /v1/realtime/client_secrets."""

from gateway.entry.realtime_secrets import realtime_secrets_handler

handler = realtime_secrets_handler()
