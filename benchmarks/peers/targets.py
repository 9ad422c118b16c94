"""What is measured beside the gateway: what each peer is, how it is started, and how it is asked.

A peer is one entry of `PEERS` and a folder with its lock file. In its strings {home} is where it is installed, {here}
this folder, {port} the port that it shall listen on, {provider} the provider's base URL (.../v1), {key} the key that
clients show, and {out} a folder of its own. One that chooses its own port writes its base URL to {out}/url.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.install import LITELLM, PORTKEY, TENSORZERO, Installation
from benchmarks.scenarios import Endpoint

HERE = Path(__file__).parent
DIRECT, OURS, STACK = "direct", "gateway", "gateway-stack"
KEY = "sk-" + "p" * 40


@dataclass(frozen=True, slots=True)
class Peer:
    """`governs` in three words and `does`: what it does with every request, so that nobody compares unlike things.
    `model_prefixes`: before the provider's name of a model, by the path of the endpoint.
    """

    name: str
    title: str
    governs: str
    does: str
    installation: Installation
    command: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer {key}"})
    variables: dict[str, str] = field(default_factory=dict)
    model_prefixes: dict[str, str] = field(default_factory=dict)

    def model(self, endpoint: Endpoint) -> str:
        return self.model_prefixes.get(endpoint.path, "") + endpoint.model


_LITELLM_VARIABLES = {
    "PROVIDER_URL": "{provider}",
    "LITELLM_MASTER_KEY": "{key}",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Source: https://docs.litellm.ai/docs/proxy/prod. The last one: it asks the internet for prices otherwise."""


def _litellm(config: str) -> tuple[str, ...]:
    where = ("--host", "127.0.0.1", "--port", "{port}", "--num_workers", "1", "--telemetry", "False")
    return "{home}/bin/python", "{home}/bin/litellm", "--config", f"{{here}}/litellm/{config}", *where


PEERS = (
    Peer(
        "litellm-limits",
        "LiteLLM, governed",
        "in memory",
        "One key with budgets of its models and limits, counted in memory, without its database; no audit log",
        LITELLM,
        _litellm("limited.yaml"),
        variables=_LITELLM_VARIABLES,
    ),
    Peer(
        "litellm",
        "LiteLLM",
        "no",
        "One master key; no budgets, no limits, no database",
        LITELLM,
        _litellm("keyed.yaml"),
        variables=_LITELLM_VARIABLES,
    ),
    Peer(
        "portkey",
        "Portkey",
        "no",
        "Forwards by headers; no keys, no budgets, no limits",
        PORTKEY,
        ("node", "{home}/node_modules/@portkey-ai/gateway/build/start-server.js", "--headless", "--port={port}"),
        headers={
            "Authorization": "Bearer sim-openai",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": "{provider}",
        },
        variables={"NODE_ENV": "production"},
    ),
    Peer(
        "tensorzero",
        "TensorZero",
        "no",
        "Routes; no keys, no budgets, no limits, its records (observability) off",
        TENSORZERO,
        ("{home}/bin/python", "{here}/tensorzero/serve.py", "{provider}", "{out}"),
        model_prefixes={
            "/chat/completions": "tensorzero::model_name::",
            "/embeddings": "tensorzero::embedding_model_name::",
        },
    ),
)
FIRST_PIECE = "first token of a stream"
ODDITIES = {("portkey", FIRST_PIECE): "Portkey waits 25 ms before it passes on the first piece of a stream."}
"""What a figure is made of that the work for a request is not: by the peer's name and words of the metric's name."""
OURS_TITLE = "this gateway"
OURS_GOVERNS = "all of it"
OURS_DOES = "Key, rights, budget and limits held and settled, a record of usage, two entries in the audit log"
LEFT_OUT = {
    "otari (any-llm)": "its package on PyPI is a client; the gateway is not in any package",
    "Bifrost": "its package on npm has no program, but downloads one from its maker",
    "Bedrock Access Gateway": "is in no package",
}
"""Of the field, and not in a registry: no run can have them."""
