"""OpenAI's responses in the background: begun, asked for until they are finished, cancelled.

Source: https://developers.openai.com/api/docs/guides/background (2026-11). What is not to be stored can be asked for
all the same, for about ten minutes.
"""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from gateway.model.chat import ChatCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.providers.contract import BackgroundState, Target
from gateway.providers.wire.openai_chat_failure import refusal
from gateway.providers.wire.openai_chat_parse import text
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_responses import STANDARD
from gateway.providers.wire.openai_responses_parse import check, decoded, reply_of
from gateway.providers.wire.openai_responses_render import ENCRYPTED_REASONING, encrypts, request_body

UNFINISHED = ("queued", "in_progress")


class OpenAiBackground(Struct, frozen=True):
    quirks: Quirks = STANDARD

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        headers = {"content-type": "application/json", "accept": "application/json"}
        body = request_body(call, target, self.quirks, background=True)
        return HttpRequest("POST", f"{target.base_url}/responses", headers, body)

    def parse(self, response: HttpResponse, target: Target) -> str:
        begun = decoded(response.body, target)
        if begun.error or begun.status not in UNFINISHED:
            check(begun, target, self.quirks)
        if not (remote_id := text(begun.id)):
            raise ProviderError(f"{target.provider} began a response without an id.")
        return remote_id

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        """What is to be included has to be said again."""
        query = f"?include%5B%5D={ENCRYPTED_REASONING}" if encrypts(target) else ""
        return HttpRequest("GET", f"{_place(remote_id, target)}{query}", {"accept": "application/json"})

    def state(self, response: HttpResponse, target: Target) -> BackgroundState:
        whole = decoded(response.body, target)
        if whole.status in UNFINISHED:
            return BackgroundState()
        try:
            return BackgroundState(reply=reply_of(whole, target, self.quirks))
        except ProviderFailure as failure:
            return BackgroundState(failure=failure)

    def cancel(self, remote_id: str, target: Target) -> HttpRequest:
        """Also of one that has ended, which is answered as it ended."""
        return HttpRequest("POST", f"{_place(remote_id, target)}/cancel", {"accept": "application/json"})

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, self.quirks)


def _place(remote_id: str, target: Target) -> str:
    return f"{target.base_url}/responses/{quote(remote_id, safe='')}"
