"""What a tenant has used: /v1/usage."""

from gateway.entry.usage import usage_handler

handler = usage_handler()
