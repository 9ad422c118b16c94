"""Google's Gemini API. Source: https://ai.google.dev/api (2026-11)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.providers.contract import Batches, InlineLimits, Provider, for_every_model, key_header
from gateway.providers.wire.gemini import Gemini
from gateway.providers.wire.gemini_batch import LIMITS, GeminiBatch
from gateway.providers.wire.gemini_batch_embed import BatchedEmbedContent
from gateway.providers.wire.gemini_embeddings import BatchEmbedContents
from gateway.providers.wire.gemini_files import GeminiFiles
from gateway.providers.wire.gemini_images import GeminiImages
from gateway.providers.wire.gemini_media import READS, YOUTUBE
from gateway.providers.wire.gemini_speech import GeminiSpeech
from gateway.providers.wire.gemini_transcript import GeminiTranscript
from gateway.providers.wire.imagen import Imagen
from gateway.providers.wire.standard_callback import StandardCallback, last_part
from gateway.providers.wire.veo import Veo

# Objects that were registered with the account: https://ai.google.dev/gemini-api/docs/file-input-methods. Files that
# were uploaded to it are no client's to name: all tenants' are in one account.
OWN_URLS = ("gs://",)

# https://ai.google.dev/gemini-api/docs/image-understanding and /audio say 20 MB of request, /file-input-methods says
# 100 MB (50 MB with a PDF): what is between the two is uploaded.
INLINE = InlineLimits(request_bytes=20 * 10**6, reads=READS)

# Of a video that fails nothing is told, so nobody waits longer than the six minutes that Veo says it takes at most:
# https://ai.google.dev/gemini-api/docs/webhooks, https://ai.google.dev/gemini-api/docs/veo
CALLBACK = StandardCallback(waits_s={"videos": 360}, ends={"video.generated": "completed"}, name_of=last_part)

BATCHES = Batches(
    chat={"generate_content": GeminiBatch(Gemini())},
    embeddings={
        "embed_content": GeminiBatch(
            BatchedEmbedContent(), "asyncBatchEmbedContent", replace(LIMITS, inputs_per_item=1)
        )
    },
    images={"generate_content": GeminiBatch(GeminiImages())},
)

PROVIDER = Provider(
    name="google",
    base_url="https://generativelanguage.googleapis.com",
    wires={"generate_content": Gemini()},
    embeddings={"embed_content": BatchEmbedContents()},
    images={"generate_content": GeminiImages(), "imagen": Imagen(prefix="/v1beta")},
    batches=BATCHES,
    videos={"videos": Veo()},
    speech={"generate_content": GeminiSpeech()},
    transcriptions={"generate_content": GeminiTranscript()},
    realtime={"realtime": "gemini_live"},
    authorize=key_header("x-goog-api-key"),
    own_urls=OWN_URLS,
    public_urls=YOUTUBE,
    inline=for_every_model(INLINE),
    files=GeminiFiles(),
    callback=CALLBACK,
)
