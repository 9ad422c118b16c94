"""The beginning of a session of voice, as hooks see it: which model is asked for, and what it is instructed to do.

What is said in the session passes no hook: sound cannot be held back without being late.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, to_builtins
from msgspec.structs import replace as with_members

from gateway.hooks.call_subject import CallSubject
from gateway.hooks.subject import Change, Fixed, strings_of
from gateway.model.realtime_call import RealtimeCall


class RealtimeRequest(CallSubject[RealtimeCall], frozen=True):
    PATCHED = frozenset({"session"})

    def with_texts(self, change: Change) -> RealtimeRequest:
        session = self.call.session
        if session.instructions is not UNSET:
            session = with_members(session, instructions=change(session.instructions))
        return self.of(with_members(self.call, session=session, **self.common_with(change)))

    def own_fixed(self) -> Iterable[Fixed]:
        """Of everything else, tools above all."""
        others = to_builtins(with_members(self.call.session, instructions=UNSET))
        return (Fixed("session", text) for text in strings_of(others))
