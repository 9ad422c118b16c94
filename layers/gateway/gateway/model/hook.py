"""What is asked about a request before it goes to a provider, and about the reply before the client gets it.

A tenant's hooks run in their order; the first that blocks ends the request. Each kind says what it is asked with.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from gateway.model.unshown import Unshown

Stage: TypeAlias = Literal["pre_call", "post_response"]
Mode: TypeAlias = Literal["enforce", "observe"]
Action: TypeAlias = Literal["allow", "block", "modify"]
HookId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class HookBase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mode`: "enforce" may block and modify; "observe" is told and recorded, changes nothing, and on a stream lets the
    chunks pass. `on_failure`: what a hook that fails or is late means: the request fails (503 hook_unavailable), or
    goes on without it.
    """

    id: HookId
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1, max_length=2)] = ("pre_call",)
    mode: Mode = "enforce"
    on_failure: Literal["closed", "open"] = "closed"
    timeout_ms: Annotated[int, Meta(ge=10, le=10_000)] = 1_000


class LambdaHook(HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="lambda"):
    """A Lambda function in the gateway's account, whose name begins with "gateway-hook-"."""

    function: Annotated[str, Meta(pattern=r"^gateway-hook-[A-Za-z0-9_-]{1,50}(:[A-Za-z0-9_-]{1,128})?$")]


class WebhookHook(HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="webhook"):
    """An https URL, called as Standard Webhooks says, signed with the secret of that name in Secrets Manager."""

    url: Annotated[str, Meta(pattern=r"^https?://", max_length=2_048)]


class GuardrailHook(
    HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="bedrock_guardrail"
):
    """Amazon Bedrock Guardrails' ApplyGuardrail, in the gateway's account and region."""

    guardrail_id: Annotated[str, Meta(pattern=r"^[a-z0-9]{1,64}$")]
    version: Annotated[str, Meta(pattern=r"^([1-9][0-9]{0,7}|DRAFT)$")] = "DRAFT"


PiiKind: TypeAlias = Literal["email", "phone", "card", "iban", "ip", "us_ssn", "secret"]


class MaskPiiHook(HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="mask_pii"):
    """Puts a token in place of what looks personal. `restores`: puts it back where the reply has the token."""

    finds: Annotated[tuple[PiiKind, ...], Meta(min_length=1)] = ("email", "phone", "card", "iban", "ip", "us_ssn")
    restores: bool = True


class DenyListHook(HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="deny_list"):
    """Blocks text with one of these phrases: whole words, in any case."""

    phrases: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(min_length=1, max_length=1_000)
    ]


class SizeHook(HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="size"):
    """Blocks a prompt or a reply with more characters of text than that."""

    max_prompt_characters: Annotated[int, Meta(ge=1)] | None = None
    max_reply_characters: Annotated[int, Meta(ge=1)] | None = None


class SchemaHook(HookBase, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="json_schema"):
    """Blocks a reply whose text is not JSON of that schema, or a request whose body is not."""

    schema: dict[str, Any]


RemoteHook: TypeAlias = LambdaHook | WebhookHook | GuardrailHook
BuiltInHook: TypeAlias = MaskPiiHook | DenyListHook | SizeHook | SchemaHook
Hook: TypeAlias = RemoteHook | BuiltInHook


class HookMessage(Unshown, frozen=True):
    """What a remote hook is sent. `id`: the same whenever it is sent again. `body`: JSON."""

    UNSHOWN: ClassVar = ("body",)

    id: str
    tenant_id: str
    body: bytes


class HookFailed(Exception):
    """A hook that was asked gave no answer that can be used. `cause`: a code, never what it said or where it is."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class HookRun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of asking one hook, for the records. `reason`: its own, of a block. `cause`: of a failure."""

    id: str
    stage: Stage
    mode: Mode
    action: Action | Literal["failed"]
    latency_ms: float
    reason: str | None = None
    cause: str | None = None
