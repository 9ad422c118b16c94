"""Puts the chat function of a built template on Lambda Managed Instances where parameters name a capacity provider.

    python -m scripts.managed_instances .aws-sam/build/template.yaml ChatCapacityProviderArn=arn:aws:lambda:... ...

A step of `make deploy`, with the parameters that it deploys; without ChatCapacityProviderArn the file is left as it is.
What differs there stands in template.yaml, by the condition OnInstances, but for what a condition cannot say: SAM takes
a capacity provider by none, and makes a new deployment of the API only when the text of a function's name has changed.
https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

PARAMETER = "ChatCapacityProviderArn"
RULE = "InstancesByMakeDeploy"
"""Refuses the parameter in a template that has not been through here."""
NAME = "${AWS::StackName}-chat-instances"
"""No function gets a capacity provider later, or loses it, so another name makes another function."""
MEMORY_GIB_PER_VCPU = 2
"""Of the 2,048 MB that the function has there: one vCPU, for its process is one event loop."""


def on_instances(template: dict[str, Any]) -> dict[str, Any]:
    """The same template with chat on the instances of that capacity provider. Raises KeyError for another template."""
    del template["Rules"][RULE]
    if not template["Rules"]:
        del template["Rules"]
    chat = template["Resources"]["ChatFunction"]["Properties"]
    chat["FunctionName"] = {"Fn::Sub": NAME}
    chat["CapacityProviderConfig"] = {
        "Arn": {"Ref": PARAMETER},
        "PerExecutionEnvironmentMaxConcurrency": {"Ref": "ChatInstanceConcurrency"},
        "ExecutionEnvironmentMemoryGiBPerVCpu": MEMORY_GIB_PER_VCPU,
    }
    return template


def is_wanted(parameters: list[str]) -> bool:
    given = dict(each.partition("=")[::2] for each in parameters)
    return bool(given.get(PARAMETER))


def main(arguments: list[str]) -> int:
    path, *parameters = arguments
    if is_wanted(parameters):
        built = Path(path)
        built.write_text(yaml.safe_dump(on_instances(yaml.safe_load(built.read_text())), sort_keys=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
