"""In which order members of a group are asked, by each policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.health_ports import AllHealthy
from gateway.model.group import Routing
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import Route
from gateway.pipeline.routing import TRIED, Standing, order_of
from gateway.ports import World
from gateway.providers.lookup import provider_named
from tests.unit.several_providers import model, several

NAMES = ("openai/gpt", "groq/llama", "mistral/large")


def standing(name: str, weight: int = 1, demand: Demand | None = None) -> Standing:
    provider, _, model_id = name.partition("/")
    route: Route[Any] = Route(provider_named(provider), model(model_id), None)
    return Standing(weight, route, demand or Demand(name, 0, 0, 1.0))


@pytest.fixture
def world() -> World:
    return replace(several().world, dice=Random(20_261_129).random)  # noqa: S311 - dice


def with_figures(world: World, figures: dict[str, int]) -> World:
    class Figures(AllHealthy):
        def p95_ms(self, provider: str, model: str) -> int | None:
            return figures.get(f"{provider}/{model}")

    return replace(world, health=Figures())


def orders(routing: Routing, members: Sequence[Standing], world: World, times: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(order_of(routing, members, world)) for _ in range(times))


def weighted(*weights: int) -> list[Standing]:
    return [standing(name, weight) for name, weight in zip(NAMES, weights, strict=False)]


def test_as_they_are_listed_but_for_those_that_are_only_fallen_back_on(world: World) -> None:
    assert order_of("ordered", weighted(1, 1, 1), world) == [0, 1, 2]
    assert order_of("ordered", weighted(0, 5, 1), world) == [1, 2, 0]


def test_by_lot_each_has_its_share_first_and_its_share_of_what_others_fail(world: World) -> None:
    """Of 10,000 at 6:3:1: the first by their weights, the second by those of the rest. Five standard deviations."""
    found = orders("weighted", weighted(6, 3, 1), world, 10_000)
    first = Counter({place: sum(n for order, n in found.items() if order[0] == place) for place in range(3)})
    assert first[0] == pytest.approx(6_000, abs=250)
    assert first[1] == pytest.approx(3_000, abs=230)
    assert first[2] == pytest.approx(1_000, abs=150)
    assert found[0, 1, 2] / first[0] == pytest.approx(3 / 4, abs=0.03)


def test_by_lot_a_weight_of_0_never_comes_before_another(world: World) -> None:
    found = orders("weighted", weighted(0, 1, 0), world, 1_000)
    assert found == {(1, 0, 2): 1_000}
    assert orders("weighted", weighted(0, 0), world, 10) == {(0, 1): 10}


def test_by_lot_the_extremes_of_the_dice(world: World) -> None:
    assert order_of("weighted", weighted(1, 1_000), replace(world, dice=lambda: 0.0)) == [0, 1]
    assert order_of("weighted", weighted(1, 1_000), replace(world, dice=Random(1).random))[0] == 1  # noqa: S311 - dice
    assert order_of("weighted", weighted(1, 1_000), replace(world, dice=lambda: 1 - 2**-53)) == [1, 0]


class TestLatency:
    def test_the_fastest_comes_first(self, world: World) -> None:
        figures = dict(zip(NAMES, (900, 300, 600), strict=True))
        found = orders("lowest_latency", weighted(1, 1, 1), with_figures(world, figures), 100)
        assert found == {(1, 2, 0): 100}

    def test_one_of_which_nothing_is_known_is_tried_by_some_calls_and_is_the_last_of_the_others(
        self, world: World
    ) -> None:
        figures = {NAMES[1]: 300, NAMES[2]: 200}
        found = orders("lowest_latency", weighted(1, 1, 1), with_figures(world, figures), 5_000)
        assert set(found) == {(2, 1, 0), (0, 2, 1)}
        assert found[0, 2, 1] == pytest.approx(5_000 * TRIED, abs=110)

    def test_before_anything_is_known_they_are_asked_as_they_are_listed(self, world: World) -> None:
        assert orders("lowest_latency", weighted(1, 1, 1), world, 100) == {(0, 1, 2): 100}

    def test_one_that_is_only_fallen_back_on_is_not_tried(self, world: World) -> None:
        found = orders("lowest_latency", weighted(1, 0), with_figures(world, {NAMES[0]: 900}), 1_000)
        assert found == {(0, 1): 1_000}


class TestCost:
    def priced(self, prompt: int, output: int, reply_tokens: int) -> Demand:
        def cost_of(reply_tokens: int) -> int:
            return prompt + output * reply_tokens

        return Demand("", 0, cost_of(reply_tokens), 1.0, cost_by_reply=(reply_tokens, cost_of))

    def order(self, world: World, *demands: Demand) -> list[int]:
        members = [standing(name, demand=one) for name, one in zip(NAMES, demands, strict=False)]
        return order_of("lowest_cost", members, world)

    def test_the_cheapest_for_this_very_call_comes_first(self, world: World) -> None:
        assert self.order(world, self.priced(10, 5, 100), self.priced(600, 1, 100), self.priced(0, 4, 100)) == [2, 0, 1]
        assert self.order(world, self.priced(10, 5, 1), self.priced(600, 1, 1), self.priced(0, 4, 1)) == [2, 0, 1]
        assert self.order(world, self.priced(10, 7, 100), self.priced(600, 1, 100)) == [1, 0]

    def test_a_model_is_not_dearer_for_the_longer_reply_that_it_could_give(self, world: World) -> None:
        assert self.order(world, self.priced(0, 2, 100), self.priced(0, 1, 10_000)) == [1, 0]

    def test_a_price_that_is_unknown_comes_last_and_a_free_one_first(self, world: World) -> None:
        unknown, free = Demand("", 100, 0, 1.0), Demand("", 100, 0, 1.0, cost_by_reply=(100, lambda _: 0))
        assert self.order(world, unknown, self.priced(10, 1, 100), free) == [2, 1, 0]

    def test_exactly_beyond_what_a_float_can_tell(self, world: World) -> None:
        dear, cheap = self.priced(2**60 + 1, 0, 1), self.priced(2**60, 0, 1)
        assert self.order(world, dear, cheap) == [1, 0]

    def test_as_listed_where_they_cost_the_same(self, world: World) -> None:
        same = partial(self.priced, 10, 1, 100)
        assert self.order(world, same(), same(), same()) == [0, 1, 2]
