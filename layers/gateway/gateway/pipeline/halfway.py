"""A request between its two halves: it was asked, and its reply comes when nobody waits for it any more."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from gateway.hooks.masking import Masking, Remembered
from gateway.model.call import Call
from gateway.model.completion import LeftOut
from gateway.model.hook import HookRun
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.ports import World


class Halfway(Struct, frozen=True, kw_only=True):
    """What its hooks have done so far. `masked`: what stands for what in it, as secret as the request."""

    masked: Remembered
    hooks: list[HookRun]
    hook_wait_s: float
    left_out: tuple[LeftOut, ...] = ()

    def goes_on(self, exchange: Exchange, world: World) -> Chain:
        """The hooks that are yet to be asked, about its reply."""
        chain = Chain(exchange, world)
        chain.masking = Masking.remembering(self.masked)
        exchange.hooks, exchange.hook_wait_s, exchange.left_out = [*self.hooks], self.hook_wait_s, self.left_out
        return chain


class BegunCall(Halfway, frozen=True, kw_only=True):
    """`call`: as its provider was asked it."""

    call: Raw

    @classmethod
    def of(cls, call: Call, masking: Masking, exchange: Exchange) -> BegunCall:
        return cls(
            call=Raw(msgspec.json.encode(call)),
            masked=masking.remembered(),
            hooks=list(exchange.hooks),
            hook_wait_s=exchange.hook_wait_s,
            left_out=exchange.left_out,
        )
