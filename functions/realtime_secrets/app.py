"""POST /v1/realtime/client_secrets, under the streaming runtime client."""

from gateway.entry.realtime_secrets import realtime_secrets_app
from gateway.entry.realtime_wiring import aws_client_secrets
from gateway.entry.wiring import aws_world

app = realtime_secrets_app(aws_world(), aws_client_secrets())
