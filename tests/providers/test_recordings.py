"""Recorded traffic of real providers is the truth: requests render as recorded, answers mean what they say.

The recordings are third-party data and live beside the project (`RECORDINGS_DIR`, else ../shared/recordings). Where
they are absent this suite is skipped and says so.
"""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from gateway.model.errors import CapabilityNotSupported
from tests.providers import replay
from tests.providers.inverse.expected import Allowance, Differs, Refused
from tests.providers.replay import Planned

PLAN = replay.plan()
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)
RUN = [planned for planned in PLAN if planned.skipped is None]
OWN = [planned for planned in RUN if not planned.extra]
MIN_RUN_SHARE = 0.98


def _ids(planned: list[Planned]) -> list[str]:
    return [one.id for one in planned]


@pytest.mark.parametrize("planned", OWN, ids=_ids(OWN))
def test_request_renders_as_recorded(planned: Planned) -> None:
    recording = planned.load()
    recorded = recording["request"]
    if recorded is None or "body" not in recorded:
        pytest.skip("the source kept the answer only")
    wire, target = replay.wire_for(planned.provider, planned.api), replay.target_for(recording)
    assert wire is not None
    allowance: Allowance = getattr(replay.inverse(planned.api), "ALLOWED", {}).get(planned.id, Differs())
    if isinstance(allowance, Refused):
        with pytest.raises(CapabilityNotSupported) as refused:
            wire.render(replay.call_for(recording, target), target)
        assert refused.value.param == allowance.param
        return
    request = wire.render(replay.call_for(recording, target), target)
    assert request.method == recorded["method"]
    assert replay.same_path(recorded["url"], request), (recorded["url"], request.url)
    assert target.base_url in request.url
    _check_body(recorded["body"], msgspec.json.decode(request.body), allowance)


def _check_body(recorded: dict[str, object], rendered: dict[str, object], allowance: Allowance) -> None:
    """One rule for all: the gateway asks for usage in every stream, so it may add `stream_options` to one."""
    found = replay.differences(recorded, rendered)
    if rendered.get("stream") and "stream_options" not in recorded:
        found = [pointer for pointer in found if pointer != "/stream_options"]
    if isinstance(allowance, str):
        assert found, f"renders as recorded by now, so the allowance is to go: {allowance}"
    elif isinstance(allowance, Differs):
        assert sorted(found) == sorted(allowance.pointers)


@pytest.mark.parametrize("planned", RUN, ids=_ids(RUN))
def test_answer_means_what_it_says(planned: Planned) -> None:
    recording = planned.load()
    wire, target = replay.wire_for(planned.provider, planned.api), replay.target_for(recording)
    module = replay.inverse(planned.api)
    assert wire is not None
    assert module is not None
    expected = module.expected(recording)
    for piece_bytes in (0, replay.PIECE_BYTES):
        outcome = replay.understood(recording, wire, target, piece_bytes)
        assert replay.as_expected(outcome, expected) == expected


def test_enough_recordings_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Of our providers' recordings, in the APIs that can be read at all; the rest is counted and explained."""
    own = [planned for planned in PLAN if not planned.extra]
    readable = [planned for planned in own if replay.inverse(planned.api) is not None]
    ran = [planned for planned in readable if planned.skipped is None]
    with capsys.disabled():
        print(f"\nrecordings: {len(ran)} of {len(readable)} run", end="")  # noqa: T201  # the figure this suite is for
        print(f", and {len(RUN) - len(ran)} answers of other hosts")  # noqa: T201  # same
        for (api, reason), count in sorted(Counter((one.api, one.skipped) for one in PLAN if one.skipped).items()):
            print(f"  skipped {count:3} {api}: {reason}")  # noqa: T201  # same
        for api in replay.APIS:
            for recording_id, allowance in sorted(getattr(replay.inverse(api), "ALLOWED", {}).items()):
                print(f"  allowed {recording_id}: {_told(allowance)}")  # noqa: T201  # same
    assert len(ran) >= MIN_RUN_SHARE * len(readable)


def _told(allowance: Allowance) -> str:
    if isinstance(allowance, Differs):
        return "; ".join(f"{pointer} ({reason})" for pointer, reason in allowance.pointers.items())
    return allowance if isinstance(allowance, str) else f"refused at {allowance.param} ({allowance.reason})"
