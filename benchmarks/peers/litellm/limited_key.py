"""What LiteLLM's key may do: its budgets and its limits. Loaded by LiteLLM, named in limited.yaml."""

import os

from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth

MODELS = ("gpt-4o-mini", "text-embedding-3-small")
DAILY_USD = 1_000_000.0


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:  # noqa: ARG001 - LiteLLM's signature
    """Source: https://docs.litellm.ai/docs/proxy/custom_auth"""
    if api_key != os.environ["LITELLM_MASTER_KEY"]:
        raise HTTPException(401, "unknown key")
    return UserAPIKeyAuth(
        api_key=api_key,
        user_id="alice",
        team_id="acme",
        model_max_budget={model: {"budget_limit": DAILY_USD, "time_period": "1d"} for model in MODELS},
        rpm_limit=1_000_000,
        tpm_limit=10**12,
        max_parallel_requests=1_000,
    )
