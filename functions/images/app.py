"""POST /v1/images/generations, under the streaming runtime client."""

from gateway.entry.images import images_app
from gateway.entry.wiring import aws_world

app = images_app(aws_world())
