"""Runs in SAM's own environment: a SAM template as JSON on standard input, the CloudFormation template on output.

Parameters that the template gives no default are not known here; everything else is what the transform on AWS does.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def cloudformation(template: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    parser = importlib.import_module("samtranslator.parser.parser")
    translator = importlib.import_module("samtranslator.translator.translator")
    transform = translator.Translator(managed_policy_map={}, sam_parser=parser.Parser())
    result: dict[str, Any] = transform.translate(sam_template=template, parameter_values=parameters)
    return result


if __name__ == "__main__":
    request = json.load(sys.stdin)
    json.dump(cloudformation(request["template"], request["parameters"]), sys.stdout)
