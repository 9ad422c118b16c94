"""A budget that reaches a mark is told on the bus, in the words of the mail, and archived."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from local.places import TEMPLATE
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, aws, eventually
from tests.e2e.tenants import put_key, put_tenant

pytestmark = pytest.mark.stack
BUS = "llm-gateway"


class _Plain(yaml.SafeLoader):
    """CloudFormation's tags as what stands behind them."""


_Plain.add_multi_constructor(
    "!",
    lambda loader, _suffix, node: (
        loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_mapping(node, deep=True)
    ),
)


@pytest.fixture
def mails(local: Gateway) -> Iterator[str]:
    """A queue in place of the mailbox, behind the template's own rule: nobody reads mail here."""
    rule = yaml.load(TEMPLATE.read_text(), Loader=_Plain)["Resources"]["AlertRule"]["Properties"]  # noqa: S506 - a SafeLoader
    sqs, sns, events = (aws(local, service) for service in ("sqs", "sns", "events"))
    url = sqs.create_queue(QueueName="mails")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    events.put_rule(Name="mails", EventBusName=BUS, EventPattern=json.dumps(rule["EventPattern"]))
    [target] = rule["Targets"]
    events.put_targets(Rule="mails", EventBusName=BUS, Targets=[{**target, "Arn": topic}])
    yield url
    events.remove_targets(Rule="mails", EventBusName=BUS, Ids=[target["Id"]])
    events.delete_rule(Name="mails", EventBusName=BUS)
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)


def test_a_mark_is_mailed_and_archived(local: Gateway, mails: str) -> None:
    tenant_id = f"alerted-{uuid.uuid4().hex[:8]}"
    budget = {"window": "month", "usd": "0.0002"}
    put_tenant(local.aws_endpoint_url, tenant_id, allowance={"budgets": [budget], "alerts": [10]})
    key = put_key(local.aws_endpoint_url, tenant_id, "alice")
    with httpx.Client(base_url=local.http, headers={"authorization": f"Bearer {key}"}, timeout=60) as http:
        customer = Customer(local, tenant_id, key, http)
        for _ in range(2):
            assert customer.ask("openai/gpt-4o-mini", "word " * 20, max_tokens=50)["usage"]["cost_estimate"] > 0.00001

    def arrived() -> Any:
        found = aws(local, "sqs").receive_message(QueueUrl=mails, MaxNumberOfMessages=10).get("Messages")
        return [json.loads(message["Body"])["Message"] for message in found] if found else None

    [mail] = eventually(arrived)
    [alert] = eventually(lambda: customer.archived("alerts") or None)
    assert mail.strip('"') == (
        f"10 % of a budget of tenant {tenant_id} is spent (level: tenant, window: {alert['window']}, models: *): "
        f"{alert['spent_nano_usd']} of 200000 nano-USD. Alert {alert['id']}."
    )
    assert (alert["percent"], alert["limit_nano_usd"], alert["level"]) == (10, 200_000, "tenant")
