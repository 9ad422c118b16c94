"""The matrix of docs/capabilities.md: which models stand for a provider, and what has to come of every cell.

No request is made here: tests/e2e/test_matrix.py proves what this says, scripts/write_capabilities.py prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.model.catalog import ModelFacts, ProviderCatalog
from scripts.catalog_overlay import Change, read_overlays
from tests.e2e.forms import (
    ChatForm,
    CohereForm,
    ConverseForm,
    Form,
    GeminiForm,
    MessagesForm,
    ResponsesForm,
    VertexForm,
)

CATALOG = Path(__file__).parents[2] / "shared" / "catalog"
CHAT_APIS = ("chat_completions", "messages", "generate_content", "converse", "cohere_chat", "responses")
MEDIA = ("image", "document", "audio", "video")
CELLS = MappingProxyType(
    {
        "tools": "tools",
        "parallel_tools": "parallel tools",
        "tool_results": "tool results",
        "structured_output": "structured output",
        "image": "three images",
        "document": "document",
        "text": "text document",
        "word": "Word document",
        "audio": "audio",
        "video": "video",
        "reasoning": "reasoning over turns",
    }
)
"""With the heading of each."""
NEEDED = MappingProxyType(
    {**dict.fromkeys(("tools", "parallel_tools", "tool_results"), "tools"), "reasoning": "reasoning"}
)
PARAMS = MappingProxyType(
    {**dict.fromkeys((*MEDIA, "text", "word"), "messages[0].content[1]"), "reasoning": "reasoning_effort"}
)
"""The parameter that a refusal names, where it is not `tools`."""

Reasoning = Literal["signed", "encrypted", "blocks", "text", "shown", "counted", ""]
REASONING: Mapping[str, str] = MappingProxyType(
    {
        "signed": "goes back with its signature, byte by byte as it came",
        "encrypted": "goes back encrypted, byte by byte as it came; not to be read",
        "blocks": "goes back as the provider's own blocks",
        "text": "goes back as text",
        "shown": "can be read; the provider takes none back",
        "counted": "is counted only; the provider neither shows it nor takes it back",
    }
)
SCHEMAS: Mapping[str, str] = MappingProxyType(
    {
        "native": "the provider is given the schema and holds the reply to it",
        "tool": "the model has to call one tool, whose arguments are the reply",
        "prompt": "a system message demands it",
    }
)
"""The gateway holds every reply against the schema, whichever way it was asked for."""


@dataclass(frozen=True)
class Row:
    """`why` this model. `schema`: how it is asked for, a key of SCHEMAS. `reasoning`: what becomes of it, a key of
    REASONING, "" for a model without.

    `streamed_schema`: in place of `schema`, when streamed, where that makes a difference.
    `tools_form`: that of a call with tools, where another API takes them (`tools_api` of the catalog);
    `word_form`: that of one with a Word document (`documents_api` of the provider).
    `asks`: the members of the request that ask for reasoning.
    """

    provider: str
    model: str
    why: str
    form: Form
    schema: Literal["native", "tool", "prompt"] = "native"
    reasoning: Reasoning = ""
    asks: Mapping[str, Any] = field(default_factory=lambda: {"reasoning_effort": "high"})
    tools_form: Form | None = None
    word_form: Form | None = None
    streamed_schema: Literal["", "tool", "prompt"] = ""

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def facts(self) -> ModelFacts:
        return next(facts for facts in chat_models(self.provider) if facts.id == self.model)


class Refusal(NamedTuple):
    """With 400 `capability_not_supported`. `source`: where it says that the model lacks it."""

    param: str
    source: str


NO_WORD: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "https://platform.claude.com/docs/en/build-with-claude/files#file-types-and-content-blocks",
        "azure": "https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/responses#file-input",
        "google": "https://github.com/googleapis/python-genai/issues/829",
        "openrouter": "https://openrouter.ai/docs/features/multimodal/pdfs",
        "vertex": "https://github.com/googleapis/python-genai/issues/829",
    }
)
"""Who reads documents, but none of Word, and who says so."""

LEVELS = "pictures, PDFs, levels of reasoning"
MOST = "takes what any of its models takes"
CLAUDE, GEMINI, CONVERSE, RESPONSES = MessagesForm(), GeminiForm(), ConverseForm(), ResponsesForm()
PLAIN = ChatForm()
FILES = ChatForm(document_as="file")
MISTRAL = ChatForm(returned="content", document_as="document_url")
OPENROUTER = ChatForm(returned="reasoning_details", document_as="file")
IN_REASONING, IN_REASONING_CONTENT = ChatForm(returned="reasoning"), ChatForm(returned="reasoning_content")

KIMI_ASKS = {"provider_options": {"together": {"reasoning": {"enabled": True}}}}
QWEN_ASKS = {"provider_options": {"vllm": {"chat_template_kwargs": {"enable_thinking": True}}}}
NOVA_ASKS = {"reasoning_effort": "medium"}  # at "high" it takes no output limit
FIREWORKS = "accounts/fireworks/models"

ROWS = (
    Row("openai", "gpt-5.5", LEVELS, FILES, reasoning="encrypted", tools_form=RESPONSES, word_form=RESPONSES),
    Row("openai", "gpt-5", LEVELS, FILES, reasoning="counted", word_form=RESPONSES),
    Row("openai", "gpt-5.3-codex", "spoken to through Responses", RESPONSES, reasoning="encrypted"),
    Row("openai", "gpt-audio", "hears", PLAIN, "tool"),
    Row("anthropic", "claude-sonnet-4-6", f"{MOST}; thinks at a level", CLAUDE, reasoning="signed"),
    Row("anthropic", "claude-haiku-4-5", f"{MOST}; thinks within a budget", CLAUDE, reasoning="signed"),
    Row("google", "gemini-3.5-flash", f"{MOST}; thinks at a level, signs calls", GEMINI, reasoning="signed"),
    Row("google", "gemini-2.5-flash", f"{MOST}; thinks within a budget, calls without id", GEMINI, reasoning="shown"),
    Row("bedrock", "anthropic.claude-sonnet-4-6", "Claude's parameters", CONVERSE, reasoning="signed"),
    Row("bedrock", "amazon.nova-2-lite-v1:0", "sees video; Nova's parameters", CONVERSE, "tool", "signed", NOVA_ASKS),
    Row("bedrock", "mistral.voxtral-small-24b-2507", "hears", CONVERSE),
    Row("azure", "gpt-5.5", LEVELS, FILES, reasoning="encrypted", tools_form=RESPONSES),
    Row("azure", "gpt-5", LEVELS, FILES, reasoning="counted"),
    Row("azure", "gpt-5.3-codex", "spoken to through Responses", RESPONSES, reasoning="encrypted"),
    Row("azure", "claude-sonnet-4-6", "Anthropic's API beside OpenAI's", CLAUDE, reasoning="signed"),
    Row("azure", "phi-4-multimodal", "hears", PLAIN, "prompt"),
    Row("vertex", "gemini-3.5-flash", MOST, VertexForm(), reasoning="signed"),
    Row("vertex", "claude-haiku-4-5@20251001", "Anthropic's API at Google", CLAUDE, "tool", "signed"),
    Row("mistral", "mistral-medium-2604", "all but sound", MISTRAL, reasoning="blocks"),
    Row("mistral", "voxtral-small-latest", "hears", ChatForm(bare_audio=True)),
    Row("cohere", "command-a-plus-05-2026", MOST, CohereForm(), reasoning="blocks"),
    Row("groq", "openai/gpt-oss-120b", "reasons", IN_REASONING, reasoning="text", streamed_schema="prompt"),
    Row("groq", "qwen/qwen3-32b", "thinks within its content", IN_REASONING, "prompt", "text", {}),
    Row("groq", "meta-llama/llama-4-scout-17b-16e-instruct", "sees", PLAIN, streamed_schema="tool"),
    Row("deepseek", "deepseek-v4-pro", MOST, IN_REASONING_CONTENT, "prompt", "text"),
    Row("xai", "grok-4.3", MOST, PLAIN, reasoning="shown"),
    Row("together", "moonshotai/Kimi-K2.6", MOST, PLAIN, "native", "shown", KIMI_ASKS),
    Row("together", "deepseek-ai/DeepSeek-V4-Pro", "levels of reasoning", PLAIN, reasoning="shown"),
    Row("fireworks", f"{FIREWORKS}/qwen3p7-plus", MOST, IN_REASONING_CONTENT, "prompt", "text"),
    Row("fireworks", f"{FIREWORKS}/deepseek-v4-pro", "a schema natively", IN_REASONING_CONTENT, "native", "text"),
    Row("openrouter", "google/gemini-2.5-flash", MOST, OPENROUTER, reasoning="blocks"),
    Row("perplexity", "sonar-reasoning-pro", MOST, ChatForm(document_as="file_url"), reasoning="shown"),
    Row("cerebras", "gpt-oss-120b", f"{MOST}; levels of reasoning", IN_REASONING, reasoning="text"),
    Row("ollama", "qwen3-vl", MOST, IN_REASONING, reasoning="text"),
    Row("vllm", "Qwen/Qwen3-Omni-30B-A3B-Thinking", MOST, IN_REASONING, "native", "text", QWEN_ASKS),
    Row("huggingface", "moonshotai/Kimi-K2.6", "sees pictures and video", PLAIN, "prompt", "shown"),
    Row("huggingface", "openai/gpt-oss-120b", "levels of reasoning", PLAIN, reasoning="shown"),
)


@cache
def chat_models(provider: str) -> tuple[ModelFacts, ...]:
    """Those of the provider's catalog that chat and are still served."""
    catalog = msgspec.json.decode((CATALOG / f"{provider}.json").read_bytes(), type=ProviderCatalog)
    return tuple(
        facts
        for facts in catalog.models
        if facts.api in CHAT_APIS and facts.lifecycle != "deprecated" and facts.shutdown is None
    )


def takes(facts: ModelFacts, cell: str) -> bool:
    """What the catalog says. Every model can be held to a schema, by one way or another."""
    if cell in MEDIA:
        return cell in facts.input
    if cell in ("text", "word"):
        return "document" in facts.input
    return cell == "structured_output" or NEEDED[cell] in facts.capabilities


def refusal(row: Row, cell: str) -> Refusal | None:
    """None where the cell has to pass."""
    if takes(row.facts, cell):
        return Refusal(PARAMS[cell], NO_WORD[row.provider]) if cell == "word" and row.provider in NO_WORD else None
    if cell in ("text", "word"):
        return refusal(row, "document")
    return Refusal(PARAMS.get(cell, "tools"), source_of(row, NEEDED.get(cell, cell)))


def source_of(row: Row, fact: str) -> str:
    """Where a modality or capability of the model was read: with the overlay's last change to it, else with the row."""
    overlay = next(overlay for overlay in read_overlays(CATALOG / "overlay") if overlay.provider == row.provider)
    found = row.facts.source
    for patch in overlay.patches:
        if any(fnmatchcase(row.model, pattern) for pattern in patch.match) and _is_about(patch, fact):
            found = patch.source
    return found


def _is_about(change: Change, fact: str) -> bool:
    all_media = change.input is not msgspec.UNSET and fact in MEDIA
    return all_media or fact in (*change.add_input, *change.remove_input, *change.add, *change.remove)
