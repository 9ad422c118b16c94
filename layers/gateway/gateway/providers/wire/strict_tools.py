"""Tools whose arguments are to keep to their schema (`strict`), where constrained decoding sees to it.

A model that has none, a schema that it could not take and tools beyond what one request may hold to schemas are sent
without: the arguments are then what the model makes of the schema, as with any other tool. Sources:
https://platform.claude.com/docs/en/build-with-claude/structured-outputs#schema-complexity-limits,
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (2026-11).
"""

from __future__ import annotations

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, Function, Json, JsonSchemaFormat
from gateway.model.constrained_schema import MAX_OPTIONAL, MAX_UNIONS, complexity, constrained

MAX_STRICT = 20


class StrictTools:
    """Of one call, whose tools are asked about one after the other. What is limited, its schemas have together."""

    def __init__(self, call: ChatCall, model: ModelFacts) -> None:
        self._left = MAX_STRICT if model.can("structured_output") else 0
        wanted = call.response_format
        said = wanted.json_schema.schema if isinstance(wanted, JsonSchemaFormat) else None
        self._optional, self._unions = complexity(said or {})

    def schema(self, function: Function) -> tuple[Json, bool]:
        """The schema to send, and whether the arguments will keep to it."""
        plain = {"type": "object", **(function.parameters or {"properties": {}})}
        if not function.strict or not self._left:
            return plain, False
        # No parameters are none at all, and not any.
        none_named = not plain.get("properties") and "additionalProperties" not in plain
        strict = constrained({**plain, "additionalProperties": False} if none_named else plain)
        if strict is None:
            return plain, False
        optional, unions = complexity(plain)
        if self._optional + optional > MAX_OPTIONAL or self._unions + unions > MAX_UNIONS:
            return plain, False
        self._left, self._optional, self._unions = self._left - 1, self._optional + optional, self._unions + unions
        return strict, True
