"""How each kind of remote hook is reached. Causes of failures are codes, for the operator and the client alike."""

from __future__ import annotations

from msgspec import Struct

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.hook_secrets import HookSecrets
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.guarded_fetch.post import GuardedPost
from gateway.adapters.guarded_fetch.refusal import NotFetched
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.hooks.remote import MAX_BYTES
from gateway.hooks.signature import signed_headers
from gateway.model.hook import GuardrailHook, HookFailed, HookMessage, LambdaHook, RemoteHook, WebhookHook
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.ports import Clock, Credentials
from gateway.providers.contract import base_url_of
from gateway.providers.lookup import provider_named

BEDROCK = "bedrock"
_JSON = {"content-type": "application/json", "accept": "application/json"}


class Functions(Struct, frozen=True):
    api: LambdaApi

    async def ask(self, hook: LambdaHook, message: HookMessage) -> bytes:
        try:
            return await self.api.invoke(hook.function, message.body, hook.timeout_ms / 1000, MAX_BYTES)
        except AwsFailure as failure:
            raise HookFailed(failure.code) from failure


class Webhooks(Struct, frozen=True):
    post: GuardedPost
    secrets: HookSecrets
    clock: Clock

    async def ask(self, hook: WebhookHook, message: HookMessage) -> bytes:
        secrets = await self.secrets.find(message.tenant_id, hook.id)
        signed = signed_headers(message.id, int(self.clock.now_s()), message.body, secrets)
        try:
            answer = await self.post.send(hook.url, {**_JSON, **signed}, message.body, MAX_BYTES)
        except NotFetched as refusal:
            raise HookFailed(refusal.code) from refusal
        return _good(answer)


class Guardrails(Struct, frozen=True):
    """Where Bedrock is called for chat, and with the same credential."""

    credentials: Credentials
    client: HttpClient
    clock: Clock

    async def ask(self, hook: GuardrailHook, message: HookMessage) -> bytes:
        try:
            request = await self._request(hook, message.body)
            return _good(await self.client.send(request, hook.timeout_ms / 1000, MAX_BYTES))
        except ProviderError as error:
            raise HookFailed("no_credential") from error
        except HttpFailure as failure:
            raise HookFailed("unreachable") from failure

    async def _request(self, hook: GuardrailHook, body: bytes) -> HttpRequest:
        provider = provider_named(BEDROCK)
        credential = await self.credentials.find(BEDROCK)
        path = f"/guardrail/{hook.guardrail_id}/version/{hook.version}/apply"
        request = HttpRequest("POST", base_url_of(provider, credential) + path, _JSON, body)
        return provider.authorize(request, credential, self.clock.now_s())


class RemoteHooksByKind(Struct, frozen=True):
    functions: Functions
    webhooks: Webhooks
    guardrails: Guardrails

    async def ask(self, hook: RemoteHook, message: HookMessage) -> bytes:
        if isinstance(hook, LambdaHook):
            return await self.functions.ask(hook, message)
        if isinstance(hook, WebhookHook):
            return await self.webhooks.ask(hook, message)
        return await self.guardrails.ask(hook, message)


def _good(answer: HttpResponse) -> bytes:
    if answer.status != 200:
        raise HookFailed(f"status_{answer.status}")
    return answer.body
