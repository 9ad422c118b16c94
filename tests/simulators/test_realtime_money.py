"""What sessions of voice cost is booked, whoever ends them and when, with simulated providers over real sockets."""

from __future__ import annotations

import pytest

from tests.simulators.process import Simulator
from tests.simulators.realtime_client import PREFIXES, calling


@pytest.mark.parametrize("name", PREFIXES)
@pytest.mark.parametrize("kind", ["session.close", "response.cancel"])
async def test_a_response_that_is_broken_off_is_paid(simulator: Simulator, name: str, kind: str) -> None:
    """Google tells what it has cost only once it is over; of what is not told in time the policy for lost requests says
    what it costs.
    """
    gate = f"broken-{name}-{kind}"
    async with calling(simulator, name) as caller:
        await caller.configures()
        await caller.speaks(f"Hello [[gate={gate} gate_at=2 id={gate}]]")
        await caller.until("response.output_audio.delta")
        await caller.says(kind)
        if kind != "session.close":
            await caller.until("response.done")
            await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    simulator.control("POST", f"gates/{gate}")
    assert caller.spent_nano_usd() > 0
