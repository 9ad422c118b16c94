"""Mistral. Source: https://docs.mistral.ai/api/#tag/chat (2026-11)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.providers.contract import WEB_IMAGES, Batches, InlineLimits, Provider, for_every_model
from gateway.providers.wire.call_ids import CallIds
from gateway.providers.wire.mistral_batch import LIMITS, MistralBatch
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings

CHAT = Quirks(
    # Members the request has not; unknown ones are refused with 422.
    # https://github.com/mistralai/client-python/blob/main/src/mistralai/client/models/chatcompletionrequest.py
    lacks=frozenset(
        {"top_k", "logit_bias", "logprobs", "top_logprobs", "verbosity", "service_tier", "modalities", "audio"}
        | {"web_search_options", "safety_identifier", "store", "user"}
    ),
    renames={"seed": "random_seed"},  # same source
    tool_choices={"required": "any"},  # its own word for it, same source
    stream_usage=False,  # no stream_options; usage comes with the chunk that finishes
    names=False,  # a user message has role and content only: .../models/usermessage.py
    # "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9": https://github.com/langchain-ai/langchain/pull/24668
    call_ids=CallIds(r"[a-zA-Z0-9]{9}", 9),
    user_after_results=False,  # "Unexpected role 'user' after role 'tool'": https://github.com/zed-industries/zed/issues/37021
    empty_answers=False,  # "must have either content or tool_calls": https://github.com/OpenHands/OpenHands/issues/8685
    prefix=True,  # https://docs.mistral.ai/capabilities/completion/prefix
    reasoning_blocks="content",  # https://docs.mistral.ai/capabilities/reasoning
    documents="document_url",  # https://docs.mistral.ai/capabilities/document_ai/document_qna
    audio="input_audio_text",  # https://docs.mistral.ai/capabilities/audio
    cached_tokens="num_cached_tokens",  # older replies say it there, newer ones in prompt_tokens_details
    uncounted="prompt",  # prompt_tokens leaves out the audio that total_tokens includes
)

EMBEDDINGS = OpenAiEmbeddings(
    max_inputs=256,  # as recorded: 257 are "Too many inputs in request"
    dimensions="output_dimension",  # https://docs.mistral.ai/api/endpoint/embeddings
    lacks=frozenset({"user"}),  # same page
)

BATCHES = Batches(
    chat={"chat_completions": MistralBatch(OpenAiChat(CHAT), "/v1/chat/completions")},
    embeddings={
        "embeddings": MistralBatch(EMBEDDINGS, "/v1/embeddings", replace(LIMITS, inputs_per_item=EMBEDDINGS.max_inputs))
    },
)

# https://docs.mistral.ai/capabilities/vision#faq: 10 MB an image, of these types.
INLINE = InlineLimits(part_bytes={"image": 10 * 2**20}, reads={"image": WEB_IMAGES})

PROVIDER = Provider(
    name="mistral",
    base_url="https://api.mistral.ai/v1",
    wires={"chat_completions": OpenAiChat(CHAT)},
    embeddings={"embeddings": EMBEDDINGS},
    batches=BATCHES,
    inline=for_every_model(INLINE),
)
