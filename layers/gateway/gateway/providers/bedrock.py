"""Amazon Bedrock. Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-converse.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html (2026-11)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from gateway.model.errors import ProviderError
from gateway.model.http import Credential, HttpRequest
from gateway.providers.contract import Provider, bearer, setting
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


PROVIDER = Provider(
    name="bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    wires={"converse": Converse()},
    authorize=key_or_signature,
)
