"""What was not fetched, and why: a code for programs and a sentence that never names an address or a name inside."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

RefusalCode: TypeAlias = Literal[
    "url_invalid",  # not a URL at all, or with characters that parsers disagree about
    "scheme_not_allowed",
    "port_not_allowed",
    "userinfo_not_allowed",
    "host_invalid",
    "host_not_allowed",  # a name of local networks
    "address_notation",  # an IP address written in another way than the plain one
    "address_not_public",
    "too_many_redirects",
    "redirect_invalid",
    "content_encoding",
    "too_large",
    "type_not_accepted",
]
FailureCode: TypeAlias = Literal[
    "name_not_resolved",
    "connect_failed",
    "tls_failed",
    "upstream_status",
    "protocol_error",
    "timeout",
    "storage_failed",
]


class NotFetched(Exception):
    """Base. `reason`: a sentence for the one who gave the URL."""

    status: ClassVar[Literal["refused", "failed"]]
    code: RefusalCode | FailureCode
    http_status: int | None = None

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refused(NotFetched):
    """The rules forbid it: trying again changes nothing."""

    status = "refused"

    def __init__(self, code: RefusalCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Failed(NotFetched):
    """It is allowed, but did not work: the site, the network or the storage failed.

    `http_status`: the site's, where that is the failure.
    """

    status = "failed"

    def __init__(self, code: FailureCode, reason: str, http_status: int | None = None) -> None:
        super().__init__(reason)
        self.code, self.http_status = code, http_status
