"""MiniStack's modules, and the one way our patches replace something in them.

MiniStack is only installed in the stack's own environment, so its modules are imported by name when the launcher runs;
what they contain is therefore untyped here, and every name that a patch touches is looked up through `replace`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from types import ModuleType
from typing import Any

MINISTACK_VERSION = "1.5.33"


class WrongMiniStack(RuntimeError):
    """Another MiniStack than the one the patches were written for, or none."""


def check_version() -> None:
    """Raises WrongMiniStack, with what to do about it."""
    advice = "Run: python3 -m local.venvs stack"
    try:
        installed = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        raise WrongMiniStack(f"MiniStack is not installed in this environment. {advice}") from None
    if installed != MINISTACK_VERSION:
        raise WrongMiniStack(
            f"MiniStack {MINISTACK_VERSION} is needed, found {installed}: local/patches/ fits only that one. {advice}"
        )


def module(name: str) -> ModuleType:
    """A MiniStack module by its name below `ministack`, for example "services.lambda_svc"."""
    return importlib.import_module(f"ministack.{name}")


def replace(owner: ModuleType | type, name: str, make: Callable[[Any], Any]) -> None:
    """Replace `owner.name` by what `make` returns for the original. Raises AttributeError when there is no original."""
    setattr(owner, name, make(getattr(owner, name)))


def app() -> ModuleType:
    return module("app")


def lambda_service() -> ModuleType:
    return module("services.lambda_svc")


def rest_service() -> ModuleType:
    return module("services.apigateway_v1")


def websocket_service() -> ModuleType:
    return module("services.apigateway")


def provisioners() -> ModuleType:
    return module("services.cloudformation.provisioners")
