"""Circuits, without a network: whose calls open which, who may try, when they close, what others tell of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.model.circuit import (
    ASK_AGAIN_S,
    FORGOTTEN_S,
    MAX_CIRCUITS,
    SLOW_CALLS,
    Call,
    Place,
    Rules,
    Verdict,
    endpoint_of,
    place_of,
)
from gateway.model.circuits import Circuits
from gateway.model.health import Numbers, Tallies

NOW_S = 1_790_000_005.0
OPEN_S = 30.0
RULES = Rules(watched=("*",), failures=5, open_s=OPEN_S)
CALL = Call(endpoint_of("openai", "https://api.openai.com/v1"), "gpt", "acme", NOW_S, allowed_s=1.0)
ENDPOINT, MODEL, OWN = CALL.places
OTHERS = replace(CALL, tenant_id="other")
ELSEWHERE = replace(CALL, model="other", tenant_id="third")
THIRD = replace(CALL, tenant_id="third")


def circuits() -> Circuits:
    return Circuits(RULES, Tallies())


def at(second: float, call: Call = CALL) -> Call:
    return replace(call, entered_s=NOW_S + second)


def failed(
    known: Circuits,
    times: int = RULES.failures,
    second: float = 0.0,
    calls: tuple[Call, ...] = (CALL, OTHERS),
    verdict: Verdict = "failed",
) -> None:
    """Of each in turn."""
    for number in range(times):
        call = at(second, calls[number % len(calls)])
        assert known.enter(call) == 0
        known.note(call, verdict, NOW_S + second)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    known = circuits()
    failed(known, 4)
    assert known.note(CALL, "answered", NOW_S) == []
    failed(known, 4)
    assert known.enter(CALL) == 0
    assert known.note(CALL, "failed", NOW_S) == [(MODEL, "opened")]
    assert known.enter(at(1)) == known.enter(at(1, THIRD)) == 29
    assert known.is_open("openai", "gpt", "third", NOW_S + 1)
    assert not known.is_open("azure", "gpt", "third", NOW_S + 1)
    assert not known.is_open("openai", "other", "third", NOW_S + 1)


class TestWhoseFailures:
    def test_one_tenants_close_a_model_to_that_tenant(self) -> None:
        known = circuits()
        failed(known, calls=(CALL,))
        assert known.enter(at(1)) == 29
        assert known.enter(at(1, OTHERS)) == known.enter(at(1, replace(CALL, model="other"))) == 0
        assert known.is_open("openai", "gpt", "acme", NOW_S + 1)
        assert not known.is_open("openai", "gpt", "other", NOW_S + 1)
        assert list(known.marks) == [OWN]

    def test_one_failure_of_another_one_makes_it_nobody_elses(self) -> None:
        known = circuits()
        failed(known, 1, calls=(OTHERS,))
        failed(known, calls=(CALL,))
        assert (known.enter(at(1)), known.enter(at(1, OTHERS))) == (29, 0)

    def test_one_model_that_fails_leaves_the_others_alone(self) -> None:
        known = circuits()
        failed(known)
        assert known.enter(at(1, ELSEWHERE)) == 0

    def test_several_models_close_their_endpoint(self) -> None:
        known = circuits()
        failed(known, calls=(CALL, replace(OTHERS, model="other")))
        assert known.enter(at(1, replace(THIRD, model="third"))) == 29
        assert known.is_open("openai", "third", "third", NOW_S + 1)

    def test_nobody_reaches_an_endpoint(self) -> None:
        known = circuits()
        failed(known, verdict="unreachable")
        assert known.enter(at(1, ELSEWHERE)) == 29
        assert known.enter(at(1, replace(CALL, endpoint=endpoint_of("openai", "https://eu.api.openai.com/v1")))) == 0

    def test_whom_only_one_tenant_does_not_reach_is_closed_to_that_one(self) -> None:
        known = circuits()
        failed(known, calls=(CALL,), verdict="unreachable")
        assert (known.enter(at(1)), known.enter(at(1, OTHERS))) == (29, 0)

    def test_a_tenants_own_key_has_circuits_of_its_own(self) -> None:
        known = circuits()
        own = replace(CALL, endpoint=endpoint_of("openai", "https://api.openai.com/v1", "acme"))
        failed(known, calls=(own,))
        assert known.enter(at(1, own)) == 29
        assert known.enter(at(1)) == 0
        assert not known.marks
        assert not known._tallies.pending
        assert not known.is_open("openai", "gpt", "acme", NOW_S + 1)
        failed(known, 2, 2, (replace(own, model="a"), replace(own, model="b")))
        assert known.enter(at(3, replace(own, model="c"))) == 29

    def test_the_wider_one_speaks_for_all_that_it_covers(self) -> None:
        known = circuits()
        failed(known, calls=(CALL,))
        failed(known, 2, 1, (OTHERS, THIRD))
        assert list(known._own) == []
        assert known.enter(at(31)) == 0
        assert known.note(at(31), "answered", NOW_S + 31) == [(MODEL, "closed")]
        assert known.enter(at(32)) == 0


class TestTrying:
    def test_one_call_tries_and_the_others_wait_for_it(self) -> None:
        known = circuits()
        failed(known)
        assert known.enter(at(30)) == 0
        assert known.enter(at(31)) == 29
        assert known.note(at(30), "answered", NOW_S + 32) == [(MODEL, "closed")]
        assert known.enter(at(32)) == 0
        failed(known, 4, 33)  # it counts anew
        assert known.enter(at(33)) == 0

    def test_one_that_fails_leaves_it_open_as_long_again(self) -> None:
        known = circuits()
        failed(known)
        assert known.enter(at(31)) == 0
        assert known.note(at(31), "failed", NOW_S + 40) == [(MODEL, "opened")]
        assert known.enter(at(60)) == 10
        assert known.enter(at(70)) == 0

    def test_one_that_nobody_knows_the_end_of_is_the_next_ones(self) -> None:
        known = circuits()
        failed(known)
        assert known.enter(at(31)) == 0
        known.give_up(at(31), NOW_S + 33)
        assert known.enter(at(33)) == 0
        assert known.enter(at(34)) == 29
        assert known.enter(at(63)) == 0  # the try did not come back

    def test_one_that_had_no_time_is_the_next_ones(self) -> None:
        known = circuits()
        failed(known)
        hasty = at(30, THIRD)
        assert known.enter(hasty) == 0
        known.note(hasty, "slow", NOW_S + 30.1)
        assert known.enter(at(30.2)) == 0
        assert known.note(at(30.2), "answered", NOW_S + 31) == [(MODEL, "closed")]

    def test_its_first_content_is_news(self) -> None:
        known = circuits()
        failed(known)
        assert known.enter(at(30)) == 0
        assert known.is_tried_by(at(30))
        assert known.begun(at(30), NOW_S + 31) == [(MODEL, "closed")]
        assert known.enter(at(31)) == 0
        assert known.note(at(30), "answered", NOW_S + 600) == []

    def test_calls_from_before_it_opened_say_nothing(self) -> None:
        known = circuits()
        failed(known, second=5)
        assert known.note(at(0), "answered", NOW_S + 6) == []
        assert known.note(at(0), "failed", NOW_S + 20) == []
        assert known.enter(at(34)) == 1

    def test_who_tries_is_agreed_on(self) -> None:
        known = circuits()
        known.asks_others = True
        failed(known)
        assert known.enter(at(29)) == 1
        assert (known.refused, known.wanted(NOW_S + 29)) == ({MODEL}, [])
        assert known.enter(at(30)) == ASK_AGAIN_S
        assert known.wanted(NOW_S + 30) == [MODEL]
        assert known.enter(at(31)) == ASK_AGAIN_S
        known.may_try(MODEL)
        assert known.enter(at(32)) == 0
        assert known.enter(at(33)) == 29
        known.give_up(at(32), NOW_S + 34)
        assert known.enter(at(35)) == 0

    def test_a_right_to_try_lasts_until_it_is_used(self) -> None:
        """Else who is called less often than it lasts never comes to try."""
        known = circuits()
        known.asks_others = True
        failed(known)
        known.may_try(MODEL)
        assert known.enter(at(80)) == 0
        assert known.note(at(80), "failed", NOW_S + 81) == [(MODEL, "opened")]
        assert known.enter(at(112)) == ASK_AGAIN_S

    def test_what_was_learned_meanwhile_is_not_wanted(self) -> None:
        known = circuits()
        known.asks_others = True
        failed(known)
        assert known.enter(at(30)) == ASK_AGAIN_S
        known.learn(MODEL, (NOW_S + 29, 0.0), {}, NOW_S + 30)
        assert known.wanted(NOW_S + 30) == []
        assert known.enter(at(31)) == 28

    def test_what_is_long_over_says_nothing(self) -> None:
        known = circuits()
        known.asks_others = True
        failed(known)
        assert known.enter(at(OPEN_S + FORGOTTEN_S)) == ASK_AGAIN_S
        assert known.enter(at(OPEN_S + FORGOTTEN_S + 1)) == 0


class TestHurried:
    """A tenant whose calls have very little time."""

    def hurry(self, known: Circuits, times: int = SLOW_CALLS, second: float = 0, allowed_s: float = 1.0) -> None:
        for _ in range(times):
            call = replace(at(second), allowed_s=allowed_s)
            assert known.enter(call) == 0
            assert known.note(call, "slow", NOW_S + second) == []

    def test_it_stops_asking_that_model(self) -> None:
        known = circuits()
        self.hurry(known)
        assert known.enter(at(1)) == 29
        assert known.enter(at(1, OTHERS)) == known.enter(at(1, replace(CALL, model="other"))) == 0
        assert not known.is_open("openai", "gpt", "acme", NOW_S + 1)
        assert not known.marks
        assert known.enter(at(30)) == 0
        assert known.enter(at(30.5)) > 0
        known.note(at(30), "slow", NOW_S + 31)
        assert known.enter(at(32)) == 29
        assert known.enter(at(61)) == 0
        known.note(at(61), "answered", NOW_S + 61.5)
        assert known.enter(at(62)) == 0

    def test_who_has_more_time_asks_on(self) -> None:
        known = circuits()
        self.hurry(known, allowed_s=0.005)
        patient = replace(at(1), allowed_s=10.0)
        assert known.enter(patient) == 0
        known.note(patient, "answered", NOW_S + 3)
        assert known.enter(replace(at(4), allowed_s=0.004)) == 26

    def test_it_is_the_longest_of_these_times(self) -> None:
        known = circuits()
        for allowed_s in (0.1, 2.0, 0.1):
            self.hurry(known, 1, allowed_s=allowed_s)
        assert (known.enter(replace(at(1), allowed_s=2.0)), known.enter(replace(at(1), allowed_s=3.0))) == (29, 0)
        self.hurry(known, SLOW_CALLS, 2, allowed_s=3.0)
        assert known.enter(replace(at(3), allowed_s=3.0)) == 29

    def test_who_would_be_refused_for_it_anyway_does_not_ask_for_the_try_of_a_circuit(self) -> None:
        known = circuits()
        known.asks_others = True
        self.hurry(known, second=20)
        failed(known, calls=(OTHERS, THIRD))
        assert known.enter(at(31)) == 19
        assert known.refused == set()

    def test_its_try_may_be_given_up(self) -> None:
        known = circuits()
        self.hurry(known)
        assert known.enter(at(30)) == 0
        known.give_up(at(30), NOW_S + 31)
        assert known.enter(at(31)) == 0


def test_there_are_not_ever_more_of_them() -> None:
    known = circuits()
    for number in range(2 * MAX_CIRCUITS):
        known.note(replace(CALL, tenant_id=str(number)), "slow", NOW_S)
        known.note(replace(CALL, tenant_id=str(number), endpoint=f"openai:{number:012}"), "failed", NOW_S)
    assert len(known._own) == len(known._circuits) == len(known._hurried) == MAX_CIRCUITS


class TestTogether:
    """By what all environments have counted. Each call here failed once in this environment."""

    @pytest.fixture
    def known(self) -> Circuits:
        known = circuits()
        failed(known, 1)
        return known

    def counted(
        self, asked: int, broken: int, second: float = 0.0, model: str = "gpt", groups: str = "01234567"
    ) -> dict[int, dict[str, Numbers]]:
        """In each group of tenants its share."""
        at_s = NOW_S + second
        slot = int(at_s // 10) % 6
        numbers: dict[str, int] = {}
        for name, count in (("a", asked), ("x", broken)):
            for number in range(count):
                key = f"{name}{slot}{groups[number % len(groups)]}"
                numbers[key] = numbers.get(key, 0) + 1
        return {int(at_s // 60): {Place(CALL.endpoint, model).name: numbers, "openai/gpt": {"c": asked}}}

    def test_half_of_enough_calls_open_it(self, known: Circuits) -> None:
        assert known.judge(self.counted(19, 19), NOW_S) == []
        assert known.judge(self.counted(40, 19), NOW_S) == []
        assert known.judge(self.counted(40, 20), NOW_S) == [MODEL]
        assert known.enter(at(1, THIRD)) == 29
        assert known.judge(self.counted(40, 40), NOW_S + 1) == []  # it is open
        assert known.marks == {MODEL: (NOW_S, 0.0)}

    def test_those_of_one_tenant_close_it_to_that_one(self, known: Circuits) -> None:
        alone = self.counted(40, 40, groups=OWN.group)
        assert known.judge(alone, NOW_S) == [OWN]
        assert (known.enter(at(1)), known.enter(at(1, OTHERS))) == (29, 0)

    def test_those_of_several_models_close_the_endpoint(self, known: Circuits) -> None:
        [(minute, one)] = self.counted(20, 20).items()
        other = self.counted(20, 15, model="other")[minute]
        assert known.judge({minute: {**other, **one}}, NOW_S) == [ENDPOINT]
        assert known.enter(at(1, ELSEWHERE)) == 29

    def test_nobody_judges_what_has_not_failed_here(self) -> None:
        assert circuits().judge(self.counted(40, 40), NOW_S) == []

    def test_only_of_the_last_half_minute(self, known: Circuits) -> None:
        known.note(at(34), "failed", NOW_S + 34)
        assert known.judge(self.counted(40, 40), NOW_S + 35) == []
        assert known.judge(self.counted(40, 40), NOW_S + 34) == [MODEL]

    def test_over_the_border_of_a_minute(self, known: Circuits) -> None:
        second = 60 - NOW_S % 60  # 0 s of the next one
        known.note(at(second), "failed", NOW_S + second)
        both = self.counted(10, 10, second - 1) | self.counted(10, 10, second)
        assert len(both) == 2
        assert known.judge(both, NOW_S + second) == [MODEL]

    def test_what_was_before_it_closed_is_over(self, known: Circuits) -> None:
        before = self.counted(40, 40)
        known.learn(ENDPOINT, (NOW_S, NOW_S + 10), before, NOW_S + 11)
        known.note(at(11), "failed", NOW_S + 11)
        assert known.judge(before, NOW_S + 12) == []
        assert known.judge(self.counted(40, 40, 20), NOW_S + 21) == [MODEL]

    @pytest.mark.parametrize("place", [ENDPOINT, MODEL, OWN])
    def test_what_others_have_opened_is_open_here(self, place: Place) -> None:
        known = circuits()
        for _ in range(2):
            known.learn(place, (NOW_S, 0.0), self.counted(16, 8), NOW_S + 10)
        assert known.enter(at(12)) == 18
        assert not known.marks

    def test_it_is_not_where_most_calls_are_well(self) -> None:
        known = circuits()
        known.learn(MODEL, (NOW_S, 0.0), self.counted(11, 5), NOW_S + 10)
        known.learn(MODEL, (NOW_S, 0.0), {}, NOW_S + 10)
        assert known.enter(at(10)) == 0

    def test_what_others_have_closed_is_closed_here(self) -> None:
        known = circuits()
        failed(known)
        known.learn(MODEL, (NOW_S, NOW_S + 31), self.counted(5, 5), NOW_S + 20)
        assert known.enter(at(20)) == 0

    def test_old_news_changes_nothing(self) -> None:
        known = circuits()
        all_failed = self.counted(16, 16)
        known.learn(MODEL, (NOW_S - 31, 0.0), all_failed, NOW_S)
        assert known.enter(CALL) == 0
        failed(known)
        known.learn(MODEL, (NOW_S - 20, NOW_S - 10), all_failed, NOW_S + 1)
        assert known.enter(at(2)) == 28
        assert known.enter(at(30)) == 0
        assert known.note(at(30), "answered", NOW_S + 31) == [(MODEL, "closed")]
        known.learn(MODEL, (NOW_S + 20, 0.0), self.counted(5, 5, 31), NOW_S + 32)  # by one that failed before
        assert known.enter(at(33)) == 0

    def test_what_it_covers_does_not_open_beside_it(self) -> None:
        known = circuits()
        failed(known)
        known.learn(OWN, (NOW_S + 10, 0.0), self.counted(16, 16), NOW_S + 11)
        assert known.enter(at(12)) == 18


def test_what_is_told_has_a_bounded_size() -> None:
    tallies = Tallies()
    known = Circuits(RULES, tallies)
    for number in range(6_000):
        known.note(replace(CALL, tenant_id=f"tenant-{number % 1_000}"), "failed", NOW_S - NOW_S % 60 + number / 100)
    assert [subject for _, subject in tallies.pending] == [MODEL.name]
    assert sum(len(name) + 3 for each in tallies.pending.values() for name in each) < 1_024


def test_providers_are_watched_by_pattern() -> None:
    assert not Rules().watch("openai")
    assert Rules(("*",)).watch("openai")
    assert [Rules(("azure", "open*")).watch(name) for name in ("azure", "openai", "groq")] == [True, True, False]


def test_an_endpoint_shows_no_address() -> None:
    name = endpoint_of("vllm", "http://10.0.0.7:8000/v1")
    assert name.startswith("vllm:")
    assert "10.0" not in name
    assert name != endpoint_of("vllm", "http://10.0.0.8:8000/v1")


@pytest.mark.parametrize("place", [ENDPOINT, MODEL, OWN, Place(CALL.endpoint, "a/b:c#d~e", OWN.tenant)])
def test_a_place_is_found_by_its_name_which_shows_no_tenant(place: Place) -> None:
    assert place_of(place.name) == place
    assert "acme" not in place.name
