"""What AWS takes for a million chats, calculated and written into docs/deploy.md: `python -m scripts.request_costs`.

What a request does is counted where it is documented; docs/decisions/0011 has the records' part.
"""

from __future__ import annotations

import re

from local.places import REPOSITORY

PAGE = REPOSITORY / "docs" / "deploy.md"
PLACE = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)

ONCE_USD = {
    "API Gateway, a request with an answer of up to 10 MB": 3.50,
    "Lambda, the call": 0.20,
    "DynamoDB, key, user and tenant read consistently: 3 read units": 3 * 0.125,
    "DynamoDB, held and settled: 2 write units": 2 * 0.625,
    "EventBridge, usage and two entries of the audit": 3.00,
    "DynamoDB, the record and its sums, once": 3.00,
    "SQS, to whoever keeps them": 1.30,
    "CloudWatch, lines of the request, of the edge and of the audit: 4 KB": 4 * 0.5,
}
"""For a million requests: us-east-1, 2026-11, on demand, without free tiers. https://aws.amazon.com/api-gateway/pricing/,
/lambda/pricing/, /dynamodb/pricing/on-demand/, /eventbridge/pricing/, /sqs/pricing/, /cloudwatch/pricing/"""
GB_SECOND_USD = 13.3334
"""A million GB-seconds on arm64."""
CHAT_GB = 1
ANSWERS_S = {
    "an answer of 1 s": 1,
    "of 3 s": 3,
    "of 8 s, a stream of some hundred tokens": 8,
    "of 30 s, one that reasons": 30,
}


def table() -> str:
    once = sum(ONCE_USD.values())
    rows = [f"| {what} | {usd:.2f} |" for what, usd in ONCE_USD.items()]
    lasting = [
        f"| **{what}**: all that, and {CHAT_GB} GB for as long | **{once + CHAT_GB * seconds * GB_SECOND_USD:.0f}** |"
        for what, seconds in ANSWERS_S.items()
    ]
    head = ["| For a million chats | USD |", "|---|---|"]
    return "\n".join([*head, *rows, f"| together | {once:.2f} |", *lasting, ""])


def main() -> None:
    PAGE.write_text(PLACE.sub(lambda _: table(), PAGE.read_text()))


if __name__ == "__main__":
    main()
