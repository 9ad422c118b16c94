"""Reserved concurrency counts for a function's versions and aliases too.

MiniStack: looks for the number in the record of the version that is called, where it never is; a template's
ReservedConcurrentExecutions is lost as well.
AWS: the reservation is the function's, shared by all its versions and aliases.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html#cfn-lambda-function-reservedconcurrentexecutions
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator

_FUNCTION = "AWS::Lambda::Function"
_PROPERTY = "ReservedConcurrentExecutions"


def apply() -> None:
    service = emulator.lambda_service()

    def reserved(stock: Callable[..., int | None]) -> Callable[..., int | None]:
        def reserved_concurrency(function: dict[str, Any], config: dict[str, Any]) -> int | None:
            account_id, region = service._account_region_from_function_config(config)
            base = service._functions.get_scoped(account_id, region, config["FunctionName"])
            return stock(base or function, config)

        return reserved_concurrency

    emulator.replace(service, "_reserved_concurrency", reserved)
    handlers = emulator.provisioners()._RESOURCE_HANDLERS[_FUNCTION]
    handlers["create"] = _then_reserve(handlers["create"], properties_argument=1)
    handlers["update"] = _then_reserve(handlers["update"], properties_argument=2)


def _then_reserve(stock: Callable[..., Any], properties_argument: int) -> Callable[..., Any]:
    def provision(*arguments: Any, **named: Any) -> Any:
        result = stock(*arguments, **named)
        number = arguments[properties_argument].get(_PROPERTY)
        function = emulator.lambda_service()._functions.get(result[0])
        if function is not None:
            function["concurrency"] = None if number is None else int(number)
        return result

    return provision
