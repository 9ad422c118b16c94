"""One file per simulated provider; `chat`, `conversation`, `errors` and `responses` are shared by the OpenAI family."""
