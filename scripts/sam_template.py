"""template.yaml as data, its short functions (`!Ref`) in the long form (`Ref`)."""

from __future__ import annotations

from typing import Any

import yaml

from local.places import TEMPLATE


class _LongForm(yaml.SafeLoader):
    """CloudFormation's short tags as the long functions they stand for."""


def _expand(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TypeError(node)
    if suffix == "GetAtt":
        return {"Fn::GetAtt": value.split(".", 1)}
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_LongForm.add_multi_constructor("!", _expand)


def read() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=_LongForm)  # noqa: S506 - a SafeLoader
    return parsed
