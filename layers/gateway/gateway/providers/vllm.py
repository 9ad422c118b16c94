"""vLLM, on a server of the owner's. Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings

CHAT = Quirks(
    # Missing in, or ignored by,
    # https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/openai/chat_completion/protocol.py
    lacks=frozenset(
        {"verbosity", "service_tier", "modalities", "audio", "prediction", "web_search_options", "prompt_cache_key"}
        | {"safety_identifier", "store", "metadata", "user"}
    ),
    reasoning="reasoning",  # same source
    audio="input_audio",  # https://docs.vllm.ai/en/latest/features/multimodal_inputs.html
    video="video_url",  # same page
)

# https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/pooling/embed/protocol.py
EMBEDDINGS = OpenAiEmbeddings(tokens=True, max_inputs=None, lacks=frozenset({"metadata"}))

PROVIDER = Provider(
    name="vllm",
    base_url=None,
    wires={"chat_completions": OpenAiChat(CHAT)},
    embeddings={"embeddings": EMBEDDINGS},
)
