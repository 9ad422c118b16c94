"""What LiteLLM's key may do: its budget and its limits. Loaded by LiteLLM, named in limited.yaml."""

import os

from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:  # noqa: ARG001 - LiteLLM's signature
    """Source: https://docs.litellm.ai/docs/proxy/custom_auth"""
    if api_key != os.environ["LITELLM_MASTER_KEY"]:
        raise HTTPException(401, "unknown key")
    return UserAPIKeyAuth(
        api_key=api_key,
        user_id="alice",
        team_id="acme",
        max_budget=1_000_000.0,
        spend=1.0,
        rpm_limit=1_000_000,
        tpm_limit=10**12,
        max_parallel_requests=1_000,
    )
