"""Domain names of one's own: one for the API, another for sessions of voice."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.deploy.conftest import Resources, of_type


def test_a_domain_leads_to_the_stage_without_its_name(deployed: Resources) -> None:
    mapping = deployed["ApiDomainMapping"]["Properties"]
    assert mapping == {"DomainName": {"Ref": "ApiDomain"}, "RestApiId": {"Ref": "Api"}, "Stage": {"Ref": "ApiStage"}}


def test_clients_that_append_realtime_find_the_stage(deployed: Resources) -> None:
    """WebSocket and REST APIs share no name, and the keys of the former have no slash:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-mappings.html
    """
    [mapping] = of_type(deployed, "AWS::ApiGatewayV2::ApiMapping").values()
    assert mapping["Properties"]["ApiMappingKey"] == "realtime"
    assert mapping["Properties"]["Stage"] == {"Ref": "RealtimeStage"}
    assert deployed["RealtimeDomain"]["Properties"]["DomainName"] == {"Ref": "RealtimeDomainName"}


@pytest.mark.parametrize("name", ["Api", "Realtime"])
def test_a_domain_is_made_where_it_is_named_and_its_record_where_a_zone_is(deployed: Resources, name: str) -> None:
    record = deployed[f"{name}DomainRecord"]
    assert deployed[f"{name}Domain"]["Condition"] == deployed[f"{name}DomainMapping"]["Condition"] == f"Has{name}Domain"
    assert record["Condition"] == f"Names{name}"
    assert record["Properties"]["AliasTarget"]["DNSName"] == {"Fn::GetAtt": [f"{name}Domain", "RegionalDomainName"]}


def test_old_tls_is_refused(deployed: Resources) -> None:
    assert deployed["ApiDomain"]["Properties"]["SecurityPolicy"] == "TLS_1_2"
    [configuration] = deployed["RealtimeDomain"]["Properties"]["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"


@pytest.mark.parametrize("output", ["ApiUrl", "AdminUrl", "RealtimeUrl"])
def test_what_is_told_to_clients_is_the_name_where_there_is_one(template: dict[str, Any], output: str) -> None:
    api = output.removesuffix("Url").replace("Admin", "Api")
    condition, named, unnamed = template["Outputs"][output]["Value"]["Fn::If"]
    assert condition == f"Has{api}Domain"
    assert f"${{{api}DomainName}}" in named["Fn::Sub"]
    assert "execute-api" in unnamed["Fn::Sub"]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", True),
        ("llm.example.com", True),
        ("https://llm.example.com", False),
        ("llm", False),
        ("llm.example.com/", False),
    ],
)
def test_a_name_is_a_name_and_no_url(template: dict[str, Any], given: str, taken: bool) -> None:
    for parameter in ("ApiDomainName", "RealtimeDomainName"):
        assert bool(re.fullmatch(template["Parameters"][parameter]["AllowedPattern"], given)) is taken
