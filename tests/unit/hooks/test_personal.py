"""What looks personal is found, what only looks like it is not, and no text takes long."""

from __future__ import annotations

import time
from typing import get_args

import pytest

from gateway.hooks.iban import LENGTHS
from gateway.hooks.personal import PATTERNS, find
from gateway.model.hook import PiiKind

KINDS: tuple[PiiKind, ...] = get_args(PiiKind)


def found(text: str, kinds: tuple[PiiKind, ...] = KINDS) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find(text, kinds)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "joe.doe+news@mail.example.co.uk"),
        ("email", "Jörg@münchen.de"),
        ("email", "a@xn--mnchen-3ya.xn--p1ai"),
        ("card", "4111111111111111"),
        ("card", "4111 1111 1111 1111"),
        ("card", "5555-5555-5555-4444"),
        ("card", "3782 822463 10005"),
        ("card", "6011000990139424"),
        ("iban", "DE89370400440532013000"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "gb29 nwbk 6016 1331 9268 19"),
        ("iban", "MT84 MALT 0110 0001 2345 MTLC AST0 01S"),
        ("us_ssn", "078-05-1120"),
        ("ip", "192.0.2.17"),
        ("ip", "2001:db8::ff00:42:8329"),
        ("ip", "fe80::1"),
        ("phone", "+49 (0)30 1234567"),
        ("phone", "+14155552671"),
        ("phone", "+44 20 7946 0958"),
        ("phone", "(555) 123-4567"),
        ("phone", "1-800-555-0199"),
        ("phone", "555.123.4567"),
        ("phone", "030 1234567"),
        ("phone", "0171/1234567"),
        ("phone", "01 23 45 67 89"),
        ("phone", "06.12.34.56.78"),
        ("secret", "sk-proj-a1b2c3d4e5f6g7h8i9j0"),
        ("secret", "gwk_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"),
        ("secret", "AKIAIOSFODNN7EXAMPLE"),
        ("secret", "ghp_" + "a1" * 18),
        ("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"),
        ("secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "It is {}.", "({})", "a,{}\nb", "<b>{}</b>", "„{}“"])
def test_what_is_personal_is_found_wherever_it_stands(kind: str, value: str, around: str) -> None:
    assert found(around.format(value)) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # the check digit
        "1234567812345670",  # no card begins so
        "0000 0000 0000 0000",
        "666-12-3456 000-12-3456 900-12-3456 123-00-3456 123-45-0000",
        "999.1.1.1 1.2.3.4.5 3.11.4",
        "12:30:45 std::vector a::b Dead::Beef 10:15 1::2x x1::2 00:1b:44:11:3a:b7",
        "2026-11-29 12:30, 01/02/2026, 01-02-2026, 29.11.2026",
        "1,234,567.89 EUR, 00012345, 1234567890",
        "123e4567-e89b-12d3-a456-426614174000",
        "joe@localhost @joe a@b joe@.org",
        "sk-learn-is-a-nice-library risk-2024-assessment-of-everything",
        "<EMAIL_1> <CARD_2>",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "DE89 3704 0044 0532 0130 01",
        "XX89 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532 0130 0",
        "DE8937040044053201300O0",
    ],
)
def test_an_account_number_has_its_country_length_and_check_digits(text: str) -> None:
    assert found(text, ("iban",)) == []


def test_one_number_next_to_another() -> None:
    text = "No. 12 4111 1111 1111 1111 and 1234 5555 5555 5555 4444, AB12 DE89370400440532013000 MORE"
    assert [kind for kind, _ in found(text)] == ["card", "card", "iban"]


def test_what_overlaps_is_hidden_whole() -> None:
    text = "https://joe:sk-a1b2c3d4e5f6g7h8i9j0@example.org/"
    assert found(text) == [("secret", "sk-a1b2c3d4e5f6g7h8i9j0@example.org")]


def test_only_what_is_asked_for() -> None:
    assert found("joe@example.org from 192.0.2.17", ("ip",)) == [("ip", "192.0.2.17")]


def test_every_kind_has_patterns() -> None:
    assert set(PATTERNS) == set(KINDS)
    assert len(LENGTHS) > 80


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a",
            "a.",
            "a@",
            "1",
            "1 ",
            "1.",
            "DE11 ",
            "eyJ-",
            "eyJaaaaaaaa.",
            "sk-a1-",
            "+1 2",
            "01 ",
            "1111 ",
            "::1",
            ":",
            "a:",
        ),
        *("-----BEGIN PRIVATE KEY-----", "@a.a.a.a.a.a.a.a.a.", "4111 1111 1111 1111 ", "a@b.co ", "(0", "0171-"),
    ],
)
def test_time_grows_with_the_text_and_not_faster(unit: str) -> None:
    """Eight times the text: 64 times as long where a pattern tries the same characters again and again."""

    def seconds(characters: int) -> float:
        text = (unit * characters)[:characters]
        began_s = time.thread_time()
        find(text, KINDS)
        return time.thread_time() - began_s

    def least(characters: int) -> float:
        return min(seconds(characters) for _ in range(5))

    assert least(80_000) < 30 * least(10_000) + 0.01


def test_values_do_not_show_in_what_is_found() -> None:
    [one] = find("joe@example.org", KINDS)
    assert "joe" not in repr(one)


@pytest.mark.parametrize(
    "text", ["a@b.co", "::1", "1.1.1.1", "+12345678", "05 1234567", "078-05-1120", "NO9386011117947"]
)
def test_the_shortest_of_each_kind_is_found_too(text: str) -> None:
    assert [text[one.start : one.end] for one in find(text, PATTERNS)] == [text]
