"""Holds a session of voice, invoked by whoever finds that it needs to be held."""

from gateway.entry.realtime_session import realtime_session_handler, web_sockets
from gateway.entry.realtime_wiring import aws_voice, terms_from_environment
from gateway.entry.wiring import aws_world

handler = realtime_session_handler(aws_world(), aws_voice(), web_sockets(), terms_from_environment())
