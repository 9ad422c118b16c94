"""An identity provider as the gateway sees it: discovery, public keys, and tokens for whoever asks for one.

GET  /_oidc/.well-known/openid-configuration, /_oidc/jwks
POST /_oidc/token    claims as JSON, over the defaults below -> {"access_token": ...}; ?alg=ES256 for the other key
POST /_oidc/rotate   new keys, the old ones are not published any more
"""

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from local.simulators.http1 import Request

ISSUER = "/_oidc"
AUDIENCE = "llm-gateway"
LIFETIME_S = 3600
NOT_FOUND = 404, {"error": "not_found"}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Answered = tuple[int, dict[str, Any]]


@dataclass
class SigningKey:
    """`kid`: by which its public half is found."""

    private: PrivateKey
    algorithm: str
    kid: str = field(default_factory=lambda: uuid.uuid4().hex)

    def published(self) -> dict[str, Any]:
        """A JSON Web Key: https://datatracker.ietf.org/doc/html/rfc7517"""
        common = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            return {"kty": "RSA", "n": _base64url(numbers.n), "e": _base64url(numbers.e), **common}
        point = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _base64url(point.x, 32), "y": _base64url(point.y, 32), **common}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private, self.algorithm, headers={"kid": self.kid, **header})


class IdentityProvider:
    """Keys are made when the first one is needed: most runs need none."""

    def __init__(self) -> None:
        self._keys: dict[str, SigningKey] = {}

    @property
    def keys(self) -> dict[str, SigningKey]:
        """By algorithm."""
        if not self._keys:
            self.rotate()
        return self._keys

    def rotate(self) -> None:
        self._keys = {
            "RS256": SigningKey(rsa.generate_private_key(65537, 2048), "RS256"),
            "ES256": SigningKey(ec.generate_private_key(ec.SECP256R1()), "ES256"),
        }

    def answer(self, request: Request) -> Answered:
        """`request.path` begins with ISSUER."""
        issuer = f"http://{request.headers.get('host', '')}{ISSUER}"
        match request.method, request.path.removeprefix(ISSUER):
            case "GET", "/.well-known/openid-configuration":
                return 200, self.discovery(issuer)
            case "GET", "/jwks":
                return 200, self.published()
            case "POST", "/token":
                [algorithm] = parse_qs(request.query).get("alg", ["RS256"])
                claims = {**default_claims(issuer), **json.loads(request.body or b"{}")}
                token = self.keys[algorithm].sign(claims)
                return 200, {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S}
            case "POST", "/rotate":
                self.rotate()
                return 200, self.published()
        return NOT_FOUND

    def discovery(self, issuer: str) -> dict[str, Any]:
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/jwks",
            "token_endpoint": f"{issuer}/token",
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(self.keys),
        }

    def published(self) -> dict[str, Any]:
        return {"keys": [key.published() for key in self.keys.values()]}


def default_claims(issuer: str) -> dict[str, Any]:
    """A user of the demo tenant who may use every capability."""
    now_s = int(time.time())
    common = {"iss": issuer, "aud": AUDIENCE, "iat": now_s, "exp": now_s + LIFETIME_S}
    return {**common, "sub": "carol", "tenant": "demo", "scope": "*"}


def _base64url(number: int, length: int | None = None) -> str:
    data = number.to_bytes(length or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
