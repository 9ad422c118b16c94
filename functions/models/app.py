"""GET /v1/models, GET /v1/models/{id}, GET /openapi.json, GET /asyncapi.json."""

from gateway.entry.models import models_handler

handler = models_handler()
