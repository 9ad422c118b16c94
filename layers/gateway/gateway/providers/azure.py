"""Azure OpenAI and the other models of Microsoft Foundry; a model is called by the name of its deployment.

Sources: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle,
https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry (2026-11).

The owner sets `resource`, or `base_url` (".../openai/v1"). With a dated `api_version` calls go to the older API of that
version: below "/deployments/<model>", or as they are where the base URL ends in "/models".
"""

from __future__ import annotations

from urllib.parse import quote

from msgspec.structs import replace

from gateway.providers.contract import PDF, TEXT, InlineLimits, Provider, Target, for_every_model, key_header
from gateway.providers.wire.anthropic_messages import AnthropicMessages
from gateway.providers.wire.hosted import Hosted, HostedEmbeddings, HostedImages
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings
from gateway.providers.wire.openai_images import OpenAiImages
from gateway.providers.wire.openai_responses import STANDARD, OpenAiResponses

CHAT = Quirks(
    # Missing in https://github.com/Azure/azure-rest-api-specs/tree/main/specification/ai/data-plane/OpenAI.v1
    lacks=frozenset({"top_k", "web_search_options"}),
    developer_role=True,
    refusals=True,
    obfuscation=True,
    documents="file",
    audio="input_audio",
    # https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter-annotations
    extra=("prompt_filter_results", "content_filter_results"),
)
# https://github.com/Azure/azure-rest-api-specs/tree/main/specification/ai/data-plane/OpenAI.v1
EMBEDDINGS = OpenAiEmbeddings(tokens=True, lacks=frozenset({"metadata"}))
RESPONSES = replace(STANDARD, extra=("content_filters",))


def _version(target: Target) -> str:
    return target.settings.get("api_version", "")


def _query(target: Target) -> str:
    return f"?api-version={quote(_version(target), safe='')}" if _version(target) else ""


def _older(target: Target) -> str:
    """Without the "/v1" of the current API where the version is a date; "preview" and the like are versions of it."""
    return target.base_url.removesuffix("/v1") if _version(target)[:1].isdigit() else target.base_url


def _deployment(target: Target) -> str:
    base_url = _older(target)
    if not base_url.endswith("/openai"):
        return base_url
    return f"{base_url}/deployments/{quote(target.model.id, safe='')}"


def _claude(target: Target) -> str:
    """Beside the OpenAI APIs, on the resource's other host name."""
    resource = target.base_url.removesuffix("/v1")
    for api in ("/openai", "/models", "/anthropic"):
        resource = resource.removesuffix(api)
    return resource.replace(".openai.azure.com", ".services.ai.azure.com") + "/anthropic"


# https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/responses#file-input: PDFs.
INLINE = InlineLimits(reads={"document": (PDF, TEXT)})

PROVIDER = Provider(
    name="azure",
    base_url="https://{resource}.openai.azure.com/openai/v1",
    wires={
        "chat_completions": Hosted(OpenAiChat(CHAT), base_url=_deployment, query=_query),
        "responses": Hosted(OpenAiResponses(RESPONSES), base_url=_older, query=_query),
        "messages": Hosted(AnthropicMessages(), base_url=_claude),
    },
    embeddings={"embeddings": HostedEmbeddings(EMBEDDINGS, base_url=_deployment, query=_query)},
    images={"images": HostedImages(OpenAiImages(), base_url=_deployment, query=_query)},
    authorize=key_header("api-key"),
    inline=for_every_model(INLINE),
)
