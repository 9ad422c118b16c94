"""docs/chat.md against the table of errors, the contract and OpenAI's client."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from openai.types.chat import completion_create_params

from gateway.model.chat import ChatCall
from tests.unit.facts.contract import document
from tests.unit.facts.facts import ROOT, error_rows

PAGE = (ROOT / "docs" / "chat.md").read_text()
CHAT = document()["paths"]["/v1/chat/completions"]["post"]
NOT_OF_CHATS = {
    (401, "invalid_signature"),
    (409, "conflict"),
    *((404, f"{what}_not_found") for what in ("file", "schema", "request", "tenant", "user", "key", "batch")),
    # Of a chat that runs as a job, which has a page of its own.
    *((404, "job_not_found"), (409, "job_cancelled"), (410, "job_expired"), (500, "job_interrupted")),
}


def section(title: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def told_errors() -> Iterator[tuple[int, str]]:
    for statuses, codes in re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|", section("Errors"), re.MULTILINE):
        numbers, names = [int(status) for status in statuses.split(", ")], re.findall(r"`(\w+)`", codes)
        if len(numbers) == 1:
            yield from ((numbers[0], name) for name in names)
        else:
            yield from zip(numbers, names, strict=True)


def test_every_error_of_a_chat_is_on_the_page() -> None:
    rows = {(row["status"], row["code"]) for row in error_rows() if str(row["status"]) in CHAT["responses"]}
    told = [*told_errors()]
    assert len(told) == len(set(told))
    assert set(told) == (rows | {(405, "method_not_allowed")}) - NOT_OF_CHATS


def paths_named(text: str) -> set[str]:
    return set(re.findall(r"/v1/[\w/{}]+", text))


def test_what_is_said_to_be_here_is_and_what_is_not_is_not() -> None:
    here, away = (paths_named(part) for part in section("What of OpenAI's API is here").split("| Not here |"))
    served = set(document()["paths"]) | {"/v1/realtime"}
    assert here <= served, here - served
    assert "/v1/responses" in away
    assert not {path for path in served if path in away or path.startswith(tuple(f"{one}/" for one in away))}


def test_every_parameter_of_openai_s_that_a_chat_lacks_is_named() -> None:
    theirs = set(completion_create_params.CompletionCreateParamsBase.__annotations__)
    ours = {member.encode_name for member in msgspec.structs.fields(ChatCall)}
    [sentence] = re.findall(r"OpenAI's but for (.*?)(?=, plus)", section("Parameters"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == theirs - ours
