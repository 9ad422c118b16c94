"""Google's Live API (BidiGenerateContent over WebSocket).

Source: https://ai.google.dev/api/live (2026-11)
"""

from __future__ import annotations

from msgspec import Struct

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.model.realtime import SessionConfig
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Opening, RealtimeWire
from gateway.providers.wire.failures import public_reason
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.gemini_live_session import GeminiLiveSession
from gateway.providers.wire.gemini_live_setup import check_config
from gateway.providers.wire.realtime_socket import closed, socket_url

SERVICE = "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
INVALID_ARGUMENT = 1007


class GeminiLive(Struct, frozen=True):
    """A connection is kept about ten minutes: https://ai.google.dev/gemini-api/docs/live-session (2026-11). That
    somebody speaks is seen by the transcript, where there is one, else by the answer.
    """

    connection_s: int = 600
    unheard_s: int = 60

    def connect(self, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{socket_url(target.base_url)}/ws/{SERVICE}", {})

    def check(self, config: SessionConfig, target: Target) -> None:
        check_config(config, target.model)

    def also_used(self, _config: SessionConfig) -> tuple[str, ...]:
        return ()

    def session(self, opening: Opening, target: Target) -> GeminiLiveSession:
        return GeminiLiveSession(opening, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)

    def closed(self, code: int, reason: str, target: Target) -> ProviderFailure:
        """Errors are told in the reason of the close frame; 1007 is one of the client's own request."""
        if code == INVALID_ARGUMENT:
            said = f": {public_reason(reason)}" if reason else ""
            return ProviderRejected(f"{target.provider} refused the session{said}", provider_code=str(code))
        return ProviderError(closed(target.provider, code), provider_code=str(code))


WIRE: RealtimeWire = GeminiLive()
