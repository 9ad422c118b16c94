"""From the parts' vectors to the list that the client receives, each as it wants it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.embeddings import Embedding, EmbeddingList, EmbeddingsCall, EmbeddingsUsage
from gateway.model.provider_errors import ProviderError
from gateway.model.vector import encoded
from gateway.pipeline.embeddings_parts import VectorsPart
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.report import report
from gateway.ports import Clock


def embedding_list(
    parts: Sequence[VectorsPart], call: EmbeddingsCall, exchange: Exchange, clock: Clock
) -> EmbeddingList:
    """Raises ProviderError (502) for what is no vector."""
    attempt = exchange.attempts[-1]
    vectors = [vector for part in parts if part.made for vector in part.made.vectors]
    encoding = call.encoding_format or "float"
    try:
        data = [Embedding(index=place, embedding=encoded(vector, encoding)) for place, vector in enumerate(vectors)]
    except ValueError:
        raise ProviderError(f"{attempt.route.provider.name} sent something that is no embedding.") from None
    assert attempt.usage is not None  # noqa: S101 - every part is accounted for
    return EmbeddingList(
        data=data,
        model=attempt.route.model_id,
        usage=EmbeddingsUsage.of(attempt.usage, exchange.whole_cost_nano_usd),
        gateway=report(exchange, clock),
    )
