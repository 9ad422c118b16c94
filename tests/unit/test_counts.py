"""What a provider says that it counted is its word alone: no figure takes money out of the books, or breaks them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.catalog import ModelFacts, Prices, UnitPrice
from gateway.model.money import cost_nano_usd
from gateway.model.usage import MOST, CompletionTokensDetails, PromptTokensDetails, TokenUsage

COUNT = st.integers() | st.sampled_from([-1, 0, 2**63, 10**40])
FACTS = ModelFacts(
    id="m",
    name="m",
    prices=Prices(input=3_000_000, output=15_000_000, cache_read=300_000, input_audio=9_000_000),
    unit_prices=(UnitPrice(unit="images", pico_usd=1_000),),
)


def parts(kind: type[PromptTokensDetails | CompletionTokensDetails]) -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(kind.__struct_fields__, COUNT))


USAGE = st.builds(
    TokenUsage,
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
    prompt=parts(PromptTokensDetails).map(lambda found: PromptTokensDetails(**found)),
    completion=parts(CompletionTokensDetails).map(lambda found: CompletionTokensDetails(**found)),
    billed_prompt_tokens=st.none() | COUNT,
    billed_completion_tokens=st.none() | COUNT,
    units=st.dictionaries(st.just("images"), COUNT),
    stated_cost_nano_usd=st.none() | COUNT,
)


@given(USAGE, USAGE)
def test_no_figures_cost_less_than_nothing_or_more_than_a_number_holds(one: TokenUsage, other: TokenUsage) -> None:
    for usage in (one, one + other):
        cost = cost_nano_usd(usage, FACTS)
        assert cost is not None
        assert 0 <= cost < 2**63


@pytest.mark.parametrize(("said", "taken"), [(-1, 0), (0, 0), (7, 7), (MOST, MOST), (MOST + 1, MOST), (10**40, MOST)])
def test_a_count_that_nothing_can_have_is_the_nearest_that_it_can(said: int, taken: int) -> None:
    usage = TokenUsage(
        prompt_tokens=said,
        prompt=PromptTokensDetails(cached_tokens=said),
        completion=CompletionTokensDetails(image_tokens=said),
        billed_prompt_tokens=said,
        units={"images": said},
        stated_cost_nano_usd=said,
    )
    assert usage.prompt_tokens == usage.prompt.cached_tokens == usage.completion.image_tokens == taken
    assert (usage.billed_prompt_tokens, usage.units, usage.stated_cost_nano_usd) == (taken, {"images": taken}, taken)
    assert usage.billed_completion_tokens is None
