"""No function loads more at its start than the table says: what is loaded there is paid for by every cold start."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from scripts.import_budget import BUDGET, FUNCTIONS, STEP, Loaded, given, loaded_by, table

HOT = {"chat", "embeddings", "images", "speech", "transcriptions", "videos", "realtime", "realtime_secrets"}
HEAVY = {"aws_lambda_powertools", "boto3", "botocore", "fastapi", "httpx", "mangum", "pydantic", "starlette"}
WHAT_TO_DO = """

{function} loads at its start: {now}
and may load:                  {may}

Import it where it is used, if most requests need it not; put it under TYPE_CHECKING, if only annotations name it; or,
where every cold start should pay for it, run `python -m scripts.import_budget` and commit the table that it writes."""


@pytest.fixture(scope="module")
def loaded() -> dict[str, Loaded]:
    with ThreadPoolExecutor(2) as processes:
        return dict(zip(FUNCTIONS, processes.map(loaded_by, FUNCTIONS), strict=True))


@pytest.fixture(scope="module")
def budgets() -> dict[str, Loaded]:
    return msgspec.json.decode(BUDGET.read_bytes(), type=dict[str, Loaded])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_loads_what_its_budget_allows(
    function: str, loaded: dict[str, Loaded], budgets: dict[str, Loaded]
) -> None:
    now, may = loaded[function], budgets[function]
    assert now.keeps(may, given()), WHAT_TO_DO.format(function=function, now=now, may=may)
    assert now.modules > may.modules - 4 * STEP, f"{function} loads far less than it may: write the table anew"


def test_functions_that_answer_while_somebody_waits_load_no_framework(budgets: dict[str, Loaded]) -> None:
    assert budgets.keys() == set(FUNCTIONS)
    assert {name: HEAVY & {*budgets[name].packages} for name in HOT if HEAVY & {*budgets[name].packages}} == {}


def test_a_table_leaves_room_for_a_few_modules() -> None:
    found = Loaded.of(["sys", "app", "gateway", "gateway.model", "msgspec._core", "xml.sax", "email"])
    assert found == Loaded(["msgspec"], ["xml.sax"], 2)
    assert msgspec.json.decode(table({"chat": found}), type=dict[str, Loaded]) == {"chat": found.budget()}
    assert [Loaded([], [], count).budget().modules for count in (2, 9, 10)] == [STEP, STEP, 2 * STEP]


def test_what_an_interpreter_brings_by_itself_is_nobody_s() -> None:
    """Neither where the table has it, as functions need it in other interpreters, nor where it has not."""
    with_it, without = Loaded(["msgspec"], ["dataclasses"], 9), Loaded(["msgspec"], [], 9)
    assert with_it.keeps(without, {"dataclasses"}) and without.keeps(with_it, {"dataclasses"})
    assert not with_it.keeps(without, set()) and not without.keeps(with_it, set())
    assert not Loaded(["msgspec"], ["dataclasses", "zipfile"], 9).keeps(without, {"dataclasses"})
    assert not Loaded([], ["dataclasses"], 9).keeps(without, {"dataclasses"})
    assert not Loaded(["msgspec"], ["dataclasses"], 10).keeps(without, {"dataclasses"})


def test_what_an_interpreter_brings_is_asked_of_it() -> None:
    assert ("dataclasses" in given()) == (sys.version_info >= (3, 14))
