"""Embeddings: the normalised call, what a provider made of it, and what the client receives.

Source of names and bounds: https://platform.openai.com/docs/api-reference/embeddings/create (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Raw, Struct

from gateway.model.call import Call, Count
from gateway.model.completion import GatewayReport
from gateway.model.money import NANO_PER_USD
from gateway.model.usage import TokenUsage
from gateway.model.wire import Outbound

Token = Annotated[int, Meta(ge=0)]
Text: TypeAlias = str | list[Token]
"""One input: words, or the tokens that they are to the model."""
EncodingFormat: TypeAlias = Literal["float", "base64"]


class EmbeddingsCall(Call, frozen=True, kw_only=True):
    """`input`: one text, its tokens, or a list of either. `dimensions`: None takes the model's own.

    `encoding_format`: a list of numbers, or base64 of 32-bit floats, little endian.
    """

    input: str | list[str | Token | list[Token]]
    dimensions: Count | None = None
    encoding_format: EncodingFormat | None = None

    @property
    def inputs(self) -> Sequence[Text]:
        """The list, of one where it is not given as one."""
        if isinstance(self.input, str):
            return [self.input]
        if self.input and isinstance(self.input[0], int):
            return [self.input]  # type: ignore[list-item]  # read_embeddings_call lets no list of several kinds pass
        return self.input  # type: ignore[return-value]  # same


class Embeddings(Struct, frozen=True):
    """`vectors`: in the order of the inputs, each as JSON: a list of numbers, or base64 of little endian float32.

    `usage`: None where the provider gave no figures.
    """

    vectors: list[Raw]
    usage: TokenUsage | None = None


class Embedding(Outbound, frozen=True, kw_only=True, tag_field="object", tag="embedding"):
    index: int
    embedding: Raw


class EmbeddingsUsage(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`cost_estimate`: USD, null when the model's price is unknown. `estimated`: counted by the gateway."""

    prompt_tokens: int
    total_tokens: int
    cost_estimate: float | None
    estimated: bool

    @classmethod
    def of(cls, usage: TokenUsage, cost_nano_usd: int | None) -> EmbeddingsUsage:
        return cls(
            prompt_tokens=usage.prompt_tokens,
            total_tokens=usage.total_tokens,
            cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
            estimated=usage.estimated,
        )


class EmbeddingList(Outbound, frozen=True, kw_only=True, tag_field="object", tag="list"):
    """`model`: as `gateway.model_used`, so it can be asked for again."""

    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage
    gateway: GatewayReport
