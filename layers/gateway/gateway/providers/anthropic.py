"""Anthropic. Source: https://platform.claude.com/docs/en/api/overview (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Batches, InlineLimits, Provider, for_every_model, key_header
from gateway.providers.wire.anthropic_batch import AnthropicBatch
from gateway.providers.wire.anthropic_content import READS
from gateway.providers.wire.anthropic_files import AnthropicFiles
from gateway.providers.wire.anthropic_messages import AnthropicMessages

# https://platform.claude.com/docs/en/api/overview#request-size-limits: 32 MB a request,
# https://platform.claude.com/docs/en/build-with-claude/vision: 10 MB of base64 an image.
INLINE = InlineLimits(request_bytes=32 * 10**6, part_bytes={"image": 7_500_000}, reads=READS)
MESSAGES = AnthropicMessages()


PROVIDER = Provider(
    name="anthropic",
    base_url="https://api.anthropic.com",
    wires={"messages": MESSAGES},
    authorize=key_header("x-api-key"),
    inline=for_every_model(INLINE),
    batches=Batches(chat={"messages": AnthropicBatch(MESSAGES)}),
    files=AnthropicFiles(MESSAGES.version),
)
