"""Amazon Bedrock. Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-converse.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html (2026-11)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from gateway.model.catalog import ModelFacts
from gateway.model.http import Credential, HttpRequest
from gateway.model.media_type import DOCX
from gateway.model.provider_errors import ProviderError
from gateway.providers.contract import InlineLimits, Provider, bearer, setting
from gateway.providers.wire.bedrock_embeddings import BedrockCohereEmbed, TitanEmbed
from gateway.providers.wire.converse import Converse
from gateway.providers.wire.sigv4 import Scope, sign

_REGION_IN_HOST = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


def key_or_signature(request: HttpRequest, credential: Credential, now_s: float) -> HttpRequest:
    """A Bedrock API key when there is one, else a signature with AWS keys, stored ones or those of the gateway's role.

    Raises ProviderError (502) without either.
    """
    if credential.api_key:
        return bearer(request, credential, now_s)
    if credential.aws_keys is None:
        raise ProviderError("No credential for bedrock is available.")
    scope = Scope(_region(request.url, credential), "bedrock")
    return sign(request, credential.aws_keys, scope, datetime.fromtimestamp(now_s, UTC))


def _region(url: str, credential: Credential) -> str:
    """Of the endpoint where its host tells it (AWS takes no other), else the owner's setting."""
    found = _REGION_IN_HOST.search(urlsplit(url).netloc)
    return found[1] if found else setting("region", credential.settings, "bedrock")


# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-api-restrictions.html: 4.5 MB a document, but a PDF for
# Claude 4 and later, and a PDF or DOCX for Nova; images are limited by the models alone.
DOCUMENT = {"document": 9 * 2**19}
INLINE = {
    # https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock: 20 MB a request,
    # https://platform.claude.com/docs/en/build-with-claude/vision: 5 MB of base64 an image.
    "anthropic": InlineLimits(20 * 2**20, {**DOCUMENT, "application/pdf": None, "image": 5 * 2**20 * 3 // 4}),
    # https://docs.aws.amazon.com/nova/latest/userguide/modalities.html: 25 MB a request.
    "nova": InlineLimits(25 * 2**20, {**DOCUMENT, "application/pdf": None, DOCX: None}),
}


def inline(facts: ModelFacts) -> InlineLimits:
    """There is no API for files, so what is larger is refused."""
    return INLINE.get(facts.dialect or "", InlineLimits(part_bytes=DOCUMENT))


PROVIDER = Provider(
    name="bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    wires={"converse": Converse()},
    embeddings={"titan_embed": TitanEmbed(), "cohere_embed": BedrockCohereEmbed()},
    authorize=key_or_signature,
    inline=inline,
)
