"""The URL rules. A URL is read once; what was read is what is connected to, so no second parser can disagree."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

import idna
from msgspec import Struct

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Address, Exempt, is_public
from gateway.adapters.guarded_fetch.refusal import Refused

MAX_URL_CHARACTERS = 8192
MAX_NAME_CHARACTERS = 253
# https://www.rfc-editor.org/rfc/rfc3986#appendix-B, with the authority split further and a strict port.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"//(?P<userinfo>[^/?#]*@)?(?P<host>\[[^]/?#@]*]|[^][:/?#@]*)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:[/?][^#]*)?)(?:#.*)?"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SENT_AS_IT_IS = "%/:?[]@!$&'()*+,;=-._~"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
# A host that ends like this is an IPv4 address in some notation that inet_aton takes, never a name:
# https://url.spec.whatwg.org/#ends-in-a-number-checker
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Special-use names (https://www.iana.org/assignments/special-use-domain-names) and those of clouds for their insides.
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "arpa", "onion", "invalid")
_PORTS = {"https": 443, "http": 80}


class Target(Struct, frozen=True):
    """One hop. `host`: a lower-case ASCII name without a dot at its end, or the text of an IP address.

    `literal`: the host as an address that has been checked, None for a name. `path`: with the query, percent-encoded.
    """

    text: str
    scheme: str
    host: str
    port: int
    literal: Address | None
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_target(text: str, exempt: Exempt) -> Target:
    """Raises Refused."""
    parts = _split(text)
    scheme = parts["scheme"].lower()
    if scheme not in _PORTS:
        raise _wrong_scheme()
    if parts["userinfo"] is not None:
        raise Refused("userinfo_not_allowed", "A URL with a user name or a password is not fetched.")
    host, literal = _read_host(parts["host"])
    port = int(parts["port"] or _PORTS[scheme])
    target = Target(text, scheme, host, port, literal, _sent_path(parts["path"]))
    if (literal, port) in exempt:
        return target
    if scheme != "https":
        raise _wrong_scheme()
    if port != 443:
        raise Refused("port_not_allowed", "Only port 443 is fetched from.")
    if literal is not None:
        check_public(literal)
    return target


def next_target(current: Target, location: str, exempt: Exempt) -> Target:
    """Where a redirect leads, under the same rules; none leads from the outside to what is exempt. Raises Refused."""
    _check_characters(location)
    try:
        joined = urljoin(current.text, location)
    except ValueError:
        raise Refused("redirect_invalid", "The site redirects to something that is no URL.") from None
    return read_target(joined, exempt if (current.literal, current.port) in exempt else NONE_EXEMPT)


def check_public(address: Address) -> None:
    """Raises Refused."""
    if not is_public(address):
        raise Refused("address_not_public", "The host's address is not a public one.")


def _split(text: str) -> dict[str, str]:
    """`userinfo` and `port` may be None."""
    _check_characters(text)
    if (parts := _URL.fullmatch(text)) is not None:
        return parts.groupdict()
    if (scheme := _SCHEME.match(text)) is not None and scheme[1].lower() not in _PORTS:
        raise _wrong_scheme()
    raise Refused("url_invalid", "The URL does not have the form https://host/path.")


def _check_characters(text: str) -> None:
    """Spaces, line ends, other control characters and backslashes: parsers disagree about what they mean."""
    if not text or len(text) > MAX_URL_CHARACTERS:
        raise Refused("url_invalid", f"The URL is empty or longer than {MAX_URL_CHARACTERS} characters.")
    if not text.isprintable() or " " in text or "\\" in text:
        raise Refused("url_invalid", "The URL has spaces, control characters or backslashes in it.")


def _sent_path(path: str) -> str:
    """What is percent-encoded already stays as it is, for a signature in the query may cover it."""
    encoded = quote(path, safe=_SENT_AS_IT_IS)
    return encoded if encoded.startswith("/") else f"/{encoded}"


def _read_host(host: str) -> tuple[str, Address | None]:
    """The host as name, or as text of an address and that address. Raises Refused."""
    if host.startswith("["):
        return _read_ipv6(host[1:-1])
    name = _ascii(host).removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _read_ipv4(name)
    if any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES):
        raise Refused("host_not_allowed", "The host's name is one of local networks.")
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise Refused("host_invalid", "The URL's host is not a full domain name.")
    return name, None


def _ascii(host: str) -> str:
    """What a resolver is asked for: full-width digits, say, become digits before anything is checked (UTS 46)."""
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise Refused("host_invalid", "The URL's host is not a valid international domain name.") from None


def _read_ipv4(text: str) -> tuple[str, Address]:
    """Exactly four decimal numbers without leading zeros."""
    try:
        return text, IPv4Address(text)
    except AddressValueError:
        raise Refused("address_notation", "The IP address is not written as four decimal numbers.") from None


def _read_ipv6(text: str) -> tuple[str, Address]:
    """Any notation, for all of them mean one number; no zone, which would choose a network interface."""
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise Refused("address_notation", "The IP address cannot be read.") from None
    if address.scope_id is not None:
        raise Refused("address_notation", "An IP address with a zone is not fetched from.")
    return str(address), address


def _wrong_scheme() -> Refused:
    return Refused("scheme_not_allowed", "Only https URLs are fetched.")
