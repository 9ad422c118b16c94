"""Where a recorded request went, of providers whose address depends on the owner: base URL and settings."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

Place = tuple[str, dict[str, str]]

_PROJECT = re.compile(r"/(?P<api_version>v\w+)/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/publishers/")


def azure(url: str) -> Place:
    """The older API is known by its version in the query."""
    parts = urlsplit(url)
    path = re.split(r"/deployments/|/chat/completions|/responses", parts.path)[0]
    return f"{parts.scheme}://{parts.netloc}{path}", {
        name.replace("-", "_"): values[0] for name, values in parse_qs(parts.query).items()
    }


def vertex(url: str) -> Place:
    """The sources put their own projects and hosts in order, so only the path counts."""
    found = _PROJECT.search(url)
    assert found is not None, url
    return "https://vertex.example", {name: unquote(value) for name, value in found.groupdict().items()}


def huggingface(url: str) -> Place:
    """A provider behind the router may be called by a path of its own."""
    return url.removesuffix("/chat/completions"), {}


def bedrock(url: str) -> Place:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", {}


PLACES = {"azure": azure, "bedrock": bedrock, "vertex": vertex, "huggingface": huggingface}
