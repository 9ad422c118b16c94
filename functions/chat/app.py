"""POST /v1/chat/completions, under the streaming runtime client."""

from gateway.entry.chat import chat_app
from gateway.entry.wiring import aws_world

app = chat_app(aws_world())
