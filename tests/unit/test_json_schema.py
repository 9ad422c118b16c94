"""JSON Schema with an end: whatever schema and reply, the judgement costs bounded CPU, and ordinary ones pass."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from gateway.model import json_schema
from gateway.model.cpu_limit import CpuLimitExceeded, within_cpu
from gateway.model.json_schema import MAX_BYTES, PATTERNS_CPU_LIMIT_S, schema_violations, text_violations

AT = "/response_schema"


@contextmanager
def at_most(cpu_s: float) -> Iterator[None]:
    began_s = time.process_time()
    yield
    assert time.process_time() - began_s < cpu_s


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
        r"^([a-z0-9-]+\.)+[a-z]{2,}$",
        r"^\d{4}-\d{2}$",
        r"^(cat|dog)s?$",
        r"^[^@]+@[^@]+$",
        # Zod's own for an e-mail address and for base64:
        # https://github.com/colinhacks/zod/blob/main/packages/zod/src/v4/core/regexes.ts
        r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
        r"^$|^(?:[0-9a-zA-Z+/]{4})*(?:(?:[0-9a-zA-Z+/]{2}==)|(?:[0-9a-zA-Z+/]{3}=))?$",
        # https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
        r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*"
        r"[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
    ],
)
def test_ordinary_patterns_are_not_suspected(pattern: str) -> None:
    assert schema_violations({"type": "string", "pattern": pattern}, AT) == ()


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"^(\w+\s?)*$", r"^(a|a)*$", r"(x+x+)+y"])
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_never_ends_is_refused_before_anything_is_paid(pattern: str, keyword: str) -> None:
    schema = {"properties": {"a": {keyword: pattern if keyword == "pattern" else {pattern: {}}}}}
    with at_most(2 * PATTERNS_CPU_LIMIT_S):
        (violation,) = schema_violations(schema, AT)
    assert violation.pointer == f"{AT}/properties/a/{keyword}"
    assert "without end" in violation.reason


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"pattern": "^x(a+)+$"}, json.dumps("x" + "a" * 60 + "!")),
        ({"pattern": "a*a*a*a*b"}, json.dumps("a" * 5_000)),
        ({"patternProperties": {"^x(a+)+$": {}}, "additionalProperties": False}, json.dumps({"x" + "a" * 60 + "!": 1})),
        (
            {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]},
            '{"a":' * 40 + "1" + "}" * 40,
        ),
    ],
)
def test_a_reply_that_cannot_be_judged_in_time_is_a_violation(
    schema: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert schema_violations(schema, AT) == ()
    monkeypatch.setattr(json_schema, "CPU_LIMIT_S", 0.05)
    with at_most(0.5):
        (violation,) = text_violations(text, schema)
    assert "takes too long" in violation.reason


def test_a_schema_that_judges_one_value_too_often_is_refused() -> None:
    laughs: dict[str, Any] = {f"a{level}": {"allOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(30)}
    (violation,) = schema_violations({"$ref": "#/$defs/a0", "$defs": {**laughs, "a30": {"type": "object"}}}, AT)
    assert "times" in violation.reason


def test_unique_objects_are_told_apart_in_linear_time() -> None:
    rows = [{"id": number, "tags": ["a", number, None, 1.5]} for number in range(5_000)]
    unique = {"type": "array", "uniqueItems": True}
    with at_most(1.0):
        assert text_violations(json.dumps(rows), unique) == ()
        (violation,) = text_violations(json.dumps([*rows, rows[17]]), unique)
    assert violation.pointer == ""


@pytest.mark.parametrize(
    ("items", "are_unique"),
    [
        ([1, 1.0], False),
        ([0, False], True),
        ([[1], [True]], True),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ([{"a": 1}, [["a", 1]]], True),
        (["1", 1], True),
        ([None, False, 0, "", [], {}], True),
        ([{}, {}], False),
    ],
)
def test_what_is_unique_is_as_in_the_specification(items: list[Any], are_unique: bool) -> None:
    assert (text_violations(json.dumps(items), {"uniqueItems": True}) == ()) is are_unique


def test_a_schema_of_many_unlike_names_is_checked_in_linear_time() -> None:
    mixed = [*range(20_000), *({} for _ in range(5))]
    with at_most(2.0):
        assert schema_violations({"required": mixed}, AT)


def test_a_schema_beyond_all_size_is_refused() -> None:
    (violation,) = schema_violations({"description": "x" * MAX_BYTES}, AT)
    assert (violation.pointer, violation.reason) == (AT, f"larger than {MAX_BYTES} bytes")


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"$ref": "#/definitions/missing"}, "/$ref"),
        ({"properties": {"a/b": {"items": {"$ref": "https://example.com/x.json"}}}}, "/properties/a~1b/items/$ref"),
        ({"$defs": {"a": {"$ref": "#nowhere"}}}, "/$defs/a/$ref"),
    ],
)
def test_a_reference_to_what_is_not_there_is_refused_before_anything_is_paid(
    schema: dict[str, Any], where: str
) -> None:
    (violation,) = schema_violations(schema, AT)
    assert (violation.pointer, "is not in the schema" in violation.reason) == (AT + where, True)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
        {"$ref": "#place", "$defs": {"a": {"$anchor": "place"}}},
        {"properties": {"a": {"$ref": "#"}}},
        {
            "$id": "https://example.com/s",
            "$ref": "a",
            "$defs": {"a": {"$id": "a", "$ref": "#/$defs/b", "$defs": {"b": {}}}},
        },
        {"properties": {"$ref": {"const": {"$ref": "nowhere"}}}, "default": {"$ref": "nowhere"}},
        {"definitions": {"a": {}}, "items": {"$ref": "#/definitions/a"}},
    ],
)
def test_a_reference_to_what_is_there_is_not(schema: dict[str, Any]) -> None:
    assert schema_violations(schema, AT) == ()


def test_everything_wrong_with_a_schema_is_told_at_once() -> None:
    found = schema_violations({"type": "objekt", "properties": {"a": {"minimum": "1"}}, "required": "a"}, AT)
    pointers = {violation.pointer for violation in found}
    assert {f"{AT}/type", f"{AT}/properties/a/minimum", f"{AT}/required"} <= pointers


def test_the_limit_is_taken_off_again() -> None:
    assert within_cpu(5, lambda: 7) == 7
    with pytest.raises(CpuLimitExceeded):
        within_cpu(0.05, spin)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL


def test_the_limit_counts_cpu_and_not_time() -> None:
    within_cpu(0.05, lambda: time.sleep(0.2))


def test_a_stop_that_gets_lost_comes_again() -> None:
    def deaf() -> None:
        with suppress(CpuLimitExceeded):
            spin()
        spin()

    with pytest.raises(CpuLimitExceeded):
        within_cpu(0.05, deaf)


def test_outside_the_main_thread_nothing_runs_without_a_limit() -> None:
    with ThreadPoolExecutor() as threads, pytest.raises(ValueError, match="main thread"):
        threads.submit(within_cpu, 1, lambda: None).result()


def spin() -> None:
    while True:
        pass
