"""The hooks that run in the gateway itself. Their time grows with the text alone."""

from __future__ import annotations

from gateway.hooks.deny_list import has_phrase
from gateway.hooks.masking import Masking
from gateway.hooks.personal import find
from gateway.hooks.subject import S, Verdict, texts_of
from gateway.model.errors import Detail
from gateway.model.hook import BuiltInHook, DenyListHook, MaskPiiHook, SchemaHook, SizeHook, Stage
from gateway.model.json_schema import text_violations


def judge(hook: BuiltInHook, stage: Stage, subject: S, masking: Masking) -> Verdict[S]:
    """`masking`: of the whole request, so that a reply finds what stands for what."""
    if isinstance(hook, MaskPiiHook):
        return _masked(hook, stage, subject, masking)
    if isinstance(hook, DenyListHook):
        return _without_phrases(hook, stage, subject)
    if isinstance(hook, SizeHook):
        return _within_size(hook, stage, subject)
    return _of_schema(hook, stage, subject)


def _masked(hook: MaskPiiHook, stage: Stage, subject: S, masking: Masking) -> Verdict[S]:
    """In a reply for good: what the client did not send, it is not to see. What cannot be masked does not pass."""
    for member, text in dict.fromkeys(subject.fixed()):
        if find(text, hook.finds):
            said = f"The {_noun(stage)} has something personal in '{member}' that cannot be masked there"
            return Verdict("block", subject, f"{said}: it is a name, or a value that has to stay as it is.")
    masking.avoid(texts_of(subject.written()))
    restores = hook.restores and stage == "pre_call"
    masked = subject.with_texts(lambda text: masking.masked(text, hook.finds, restores))
    return Verdict("allow" if masked is subject else "modify", masked)


def _without_phrases(hook: DenyListHook, stage: Stage, subject: S) -> Verdict[S]:
    if not has_phrase(texts_of(subject), hook.phrases):
        return Verdict("allow", subject)
    return Verdict("block", subject, f"The {_noun(stage)} has a phrase in it that is not allowed here.")


def _within_size(hook: SizeHook, stage: Stage, subject: S) -> Verdict[S]:
    most = hook.max_prompt_characters if stage == "pre_call" else hook.max_reply_characters
    if most is None or sum(map(len, texts_of(subject))) <= most:
        return Verdict("allow", subject)
    return Verdict("block", subject, f"The {_noun(stage)} has more than {most} characters of text.")


def _of_schema(hook: SchemaHook, stage: Stage, subject: S) -> Verdict[S]:
    """What is wrong with a reply is told by its places alone, for the reply is not given."""
    details = [found for document in subject.documents() for found in text_violations(document.decode(), hook.schema)]
    if not details:
        return Verdict("allow", subject)
    if stage == "post_response":
        details = [Detail(detail.pointer, "does not satisfy the schema") for detail in details]
    return Verdict("block", subject, f"The {_noun(stage)} does not satisfy the schema of this hook.", tuple(details))


def _noun(stage: Stage) -> str:
    return "request" if stage == "pre_call" else "reply"
