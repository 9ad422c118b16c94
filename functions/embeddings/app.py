"""POST /v1/embeddings, under the streaming runtime client."""

from gateway.entry.embeddings import embeddings_app
from gateway.entry.wiring import aws_world

app = embeddings_app(aws_world())
