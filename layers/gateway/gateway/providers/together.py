"""Together AI. Source: https://docs.together.ai/reference/chat-completions-1 (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings
from gateway.providers.wire.openai_images import OpenAiImages

CHAT = Quirks(
    # Missing in https://github.com/togethercomputer/together-py/blob/main/src/together/types/chat/completion_create_params.py;
    # its `logprobs` is a number and its reply has another shape, so OpenAI's is not offered.
    lacks=frozenset(
        {"logprobs", "top_logprobs", "parallel_tool_calls", "verbosity", "service_tier", "modalities", "audio"}
        | {"prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store", "metadata", "user"}
    ),
    reasoning_off={"reasoning": {"enabled": False}},  # https://docs.together.ai/docs/inference/chat/reasoning
    stop_as_list=True,  # same source
    audio="input_audio",  # same source
    video="video_url",  # same source
    cached_tokens="cached_tokens",  # as recorded: a member of usage itself
)

# https://docs.together.ai/reference/embeddings: model and input, and no limit of their number
EMBEDDINGS = OpenAiEmbeddings(dimensions="", encodings=frozenset())

# https://docs.together.ai/reference/post-images-generations: n is at most 4, and there is no `user`
IMAGES = OpenAiImages(max_images=4, size="sides", base64="base64", user=False)

PROVIDER = Provider(
    name="together",
    base_url="https://api.together.xyz/v1",
    wires={"chat_completions": OpenAiChat(CHAT)},
    embeddings={"embeddings": EMBEDDINGS},
    images={"images": IMAGES},
)
