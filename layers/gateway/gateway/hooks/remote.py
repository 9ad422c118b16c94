"""What hooks outside the gateway are sent, and what they may answer. shared/schemas has both as JSON Schema.

{"version": 1, "stage", "hook", "request_id", "operation", "tenant_id", "user_id", "conversation_id", "model",
 "request" or "response"}       ->       {"action": "allow" | "block" | "modify", "reason", "patch"}

Never a header, a key or the bytes of media. A Bedrock guardrail is asked in Bedrock's own words instead.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from gateway.hooks import guardrail
from gateway.hooks.subject import S, Verdict
from gateway.model.chat import Json
from gateway.model.hook import Action, GuardrailHook, HookFailed, RemoteHook, Stage

VERSION = 1
MAX_BYTES = 5 * 1024 * 1024
"""Of a question, and of an answer: Lambda takes 6 MB."""


class Circumstances(msgspec.Struct, frozen=True):
    """Whose request it is. `model`: as the client named it."""

    request_id: str
    operation: str
    tenant_id: str
    user_id: str
    conversation_id: str | None
    model: str | None


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """`reason`: of a block, for the client and the audit log, so without anything that was said."""

    action: Action
    reason: Annotated[str, Meta(max_length=1_000)] | None = None
    patch: Json | None = None


def question(hook: RemoteHook, stage: Stage, subject: S, circumstances: Circumstances) -> bytes | None:
    """None when there is nothing to ask about. Raises HookFailed for more than can be sent."""
    if isinstance(hook, GuardrailHook):
        asked = guardrail.render(stage, subject)
    else:
        said = {"request" if stage == "pre_call" else "response": subject.body()}
        head = {"version": VERSION, "stage": stage, "hook": hook.id}
        asked = msgspec.json.encode({**head, **asdict(circumstances), **said})
    if asked is not None and len(asked) > MAX_BYTES:
        raise HookFailed("too_large")
    return asked


def verdict(hook: RemoteHook, subject: S, answer: bytes) -> Verdict[S]:
    """Raises HookFailed for an answer that is none, and for a patch that does not fit."""
    if isinstance(hook, GuardrailHook):
        return guardrail.parse(subject, answer)
    try:
        said = msgspec.json.decode(answer, type=Answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise HookFailed("answer") from error
    if (said.action == "modify") is not bool(said.patch):
        raise HookFailed("answer")
    if said.action == "block":
        return Verdict("block", subject, said.reason or f"The hook '{hook.id}' refuses this.")
    if not said.patch:
        return Verdict("allow", subject)
    changed = subject.patched(said.patch)
    return Verdict("allow" if changed is subject else "modify", changed)
