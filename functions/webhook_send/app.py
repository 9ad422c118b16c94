"""POSTs a signed message to a URL for the job task, under the streaming runtime client; no route leads here."""

from gateway.entry.webhook_send import webhook_send_handler

handler = webhook_send_handler()
