"""/v1/videos, under the streaming runtime client."""

from gateway.entry.videos import every_s, videos_app
from gateway.entry.wiring import aws_world

app = videos_app(aws_world(), every_s())
