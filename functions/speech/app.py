"""POST /v1/audio/speech, under the streaming runtime client."""

from gateway.entry.speech import speech_app
from gateway.entry.wiring import aws_world

app = speech_app(aws_world())
