"""What the environment and `.env` say about a run: the port, and which providers are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.console import Problem

DEFAULT_PORT = 8080
_TEMPLATE = "TEMPLATE_"
PROVIDERS = (
    "openai",
    "anthropic",
    "google",
    "bedrock",
    "azure",
    "vertex",
    "huggingface",
    "mistral",
    "cohere",
    "groq",
    "deepseek",
    "xai",
    "together",
    "fireworks",
    "openrouter",
    "perplexity",
    "runway",
    "cerebras",
    "ollama",
    "vllm",
    "voyage",
    "deepgram",
    "elevenlabs",
)
# What else an owner sets, of providers whose address depends on him: AZURE_RESOURCE, VERTEX_PROJECT, ...
SETTINGS = {
    "azure": ("resource", "api_version"),
    "bedrock": ("region",),
    "vertex": ("project", "location", "api_version"),
}


@dataclass(frozen=True)
class Credential:
    """How to reach one provider. `base_url` means what it means to the official SDK; None is the default one."""

    api_key: str
    base_url: str | None
    settings: Mapping[str, str] = field(default_factory=dict)

    def as_secret(self) -> dict[str, str]:
        """The JSON object that functions read from Secrets Manager."""
        return {"api_key": self.api_key, **({"base_url": self.base_url} if self.base_url else {}), **self.settings}


def read(environment: Mapping[str, str], env_file: Path) -> dict[str, str]:
    """Variables of the environment over those of `env_file`; an empty value counts as unset. Raises Problem."""
    lines = env_file.read_text().splitlines() if env_file.exists() else []
    parsed = [_parse(line, f"{env_file.name}:{number}") for number, line in enumerate(lines, start=1)]
    merged = {name: value for name, value in parsed if value}
    merged.update({name: value for name, value in environment.items() if value})
    return merged


def stack_parameters(variables: Mapping[str, str]) -> dict[str, str]:
    """Parameters of the template in place of those that the local stack has: TEMPLATE_<name>."""
    return {name.removeprefix(_TEMPLATE): value for name, value in variables.items() if name.startswith(_TEMPLATE)}


def port(variables: Mapping[str, str]) -> int:
    """PORT, else 8080; 0 takes a free one. Raises Problem."""
    text = variables.get("PORT", str(DEFAULT_PORT))
    if not text.isdecimal() or int(text) > 65535:
        raise Problem(f"PORT is {text!r}; a number from 1 to 65535 is needed.")
    return int(text)


def real_credentials(variables: Mapping[str, str]) -> dict[str, Credential]:
    """The providers that are real: those with <PROVIDER>_API_KEY or <PROVIDER>_BASE_URL."""
    found = {
        provider: (variables.get(f"{provider.upper()}_API_KEY"), variables.get(f"{provider.upper()}_BASE_URL"))
        for provider in PROVIDERS
    }
    return {
        provider: Credential(key or "", url, _settings(provider, variables))
        for provider, (key, url) in found.items()
        if key or url
    }


def _settings(provider: str, variables: Mapping[str, str]) -> dict[str, str]:
    named = {name: variables.get(f"{provider.upper()}_{name.upper()}") for name in SETTINGS.get(provider, ())}
    return {name: value for name, value in named.items() if value}


def _parse(line: str, place: str) -> tuple[str, str]:
    """NAME=value, `export` before it or not, quotes around the value or not; ("", "") for a blank or a comment."""
    text = line.strip().removeprefix("export ").strip()
    if not text or text.startswith("#"):
        return "", ""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise Problem(f"{place} is not NAME=value.")
    value = value.strip()
    if value[:1] in {'"', "'"}:
        closing = value.find(value[0], 1)
        if closing < 0:
            raise Problem(f"{place}: the quote is not closed.")
        return name.strip(), value[1:closing]
    return name.strip(), value.partition(" #")[0].strip()
