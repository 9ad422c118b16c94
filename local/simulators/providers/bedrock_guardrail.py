"""Amazon Bedrock's ApplyGuardrail: any guardrail blocks what is forbidden, and masks e-mail addresses.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html
"""

import re

from local.simulators.wire import Json, Refused

PATH = re.compile(r"/guardrail/(?P<id>[a-z0-9]+)/version/(?P<version>[1-9][0-9]{0,7}|DRAFT)/apply")
UNKNOWN_GUARDRAIL = "doesnotexist"
BLOCKED = "Sorry, this guardrail does not allow that."
_MAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,}")


def applied(found: re.Match[str], body: Json) -> Json:
    """Raises Refused."""
    if found["id"] == UNKNOWN_GUARDRAIL:
        raise Refused("model_not_found", "The guardrail identifier or version provided in the request does not exist.")
    texts = _texts(body)
    is_blocked = any("forbidden" in text.lower() for text in texts)
    masked = [_MAIL.sub("{EMAIL}", text) for text in texts]
    mails = [mail for text in texts for mail in _MAIL.findall(text)]
    outputs = [BLOCKED] if is_blocked else masked if mails else []
    topics = [{"name": "Forbidden", "type": "DENY", "action": "BLOCKED", "detected": True}] if is_blocked else []
    entities = [{"type": "EMAIL", "match": mail, "action": "ANONYMIZED", "detected": True} for mail in mails]
    return {
        "usage": {"topicPolicyUnits": 1, "contentPolicyUnits": 0, "wordPolicyUnits": 0},
        "action": "GUARDRAIL_INTERVENED" if outputs else "NONE",
        "actionReason": "Guardrail blocked." if is_blocked else "Guardrail masked." if mails else "No action.",
        "outputs": [{"text": text} for text in outputs],
        "assessments": [
            {"topicPolicy": {"topics": topics}, "sensitiveInformationPolicy": {"piiEntities": entities, "regexes": []}}
        ],
    }


def _texts(body: Json) -> list[str]:
    if body.get("source") not in ("INPUT", "OUTPUT"):
        raise Refused("out_of_range", "Value at 'source' failed to satisfy constraint: [INPUT, OUTPUT].")
    content = body.get("content")
    if not isinstance(content, list) or not content:
        raise Refused("empty", "Value at 'content' failed to satisfy constraint: at least one block.")
    texts = [block.get("text", {}).get("text") for block in content if isinstance(block, dict)]
    if len(texts) != len(content) or not all(isinstance(text, str) and text for text in texts):
        raise Refused("wrong_type", "Every block of 'content' has text.")
    return texts
