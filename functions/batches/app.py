"""/v1/batches, under the streaming runtime client."""

from gateway.entry.batches import batches_app
from gateway.entry.wiring import aws_world

app = batches_app(aws_world())
