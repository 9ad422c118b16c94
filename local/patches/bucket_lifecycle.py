"""A bucket's LifecycleConfiguration takes effect when the template is deployed.

MiniStack: ignores the property, though it has PutBucketLifecycleConfiguration.
AWS: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-lifecycleconfiguration.html
Only what gateways use is translated: prefix, expiration in days, unfinished uploads, old versions.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from local import emulator

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def apply() -> None:
    s3 = emulator.module("services.s3")
    ours = ("LifecycleConfiguration", to_xml, s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle)
    emulator.replace(emulator.provisioners(), "_S3_BUCKET_CONFIGURATIONS", lambda known: (*known, ours))


def to_xml(configuration: dict[str, Any]) -> bytes:
    """The body of PutBucketLifecycleConfiguration for a template's property."""
    rules = "".join(_rule(rule) for rule in configuration.get("Rules") or [])
    return f'<LifecycleConfiguration xmlns="{_NAMESPACE}">{rules}</LifecycleConfiguration>'.encode()


def _rule(rule: dict[str, Any]) -> str:
    parts = [
        _element("ID", rule.get("Id")),
        f"<Filter>{_element('Prefix', rule.get('Prefix', ''))}</Filter>",
        _element("Status", rule.get("Status", "Enabled")),
    ]
    if "ExpirationInDays" in rule:
        parts.append(f"<Expiration>{_element('Days', rule['ExpirationInDays'])}</Expiration>")
    if upload := rule.get("AbortIncompleteMultipartUpload"):
        days = _element("DaysAfterInitiation", upload["DaysAfterInitiation"])
        parts.append(f"<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>")
    if old := rule.get("NoncurrentVersionExpiration"):
        days = _element("NoncurrentDays", old["NoncurrentDays"])
        parts.append(f"<NoncurrentVersionExpiration>{days}</NoncurrentVersionExpiration>")
    return f"<Rule>{''.join(parts)}</Rule>"


def _element(name: str, value: object) -> str:
    return "" if value is None else f"<{name}>{escape(str(value))}</{name}>"
