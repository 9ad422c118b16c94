"""The WebSocket API: $connect, $default, $disconnect."""

from gateway.entry.realtime import realtime_handler
from gateway.entry.realtime_wiring import aws_voice, terms_from_environment
from gateway.entry.wiring import aws_world

handler = realtime_handler(aws_world(), aws_voice(), terms_from_environment())
