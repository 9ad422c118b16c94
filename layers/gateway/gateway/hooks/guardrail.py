"""Amazon Bedrock Guardrails: each text is one block of ApplyGuardrail, and comes back in its place where it is masked.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from gateway.hooks.subject import S, Subject, Verdict, changeable_texts
from gateway.model.hook import HookFailed, Stage

_INTERVENED = "GUARDRAIL_INTERVENED"


class _Output(Struct):
    text: str = ""


class _Answer(Struct):
    action: Literal["NONE", "GUARDRAIL_INTERVENED"]
    outputs: list[_Output] = field(default_factory=list)
    assessments: list[dict[str, Any]] = field(default_factory=list)


def render(stage: Stage, subject: S) -> bytes | None:
    """None when there is no text in it. Names and the like are one block, the last: each block is billed for itself."""
    blocks = [{"text": {"text": text}} for text in [*changeable_texts(subject), _fixed(subject)] if _is_asked(text)]
    if not blocks:
        return None
    return msgspec.json.encode({"source": "INPUT" if stage == "pre_call" else "OUTPUT", "content": blocks})


def parse(subject: S, answer: bytes) -> Verdict[S]:
    """Blocked where any policy says so, or none says what else it did. Raises HookFailed."""
    try:
        said = msgspec.json.decode(answer, type=_Answer)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise HookFailed("answer") from error
    if said.action != _INTERVENED:
        return Verdict("allow", subject)
    actions = set(_actions(said.assessments))
    if "BLOCKED" in actions or "ANONYMIZED" not in actions:
        # What the owner of the guardrail wrote for this case.
        return Verdict("block", subject, said.outputs[0].text if said.outputs else "The guardrail refuses this.")
    return _masked(subject, [output.text for output in said.outputs])


def _masked(subject: S, outputs: list[str]) -> Verdict[S]:
    fixed = _fixed(subject)
    if len(outputs) != sum(map(_is_asked, [*changeable_texts(subject), fixed])):
        raise HookFailed("answer")  # nobody can say which text is which
    if _is_asked(fixed) and outputs[-1] != fixed:
        return Verdict("block", subject, "The guardrail masks a name, or a value that has to stay as it is.")
    following = iter(outputs)
    changed = subject.with_texts(lambda text: next(following) if _is_asked(text) else text)
    return Verdict("allow" if changed is subject else "modify", changed)


def _fixed(subject: Subject) -> str:
    return "\n".join(dict.fromkeys(fixed.text for fixed in subject.fixed()))


def _is_asked(text: str) -> bool:
    return bool(text.strip())


def _actions(assessment: Any) -> Iterator[str]:
    """Every `action` of every policy: topics, contents, words, personal data, grounding."""
    if isinstance(assessment, list):
        for part in assessment:
            yield from _actions(part)
    elif isinstance(assessment, dict):
        if isinstance(action := assessment.get("action"), str):
            yield action
        for part in assessment.values():
            yield from _actions(part)
