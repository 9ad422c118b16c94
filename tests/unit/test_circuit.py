"""Circuits of endpoints, without a network: when they open, who may try, when they close, what others tell of them."""

from __future__ import annotations

from dataclasses import replace

from gateway.model.circuit import MAX_CIRCUITS, OWN_FAILURES, Call, Circuits, Rules, endpoint_of
from gateway.model.health import Numbers, Tallies

NOW_S = 1_790_000_005.0
OPEN_S = 30.0
RULES = Rules(watched=("*",), failures=5, open_s=OPEN_S)
CALL = Call(endpoint_of("openai", "https://api.openai.com/v1"), "openai/gpt", "acme", NOW_S)
OTHERS = replace(CALL, tenant_id="other")


def circuits() -> Circuits:
    return Circuits(RULES, Tallies())


def at(second: float, call: Call = CALL) -> Call:
    return replace(call, entered_s=NOW_S + second)


def failed(known: Circuits, times: int = RULES.failures, second: float = 0.0) -> None:
    for _ in range(times):
        assert known.enter(at(second)) == 0
        known.note(at(second), "failed", NOW_S + second)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    known = circuits()
    failed(known, 4)
    assert known.note(CALL, "answered", NOW_S) is None
    failed(known, 4)
    assert known.enter(CALL) == 0
    assert known.note(CALL, "failed", NOW_S) == "opened"
    assert known.enter(at(1)) == 29
    assert known.is_open("openai", NOW_S + 1)
    assert not known.is_open("azure", NOW_S + 1)


def test_other_endpoints_are_asked_on() -> None:
    known = circuits()
    failed(known)
    elsewhere = replace(CALL, endpoint=endpoint_of("openai", "https://eu.api.openai.com/v1"))
    assert known.enter(elsewhere) == 0
    assert known.enter(replace(CALL, subject="openai/other", tenant_id="other")) == 30


def test_one_call_tries_and_the_others_wait_for_it() -> None:
    known = circuits()
    failed(known)
    assert known.enter(at(30)) == 0
    assert known.enter(at(31)) == 29
    assert known.note(at(30), "answered", NOW_S + 32) == "closed"
    assert known.enter(at(32)) == 0
    failed(known, 4, 33)  # it counts anew
    assert known.enter(at(33)) == 0


def test_a_try_that_fails_leaves_it_open_as_long_again() -> None:
    known = circuits()
    failed(known)
    assert known.enter(at(31)) == 0
    assert known.note(at(31), "failed", NOW_S + 40) == "opened"
    assert known.enter(at(60)) == 10
    assert known.enter(at(70)) == 0


def test_a_try_that_nobody_knows_the_end_of_is_the_next_ones() -> None:
    known = circuits()
    failed(known)
    assert known.enter(at(31)) == 0
    known.give_up(at(31), NOW_S + 33)
    assert known.enter(at(33)) == 0
    assert known.enter(at(34)) == 29
    assert known.enter(at(63)) == 0  # the try did not come back


def test_calls_from_before_it_opened_say_nothing() -> None:
    known = circuits()
    failed(known, second=5)
    assert known.note(at(0), "answered", NOW_S + 6) is None
    assert known.note(at(0), "failed", NOW_S + 20) is None
    assert known.enter(at(34)) == 1


def test_a_tenant_with_no_patience_opens_its_own_circuit_of_that_model_only() -> None:
    known = circuits()
    for _ in range(OWN_FAILURES):
        assert known.enter(CALL) == 0
        assert known.note(CALL, "slow", NOW_S) is None
    assert known.enter(at(1)) == 29
    assert known.enter(OTHERS) == 0
    assert known.enter(replace(CALL, subject="openai/other")) == 0
    assert not known.is_open("openai", NOW_S + 1)
    assert not known.marks
    assert known.enter(at(30)) == 0
    known.note(at(30), "slow", NOW_S + 31)
    assert known.enter(at(32)) == 29
    assert known.enter(at(61)) == 0
    known.note(at(61), "answered", NOW_S + 62)
    assert known.enter(at(62)) == 0


def test_there_are_not_ever_more_of_them() -> None:
    known = circuits()
    for number in range(2 * MAX_CIRCUITS):
        known.note(replace(CALL, tenant_id=str(number)), "slow", NOW_S)
        known.note(replace(CALL, endpoint=f"openai:{number}"), "failed", NOW_S)
    assert len(known._own) == len(known._circuits) == MAX_CIRCUITS


class TestTogether:
    """By what all environments have counted."""

    MINUTE = int(NOW_S // 60)

    def counted(self, asked: int, broken: int, second: float = 0.0) -> dict[int, dict[str, Numbers]]:
        at_s = NOW_S + second
        slot = int(at_s // 10) % 6
        numbers = {f"a{slot}@{CALL.endpoint}": asked, f"x{slot}@{CALL.endpoint}": broken, "c": asked}
        return {int(at_s // 60): {"openai/gpt": numbers}}

    def test_half_of_enough_calls_open_it(self) -> None:
        known = circuits()
        assert known.judge(self.counted(19, 19), NOW_S) == []
        assert known.judge(self.counted(40, 19), NOW_S) == []
        assert known.judge(self.counted(40, 20), NOW_S) == [CALL.endpoint]
        assert known.enter(at(1)) == 29
        assert known.judge(self.counted(40, 40), NOW_S + 1) == []  # it is open
        assert known.marks == {CALL.endpoint: (NOW_S, 0.0)}

    def test_only_of_the_last_half_minute(self) -> None:
        known = circuits()
        assert known.judge(self.counted(40, 40), NOW_S + 35) == []
        assert known.judge(self.counted(40, 40), NOW_S + 34) == [CALL.endpoint]

    def test_over_the_border_of_a_minute(self) -> None:
        known = circuits()
        second = 60 - NOW_S % 60  # 0 s of the next one
        both = self.counted(10, 10, second - 1) | self.counted(10, 10, second)
        assert len(both) == 2
        assert known.judge(both, NOW_S + second) == [CALL.endpoint]

    def test_what_was_before_it_closed_is_over(self) -> None:
        known = circuits()
        before = self.counted(40, 40)
        known.learn(CALL.endpoint, (NOW_S, NOW_S + 10), before, NOW_S + 11)
        assert known.judge(before, NOW_S + 12) == []
        assert known.judge(self.counted(40, 40, 20), NOW_S + 21) == [CALL.endpoint]

    def test_what_others_have_opened_is_open_here(self) -> None:
        known = circuits()
        for _ in range(2):
            known.learn(CALL.endpoint, (NOW_S, 0.0), self.counted(10, 5), NOW_S + 10)
        assert known.enter(at(12)) == 18
        assert not known.marks

    def test_it_is_not_where_most_calls_are_well(self) -> None:
        known = circuits()
        known.learn(CALL.endpoint, (NOW_S, 0.0), self.counted(11, 5), NOW_S + 10)
        known.learn(CALL.endpoint, (NOW_S, 0.0), {}, NOW_S + 10)
        assert known.enter(at(10)) == 0

    def test_what_others_have_closed_is_closed_here(self) -> None:
        known = circuits()
        failed(known)
        known.learn(CALL.endpoint, (NOW_S, NOW_S + 31), self.counted(5, 5), NOW_S + 20)
        assert known.enter(at(20)) == 0

    def test_old_news_changes_nothing(self) -> None:
        known = circuits()
        all_failed = self.counted(5, 5)
        known.learn(CALL.endpoint, (NOW_S - 31, 0.0), all_failed, NOW_S)
        assert known.enter(CALL) == 0
        failed(known)
        known.learn(CALL.endpoint, (NOW_S - 20, NOW_S - 10), all_failed, NOW_S + 1)
        assert known.enter(at(2)) == 28
        assert known.enter(at(30)) == 0
        assert known.note(at(30), "answered", NOW_S + 31) == "closed"
        known.learn(CALL.endpoint, (NOW_S + 20, 0.0), self.counted(5, 5, 31), NOW_S + 32)  # by one that failed before
        assert known.enter(at(33)) == 0


def test_providers_are_watched_by_pattern() -> None:
    assert not Rules().watch("openai")
    assert Rules(("*",)).watch("openai")
    assert [Rules(("azure", "open*")).watch(name) for name in ("azure", "openai", "groq")] == [True, True, False]


def test_an_endpoint_shows_no_address() -> None:
    name = endpoint_of("vllm", "http://10.0.0.7:8000/v1")
    assert name.startswith("vllm:")
    assert "10.0" not in name
    assert name != endpoint_of("vllm", "http://10.0.0.8:8000/v1")
