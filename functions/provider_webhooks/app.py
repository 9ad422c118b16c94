"""POST /webhooks/{provider}: providers that say by themselves how their work ended."""

from gateway.entry.provider_webhooks import provider_webhooks_handler

handler = provider_webhooks_handler()
