"""POST /v1/audio/transcriptions, under the streaming runtime client."""

from gateway.entry.transcriptions import transcriptions_app
from gateway.entry.wiring import aws_world

app = transcriptions_app(aws_world())
