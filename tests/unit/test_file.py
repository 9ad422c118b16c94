"""Ids of files say when and what for a file was made, and sort newer ones first."""

from __future__ import annotations

from typing import get_args

import pytest

from gateway.model.file import Purpose, created_at_s, is_file_id, may_be_uploaded, new_file_id, purpose_of

NOISE = bytes(range(10))
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("now_s", [0.0, 1_790_000_000.999, 30_000_000_000.0])
def test_an_id_keeps_purpose_and_second(purpose: Purpose, now_s: float) -> None:
    file_id = new_file_id(purpose, now_s, NOISE)
    assert (len(file_id), is_file_id(file_id)) == (31, True)
    assert (purpose_of(file_id), created_at_s(file_id)) == (purpose, int(now_s))


def test_newer_ids_sort_first() -> None:
    ids = [new_file_id(PURPOSES[number % 8], 1_790_000_000 + number / 1000, NOISE) for number in range(2000)]
    assert sorted(ids) == ids[::-1]


def test_only_clients_upload_in_steps() -> None:
    uploaded = {purpose for purpose in PURPOSES if may_be_uploaded(new_file_id(purpose, 0, NOISE))}
    assert uploaded == set(PURPOSES) - {"assistants_output", "batch_output", "generated"}


def test_noise_tells_files_of_one_moment_apart() -> None:
    assert len({new_file_id("batch", 0, number.to_bytes(10)) for number in range(1000)}) == 1000


GOOD = "file_" + "0" * 9 + "b" + "0" * 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file_",
        "file_" + "0" * 26,
        GOOD[:-1],
        f"{GOOD}0",
        f"{GOOD}\n",
        f"{GOOD[:-1]}/",
        f"{GOOD[:-1]}w",
        GOOD.upper(),
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert not is_file_id(text)
    assert is_file_id(GOOD)
