"""Whose trace a request belongs to, from what the caller and Lambda say."""

from __future__ import annotations

import re

import pytest

from gateway.model.trace import Trace

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
X_RAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.mark.parametrize(
    ("traceparent", "is_sampled"),
    [
        (f"00-{ID}-{SPAN}-01", True),
        (f"00-{ID}-{SPAN}-00", False),
        (f"00-{ID}-{SPAN}-03", True),
        (f"cc-{ID}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_the_callers_trace_goes_on(traceparent: str, is_sampled: bool) -> None:
    assert Trace.of(traceparent, X_RAY) == Trace(ID, is_sampled)


@pytest.mark.parametrize(
    "traceparent",
    [
        *("", "nonsense", ID, f"00-{ID.upper()}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{ID}-{'0' * 16}-01"),
        *(f"ff-{ID}-{SPAN}-01", f"00-{ID}-{SPAN}-01-more", f"00-{ID}-{SPAN}-1", f"00-{ID[1:]}-{SPAN}-01"),
        *(f"00-{ID}-{SPAN}-01\n", f"00-{ID}-{SPAN}-01,00-{ID}-{SPAN}-01"),
    ],
)
def test_without_a_good_one_lambdas_goes_on(traceparent: str) -> None:
    assert Trace.of(traceparent, X_RAY) == Trace("5759e988bd862e3fe1be46a994272793", is_sampled=True)


def test_without_any_a_new_one_begins() -> None:
    traces = {Trace.of("", "").id for _ in range(50)}
    assert len(traces) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", trace_id) for trace_id in traces)


def test_every_request_that_goes_out_is_a_span_of_its_own() -> None:
    spans = {Trace(ID, is_sampled=True).headers()["traceparent"] for _ in range(50)}
    assert len(spans) == 50
    assert all(re.fullmatch(f"00-{ID}-[0-9a-f]{{16}}-01", span) for span in spans)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f067aa0ba902b7 , ,\tcongo=a b", "rojo=00f067aa0ba902b7,congo=a b"),
        ("fw529a3039@dt=FfAB,0a/b*c-_=!", "fw529a3039@dt=FfAB,0a/b*c-_=!"),
        (",".join(f"k{n}={n}" for n in range(32)), ",".join(f"k{n}={n}" for n in range(32))),
    ],
)
def test_a_well_formed_state_goes_along(given: str, sent: str) -> None:
    headers = Trace.of(f"00-{ID}-{SPAN}-01", "", given).headers()
    assert headers["tracestate"] == sent


@pytest.mark.parametrize(
    "state",
    [
        *("", ",", "nonsense", "Key=1", "a=1,a=2", "a=b=c", "a=ü", "a=1\r\nx: y", "a=", "=1", "a@B=1"),
        *(f"{'k' * 242}=1", f"a={'v' * 257}", ",".join(f"k{n}={n}" for n in range(33))),
        ",".join(f"k{n}={'v' * 100}" for n in range(5)),
    ],
)
def test_any_other_state_is_dropped_and_the_trace_goes_on(state: str) -> None:
    trace = Trace.of(f"00-{ID}-{SPAN}-01", "", state)
    assert (trace.id, "tracestate" in trace.headers()) == (ID, False)


@pytest.mark.parametrize("traceparent", ["", f"00-{'0' * 32}-{SPAN}-01"])
def test_no_state_without_its_trace(traceparent: str) -> None:
    assert "tracestate" not in Trace.of(traceparent, X_RAY, "a=1").headers()
