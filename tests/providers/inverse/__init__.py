"""One module per API: how a recorded exchange reads without the wire's code. Found by file name.

A module offers

- `call_from(recording) -> ChatCall`: the recorded request as a normalised call; `call.model` is the model as the
  provider names it; members the normalised call has no word for are in `provider_options`;
- `expected(recording) -> Expected`: what the recorded answer means;
- `ALLOWED: dict[str, Allowance]`: recordings whose rendered body may differ from the recorded one, and why;
- optionally `SKIPPED: dict[str, str]`: recordings that cannot be replayed, and why;
- optionally `model_facts(recording) -> ModelFacts`: facts other than `id` that the request depends on.
"""
