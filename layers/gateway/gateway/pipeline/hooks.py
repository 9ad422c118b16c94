"""The tenant's hooks around a call, in their order: before it is made, and before its reply is given.

A hook that enforces is waited for: it may block, and what it changes is what the next one sees. A hook that observes is
told what the one before it let pass, while the request goes on.
"""

from __future__ import annotations

import asyncio
from typing import Literal, NoReturn

from gateway.hooks.built_in import judge
from gateway.hooks.masking import Masking
from gateway.hooks.remote import MAX_BYTES, Circumstances, question, verdict
from gateway.hooks.subject import R, S, Verdict
from gateway.model.errors import HookUnavailable, PayloadTooLarge, RequestBlocked, ResponseBlocked
from gateway.model.hook import Action, Hook, HookFailed, HookMessage, HookRun, RemoteHook, Stage
from gateway.pipeline.exchange import Exchange
from gateway.ports import World

STAGE_S = 20.0
"""What the hooks of one stage may take together."""


class Chain:
    """The hooks of one request. An operation brings what they are asked about, as a `Subject`."""

    def __init__(self, exchange: Exchange, world: World) -> None:
        principal = exchange.principal
        assert principal is not None  # noqa: S101 - hooks are a tenant's
        self.masking = Masking()
        self._exchange, self._world, self._hooks = exchange, world, principal.tenant.hooks
        self._circumstances = Circumstances(
            request_id=exchange.request_id,
            operation=exchange.operation,
            tenant_id=principal.tenant.id,
            user_id=principal.user.id,
            conversation_id=exchange.conversation_id,
            model=exchange.model_requested,
        )

    @property
    def enforces_replies(self) -> bool:
        """Whether a reply must not be seen by the client before a hook has seen it."""
        return any(hook.mode == "enforce" for hook in self._of("post_response"))

    @property
    def spare_s(self) -> float:
        """What hooks may take once there is a reply that they have to agree to."""
        return STAGE_S if self.enforces_replies else 0.0

    @property
    def asks_about_replies(self) -> bool:
        return bool(self._of("post_response"))

    async def before(self, request: S) -> S:
        """The request as it is to be made; the same object where no hook changed it.

        Raises RequestBlocked (403), HookUnavailable (503), PayloadTooLarge (413).
        """
        return await self._asked("pre_call", request)

    async def after(self, reply: R) -> R:
        """The reply as it is to be given, with what was masked in the request put back, after all hooks.

        Raises ResponseBlocked (403), HookUnavailable (503).
        """
        agreed = await self._asked("post_response", reply)
        return agreed.restored(self.masking.restored) if self.masking.restores else agreed

    async def after_stream(self, reply: R) -> None:
        """Of a reply that the client has: hooks that observe can only still end it. Raises ResponseBlocked (403)."""
        hooks = self._of("post_response")
        began_s = self._now_s()
        verdicts = await asyncio.gather(*(self._judged(hook, "post_response", reply, began_s) for hook in hooks))
        if any(isinstance(hook, RemoteHook) for hook in hooks):
            self._exchange.hook_wait_s += self._now_s() - began_s
        for hook, said in zip(hooks, verdicts, strict=True):
            if said.action == "block":
                _block(hook, "post_response", said)

    async def _asked(self, stage: Stage, subject: S) -> S:
        began_s = self._now_s()
        for hook in self._of(stage):
            if hook.mode == "observe":
                task = asyncio.create_task(self._observed(hook, stage, subject, began_s))
                self._exchange.observers.append(task)
                continue
            asked_s = self._now_s()
            try:
                said = await self._judged(hook, stage, subject, began_s)
            finally:
                if isinstance(hook, RemoteHook):
                    self._exchange.hook_wait_s += self._now_s() - asked_s
            if said.action == "block":
                _block(hook, stage, said)
            subject = said.subject
        return subject

    async def _observed(self, hook: Hook, stage: Stage, subject: S, began_s: float) -> None:
        try:
            await self._judged(hook, stage, subject, began_s)
        except Exception as defect:  # nothing that only watches may break what it watches
            self._note_failure(hook, stage, began_s, type(defect).__name__)

    async def _judged(self, hook: Hook, stage: Stage, subject: S, began_s: float) -> Verdict[S]:
        """What the hook says, and noted. Raises HookUnavailable (503), PayloadTooLarge (413)."""
        asked_s = self._now_s()
        ends_s = min(asked_s + hook.timeout_ms / 1000, began_s + STAGE_S)
        try:
            said = await self._answer(hook, stage, subject, ends_s - asked_s)
        except HookFailed as failure:
            cause = failure.cause
        except RecursionError:
            cause = "too_deep"
        else:
            self._note(hook, stage, asked_s, said.action, reason=said.reason or None)
            return said
        self._note_failure(hook, stage, asked_s, cause)
        if _is_needed(hook):
            _refuse(hook, stage, cause)
        return Verdict("allow", subject)

    async def _answer(self, hook: Hook, stage: Stage, subject: S, timeout_s: float) -> Verdict[S]:
        if not isinstance(hook, RemoteHook):
            return judge(hook, stage, subject, self.masking if hook.mode == "enforce" else Masking())
        asked = question(hook, stage, subject, self._circumstances)
        if asked is None:
            return Verdict("allow", subject)
        circumstances = self._circumstances
        message = HookMessage(f"{circumstances.request_id}.{hook.id}.{stage}", circumstances.tenant_id, asked)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._world.hooks.ask(hook, message)
        except TimeoutError:
            raise HookFailed("timeout") from None
        return verdict(hook, subject, answer)

    def _of(self, stage: Stage) -> list[Hook]:
        return [hook for hook in self._hooks if stage in hook.stages]

    def _note_failure(self, hook: Hook, stage: Stage, asked_s: float, cause: str) -> None:
        self._note(hook, stage, asked_s, "failed", cause=cause)
        about = self._circumstances
        facts = {"tenant_id": about.tenant_id, "hook": hook.id, "stage": stage, "cause": cause}
        if _is_needed(hook):
            self._world.records.trouble("hook.failed_closed", request_id=about.request_id, **facts)
        else:
            self._world.records.trouble("hook.failed_open", request_id=about.request_id, **facts)

    def _note(
        self,
        hook: Hook,
        stage: Stage,
        asked_s: float,
        action: Action | Literal["failed"],
        *,
        reason: str | None = None,
        cause: str | None = None,
    ) -> None:
        latency_ms = round((self._now_s() - asked_s) * 1000, 3)
        run = HookRun(
            id=hook.id, stage=stage, mode=hook.mode, action=action, latency_ms=latency_ms, reason=reason, cause=cause
        )
        self._exchange.hooks.append(run)

    def _now_s(self) -> float:
        return self._world.clock.monotonic_s()


def _is_needed(hook: Hook) -> bool:
    return hook.mode == "enforce" and hook.on_failure == "closed"


def _block(hook: Hook, stage: Stage, said: Verdict[S]) -> NoReturn:
    blocked = RequestBlocked if stage == "pre_call" else ResponseBlocked
    raise blocked(said.reason, hook=hook.id, details=said.details)


def _refuse(hook: Hook, stage: Stage, cause: str) -> NoReturn:
    if cause == "too_large" and stage == "pre_call":
        raise PayloadTooLarge(f"The hook '{hook.id}' has to agree, and can be asked about {MAX_BYTES} bytes at most.")
    if cause == "timeout":
        message = f"The hook '{hook.id}' has to agree and did not answer in time."
    else:
        message = f"The hook '{hook.id}' has to agree and gave no answer that can be used ({cause})."
    raise HookUnavailable(message, hook=hook.id, is_paid=stage == "post_response")
