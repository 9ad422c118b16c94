"""OpenAI. Source: https://platform.openai.com/docs/api-reference (2026-11)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.media_type import DOCX, PPTX, XLSX
from gateway.providers.contract import PDF, TEXT, WEB_IMAGES, Batches, InlineLimits, Provider, for_every_model
from gateway.providers.wire.openai_background import OpenAiBackground
from gateway.providers.wire.openai_batch import LIMITS, OpenAiBatch
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings
from gateway.providers.wire.openai_images import OpenAiImages
from gateway.providers.wire.openai_responses import OpenAiResponses
from gateway.providers.wire.openai_speech import OpenAiSpeech
from gateway.providers.wire.openai_transcriptions import OpenAiTranscriptions
from gateway.providers.wire.standard_callback import StandardCallback

CHAT = Quirks(
    developer_role=True,
    refusals=True,
    obfuscation=True,
    documents="file",
    audio="input_audio",
)

# https://developers.openai.com/api/docs/guides/images-vision#image-input-requirements, /audio: wav and mp3,
# /file-inputs: chat completions read PDFs, responses these as well.
INLINE = InlineLimits(
    reads={
        "image": WEB_IMAGES,
        "audio": ("audio/wav", "audio/mpeg"),
        "document": (PDF, TEXT, DOCX, XLSX, PPTX, "application/msword", "application/vnd.ms-", "application/rtf"),
    }
)

EMBEDDINGS = OpenAiEmbeddings(tokens=True, lacks=frozenset({"metadata"}))
IMAGES = OpenAiImages()

# Of embeddings "a maximum of 50,000 embedding inputs across all requests in the batch":
# https://developers.openai.com/api/reference/resources/batches/methods/create
BATCHES = Batches(
    chat={
        "chat_completions": OpenAiBatch(OpenAiChat(CHAT), "/v1/chat/completions"),
        "responses": OpenAiBatch(OpenAiResponses(), "/v1/responses"),
    },
    embeddings={
        "embeddings": OpenAiBatch(
            EMBEDDINGS, "/v1/embeddings", replace(LIMITS, inputs=50_000, inputs_per_item=EMBEDDINGS.max_inputs)
        )
    },
    images={"images": OpenAiBatch(IMAGES, "/v1/images/generations")},
)

# Of responses in the background: https://platform.openai.com/docs/api-reference/webhook-events
CALLBACK = StandardCallback(
    waits_s={"chat": 240},  # kept for ten minutes: https://developers.openai.com/api/docs/guides/background
    ends={
        "response.completed": "completed",
        "response.incomplete": "completed",
        "response.failed": "failed",
        "response.cancelled": "cancelled",
    },
)

PROVIDER = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    wires={"chat_completions": OpenAiChat(CHAT), "responses": OpenAiResponses()},
    background={"responses": OpenAiBackground()},
    embeddings={"embeddings": EMBEDDINGS},
    images={"images": IMAGES},
    batches=BATCHES,
    transcriptions={"transcriptions": OpenAiTranscriptions()},
    speech={"speech": OpenAiSpeech()},
    realtime={"realtime": "openai_realtime"},
    inline=for_every_model(INLINE),
    documents_api="responses",
    callback=CALLBACK,
)
