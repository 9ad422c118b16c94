"""Errors that only the administrator sees: leaves of the tree in `errors.py`."""

from __future__ import annotations

from gateway.model.errors import GatewayError


class TenantNotFound(GatewayError):
    """There is no such tenant."""

    status, code, type = 404, "tenant_not_found", "invalid_request_error"


class UserNotFound(GatewayError):
    """The tenant has no user of that id with settings of his own."""

    status, code, type = 404, "user_not_found", "invalid_request_error"


class KeyNotFound(GatewayError):
    """The tenant has no API key of that id."""

    status, code, type = 404, "key_not_found", "invalid_request_error"


class Conflict(GatewayError):
    """What is to be made is there already, or what is to be changed is not in a state that allows it."""

    status, code, type = 409, "conflict", "invalid_request_error"


class PreconditionFailed(GatewayError):
    """If-Match names a version that is no longer the current one: read it again."""

    status, code, type = 412, "precondition_failed", "invalid_request_error"
