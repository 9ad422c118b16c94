"""Google's Vertex AI: Gemini, and Claude as Google hosts it.

Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai,
https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview (2026-11).

The owner sets `project`, `location` (without it: global) and, where it matters, `api_version`. A service account's key
file stored as `api_key` is exchanged for access tokens (`adapters/google_token.py`); anything else there is an API key,
with which the express mode needs no project.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, DocumentPart, FilePart, ImagePart, ImageUrlPart, Part
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import Credential, HttpRequest
from gateway.model.provider_errors import ProviderError
from gateway.providers.contract import InlineLimits, Provider, Target
from gateway.providers.wire.anthropic_content import READS as CLAUDE_READS
from gateway.providers.wire.anthropic_messages import AnthropicMessages
from gateway.providers.wire.gemini import Gemini
from gateway.providers.wire.gemini_embeddings import EmbedContent, PredictEmbeddings
from gateway.providers.wire.gemini_images import GeminiImages
from gateway.providers.wire.gemini_media import READS as GEMINI_READS
from gateway.providers.wire.gemini_media import YOUTUBE
from gateway.providers.wire.gemini_speech import GeminiSpeech
from gateway.providers.wire.hosted import Hosted, HostedEmbeddings, HostedImages, HostedSpeech
from gateway.providers.wire.imagen import Imagen

PUBLIC = "https://aiplatform.googleapis.com"
GLOBAL = "global"
MULTI_REGIONS = frozenset({"us", "eu"})
REFERENCES = ("gs://", "https://")
# As the service account that the owner stored: https://cloud.google.com/vertex-ai/generative-ai/docs/access-control
OWN_URLS = ("gs://",)


def token_or_key(request: HttpRequest, credential: Credential, _now_s: float) -> HttpRequest:
    """Raises ProviderError (502) rather than send a service account's private key."""
    if credential.access_token is not None:
        said = {"authorization": f"Bearer {credential.access_token.reveal()}"}
    elif (key := credential.api_key.reveal()).lstrip().startswith("{"):
        raise ProviderError("No access token for vertex is available.")
    else:
        said = {"x-goog-api-key": key} if key else {}
    return replace(request, headers={**request.headers, **said})


def _host(target: Target) -> str:
    """Every location has its own, unless the owner says which to use."""
    location = target.settings.get("location", GLOBAL)
    if target.base_url != PUBLIC or location == GLOBAL:
        return target.base_url
    if location in MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _below(target: Target, version: str) -> str:
    """Where the publishers of models are: below the project and its location, in express mode below the version."""
    root = f"{_host(target)}/{target.settings.get('api_version', version)}"
    if project := target.settings.get("project"):
        location = target.settings.get("location", GLOBAL)
        root += f"/projects/{quote(project, safe='')}/locations/{quote(location, safe='')}"
    return root


def _google(target: Target) -> str:
    """The version is the one that Google's own SDK takes."""
    return f"{_below(target, 'v1beta1')}/publishers/google"


def _anthropic(target: Target) -> str:
    """The version is the one that Anthropic's SDK takes."""
    return f"{_below(target, 'v1')}/publishers/anthropic"


def _for_gemini(call: ChatCall, target: Target) -> ChatCall:
    """Stored replies and uploaded files are the Gemini API's alone."""
    if call.store:
        raise CapabilityNotSupported(f"{target.provider} stores no replies.", param="store")
    for where, part in _parts(call):
        uploaded = part.file.file_id if isinstance(part, FilePart) else None
        if uploaded is not None and not uploaded.startswith(REFERENCES):
            raise CapabilityNotSupported(f"{target.provider} keeps no files.", param=f"{where}.file.file_id")
    return call if call.store is None else msgspec.structs.replace(call, store=None)


def _for_claude(call: ChatCall, target: Target) -> ChatCall:
    """Source: https://github.com/anthropics/anthropic-sdk-typescript/issues/1038 ("URL sources are not supported")."""
    for where, part in _parts(call):
        if not (_url(part) or "data:").startswith("data:"):
            raise CapabilityNotSupported(f"Claude on {target.provider} takes data: URLs only.", param=where)
    return call


def _url(part: Part) -> str | None:
    if isinstance(part, ImagePart | DocumentPart):
        return part.url
    if isinstance(part, ImageUrlPart):
        return part.image_url.url
    return part.file.file_data if isinstance(part, FilePart) else None


def _parts(call: ChatCall) -> Iterator[tuple[str, Part]]:
    for index, message in enumerate(call.messages):
        if isinstance(message.content, list):
            for position, part in enumerate(message.content):
                yield f"messages[{index}].content[{position}]", part


CLAUDE = AnthropicMessages(
    path="/models/{model}:rawPredict",
    stream_path="/models/{model}:streamRawPredict",
    version="vertex-2023-10-16",
    version_in_body=True,
    model_in_body=False,
)

# "Unknown name "id" at 'contents[1].parts[0].function_call'": https://github.com/vercel/ai/issues/15664
GEMINI = Gemini(prefix="", call_ids=False)

# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#blob: 7 MB an image.
GEMINI_INLINE = InlineLimits(part_bytes={"image": 7 * 2**20}, reads=GEMINI_READS)
# https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai: 30 MB a request,
# https://platform.claude.com/docs/en/build-with-claude/vision: 5 MB of base64 an image.
CLAUDE_INLINE = InlineLimits(request_bytes=30 * 2**20, part_bytes={"image": 5 * 2**20 * 3 // 4}, reads=CLAUDE_READS)


def inline(facts: ModelFacts) -> InlineLimits:
    """There is no API for files; larger media have to lie in Cloud Storage."""
    return CLAUDE_INLINE if facts.api == "messages" else GEMINI_INLINE


PROVIDER = Provider(
    name="vertex",
    base_url=PUBLIC,
    wires={
        "generate_content": Hosted(GEMINI, base_url=_google, adapt=_for_gemini),
        "messages": Hosted(CLAUDE, base_url=_anthropic, adapt=_for_claude),
    },
    embeddings={
        "embed_content": HostedEmbeddings(EmbedContent(), base_url=_google),
        "predict": HostedEmbeddings(PredictEmbeddings(), base_url=_google),
    },
    images={
        "generate_content": HostedImages(GeminiImages(prefix=""), base_url=_google),
        "imagen": HostedImages(Imagen(), base_url=_google),
    },
    speech={"generate_content": HostedSpeech(GeminiSpeech(prefix=""), base_url=_google)},
    authorize=token_or_key,
    own_urls=OWN_URLS,
    public_urls=YOUTUBE,
    inline=inline,
)
