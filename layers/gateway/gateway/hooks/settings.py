"""Whether a hook's settings can do anything, as far as their types do not say it: for whoever stores them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.hooks.deny_list import is_phrase
from gateway.model.errors import Detail
from gateway.model.hook import DenyListHook, Hook, SchemaHook, SizeHook, WebhookHook
from gateway.model.json_schema import schema_violations


def problems_of(hook: Hook, refusal_of_url: Callable[[str], str | None]) -> Iterator[Detail]:
    """With pointers into the hook. `refusal_of_url`: why a webhook's may not be called, or None."""
    if isinstance(hook, WebhookHook):
        if refusal := refusal_of_url(hook.url):
            yield Detail("/url", refusal.removesuffix("."))
    elif isinstance(hook, SchemaHook):
        yield from schema_violations(hook.schema, "/schema")
    elif isinstance(hook, DenyListHook):
        for number, phrase in enumerate(hook.phrases):
            if not is_phrase(phrase):
                yield Detail(f"/phrases/{number}", "There is nothing in it that could be found")
    elif isinstance(hook, SizeHook):
        limits = {"pre_call": hook.max_prompt_characters, "post_response": hook.max_reply_characters}
        for number, stage in enumerate(hook.stages):
            if limits[stage] is None:
                yield Detail(f"/stages/{number}", "No limit is set for this stage")
