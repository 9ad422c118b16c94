"""What simulated embeddings have in common, and OpenAI's, which most providers imitate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.simulators.script import next_id
from local.simulators.switches import Switches, strip_directives
from local.simulators.vectors import Text, dimensions_of, in_base64, in_base64_bytes, in_numbers, tokens_of
from local.simulators.wire import (
    ANY,
    TEXT,
    UNKNOWN_MODEL,
    Asked,
    Json,
    Refused,
    Rule,
    Said,
    check_parameters,
    encode,
    integer,
    require,
)

OPENAI_RULES: Mapping[str, Rule] = {
    "model": TEXT,
    "input": ANY,
    "dimensions": integer(1),
    "encoding_format": TEXT,
    "user": TEXT,
}


class Embedded(Asked):
    """A checked request. ``write`` makes the reply of it; ``headers`` go with the reply where tokens are counted."""

    def __init__(
        self,
        model: str,
        inputs: Sequence[Text],
        dimensions: int | None,
        write: "Callable[[Embedded, int | None], Json]",
        headers: Callable[[int], tuple[tuple[str, str], ...]] = lambda _tokens: (),
    ) -> None:
        self._model, self._write, self._headers = model, write, headers
        self.settings = {}
        self.inputs = [self._without_directives(one) for one in inputs]
        self.dimensions = dimensions or dimensions_of(model)

    @property
    def model(self) -> str:
        return self._model

    def _without_directives(self, text: Text) -> Text:
        if not isinstance(text, str):
            return text
        plain, settings = strip_directives(text)
        self.settings |= settings
        return plain

    def say(self, switches: Switches) -> Said:
        tokens: int | None = switches.prompt_tokens
        if tokens is None:
            tokens = sum(tokens_of(one) for one in self.inputs)
        if switches.usage == "none":
            tokens = None
        headers = () if tokens is None else self._headers(tokens)
        return Said(next_id(), lambda: encode(self._write(self, tokens)), headers=headers)


@dataclass(frozen=True)
class EmbeddingRules:
    """How one provider checks a request in OpenAI's shape. ``dimensions``: the member for them. ``fixed``: parts of the
    names of models that make vectors of one length. ``int8``: always base64 of signed bytes.
    """

    path: str = "/embeddings"
    rules: Mapping[str, Rule] = field(default_factory=lambda: OPENAI_RULES)
    strict: bool = True
    max_inputs: int | None = 2048
    max_tokens: int | None = None
    takes_tokens: bool = False
    dimensions: str = "dimensions"
    fixed: tuple[str, ...] = ()
    encodings: tuple[str, ...] = ("float", "base64")
    int8: bool = False
    total_only: bool = False

    def read(self, body: Json) -> Embedded:
        """Raises Refused."""
        require(body, "model", "input")
        check_parameters(body, self.rules, strict=self.strict)
        if body["model"] == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"The model `{UNKNOWN_MODEL}` does not exist.", param="model")
        inputs = self._inputs(body["input"])
        wanted = self._dimensions(body)
        encoding = body.get("encoding_format") or "float"
        if encoding not in self.encodings and not self.int8:
            raise Refused("wrong_type", f"Invalid encoding_format: {encoding}.", param="encoding_format")
        return Embedded(body["model"], inputs, wanted, lambda asked, tokens: self._reply(asked, tokens, encoding))

    def _inputs(self, given: Any) -> list[Text]:
        is_one = isinstance(given, str) or (isinstance(given, list) and any(isinstance(one, int) for one in given))
        inputs: list[Text] = [given] if is_one else given
        if not isinstance(given, str | list) or not inputs or not all(inputs):
            raise Refused("wrong_type", "'$.input' is invalid.", param="input")
        if not self.takes_tokens and not all(isinstance(one, str) for one in inputs):
            raise Refused("wrong_type", "Invalid type for 'input': expected string.", param="input")
        if self.max_inputs is not None and len(inputs) > self.max_inputs:
            raise Refused("out_of_range", f"Too many inputs: {len(inputs)}.", param="input")
        tokens = sum(tokens_of(one) for one in inputs)
        if self.max_tokens is not None and tokens > self.max_tokens:
            raise Refused("out_of_range", f"Too many tokens overall: {tokens}.", param="input")
        return inputs

    def _dimensions(self, body: Json) -> int | None:
        wanted: int | None = body.get(self.dimensions)
        if wanted is None:
            return None
        if any(name in body["model"] for name in self.fixed):
            message = "This model does not support specifying dimensions."
            raise Refused("unsupported_parameter", message, param=self.dimensions)
        if wanted > dimensions_of(body["model"]):
            raise Refused("out_of_range", f"Invalid value for '{self.dimensions}': {wanted}.", param=self.dimensions)
        return wanted

    def _reply(self, asked: Embedded, tokens: int | None, encoding: str) -> Json:
        write = in_base64_bytes if self.int8 else in_base64 if encoding == "base64" else in_numbers
        data = [
            {"object": "embedding", "index": at, "embedding": write(one, asked.dimensions)}
            for at, one in enumerate(asked.inputs)
        ]
        reply: Json = {"object": "list", "data": data, "model": asked.model}
        if tokens is not None:
            counts = {"total_tokens": tokens} if self.total_only else {"prompt_tokens": tokens, "total_tokens": tokens}
            reply["usage"] = counts
        return reply
