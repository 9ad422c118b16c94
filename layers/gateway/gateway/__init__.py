"""Multi-tenant LLM gateway: one OpenAI-compatible API in front of many providers."""
