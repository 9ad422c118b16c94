"""scripts/refresh_catalog.py: from models.dev rows and an overlay to catalog files."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.catalog_overlay import CatalogError, pico_usd_per_token, read_overlays
from scripts.refresh_catalog import build, main
from tests.unit.facts.facts import CATALOG, CATALOG_DATA

CHAT: dict[str, Any] = {
    "name": "One",
    "release_date": "2026-01-02",
    "reasoning": False,
    "tool_call": True,
    "temperature": True,
    "cost": {"input": Decimal("0.15"), "output": Decimal("0.6")},
    "limit": {"context": 1000, "output": 100},
    "modalities": {"input": ["text", "pdf", "image"], "output": ["text"]},
}
FACT = {"source": "https://example.com/models", "as_of": "2026-02-03"}


def built(tmp_path: Path, models: dict[str, Any], **overlay: Any) -> dict[str, dict[str, Any]]:
    """Rows by id of a catalog made from these models and this overlay."""
    whole = {"provider": "one", "models_dev": "one-ai", "api": "chat_completions", **overlay}
    (tmp_path / "one.json").write_text(json.dumps(whole))
    document = {"commit": "abc 2026-01-31", "providers": {"one-ai": {"models": models}}}
    content = build(document, read_overlays(tmp_path))["one"]
    return {row["id"]: row for row in json.loads(content)["models"]}


def test_a_row_of_the_data(tmp_path: Path) -> None:
    assert built(tmp_path, {"m-1": CHAT})["m-1"] == {
        "id": "m-1",
        "name": "One",
        "source": "https://github.com/anomalyco/models.dev/tree/abc",
        "as_of": "2026-01-31",
        "released": "2026-01-02",
        "context_tokens": 1000,
        "max_output_tokens": 100,
        "input": ["text", "image", "document"],
        "capabilities": ["tools", "parallel_tools", "streaming"],
        "prices": {"input": 150_000, "output": 600_000},
    }


@pytest.mark.parametrize(
    ("usd_per_million", "pico_usd"),
    [("0.15", 150_000), ("0.003625", 3_625), ("600", 600_000_000), ("0", 0), ("0.049999999999999996", 50_000)],
)
def test_conversion_is_exact(usd_per_million: str, pico_usd: int) -> None:
    assert pico_usd_per_token(Decimal(usd_per_million)) == pico_usd


@pytest.mark.parametrize("usd_per_million", ["0.0000001", "-1", "0.1234567"])
def test_a_price_that_is_no_whole_number_of_pico_usd_is_refused(usd_per_million: str) -> None:
    with pytest.raises(CatalogError, match="pico-USD"):
        pico_usd_per_token(Decimal(usd_per_million))


@pytest.mark.parametrize(
    ("cost", "prices"),
    [
        ({}, None),
        ({"input": 0, "output": 0}, {"input": 0, "output": 0}),
        ({"input": 0, "output": 0, "per_minute": Decimal("0.006")}, None),
        ({"input": 1, "output": 2, "cache_read": 0, "cache_write": 0}, {"input": 1_000_000, "output": 2_000_000}),
        ({"input": 1, "output": 2, "cached_input": 1}, {"input": 1_000_000, "output": 2_000_000, "cache_read": 10**6}),
    ],
)
def test_unknown_is_never_zero(tmp_path: Path, cost: dict[str, Any], prices: dict[str, int] | None) -> None:
    assert built(tmp_path, {"m-1": CHAT | {"cost": cost}})["m-1"].get("prices") == prices


def test_tiers_are_read_in_both_spellings(tmp_path: Path) -> None:
    base = {"input": 1, "output": 2}
    dear = {"input": 2, "output": 3}
    models = {
        "m-1": CHAT | {"cost": {**base, "tiers": [{"tier": {"size": 200_000}, **dear}]}},
        "m-2": CHAT | {"cost": {**base, "context_over_200k": dear}},
    }
    rows = built(tmp_path, models)
    tier = {"above_prompt_tokens": 200_000, "prices": {"input": 2_000_000, "output": 3_000_000}}
    assert rows["m-1"]["price_tiers"] == rows["m-2"]["price_tiers"] == [tier]


@pytest.mark.parametrize(
    ("options", "by", "efforts"),
    [
        ([], None, None),
        ([{"type": "toggle"}], None, None),
        ([{"type": "budget_tokens", "min": 1024}], "budget", None),
        ([{"type": "effort", "values": ["low", "high"]}, {"type": "budget_tokens"}], "effort", ["low", "high"]),
    ],
)
def test_how_a_model_is_told_to_reason(
    tmp_path: Path, options: list[dict[str, Any]], by: str | None, efforts: list[str] | None
) -> None:
    row = built(tmp_path, {"m-1": CHAT | {"reasoning": True, "reasoning_options": options}})["m-1"]
    assert (row.get("reasoning_by"), row.get("reasoning_efforts")) == (by, efforts)


def test_a_patch_changes_what_it_names_and_the_source_follows_the_price(tmp_path: Path) -> None:
    patches = [
        {"match": ["m-*"], **FACT, "api": "responses", "add": ["batch"], "remove": ["parallel_tools"]},
        {"match": ["m-2"], **FACT, "usd_per_million": {"input": 7}, "times": {"cache_write_1h": ["input", 2]}},
    ]
    rows = built(tmp_path, {"m-1": CHAT, "m-2": CHAT}, patches=patches)
    assert rows["m-1"]["api"] == rows["m-2"]["api"] == "responses"
    assert rows["m-1"]["capabilities"] == ["tools", "streaming", "batch"]
    assert rows["m-1"]["as_of"] == "2026-01-31"
    assert rows["m-2"]["prices"] == {"input": 7_000_000, "output": 600_000, "cache_write_1h": 14_000_000}
    assert (rows["m-2"]["source"], rows["m-2"]["as_of"]) == (FACT["source"], FACT["as_of"])


def test_a_patch_adds_and_takes_away_modalities(tmp_path: Path) -> None:
    patch = {"match": ["m-*"], **FACT, "add_input": ["audio"], "remove_input": ["document"]}
    row = built(tmp_path, {"m-1": CHAT}, patches=[patch])["m-1"]
    assert row["input"] == ["text", "image", "audio"]
    with pytest.raises(CatalogError, match="m-1: unknown modality \\['pdf'\\]"):
        built(tmp_path, {"m-1": CHAT}, patches=[{**patch, "add_input": ["pdf"]}])


def test_rows_and_copies_are_added(tmp_path: Path) -> None:
    tiers = [{"above_prompt_tokens": 5, "input": 2}]
    rows = built(
        tmp_path,
        {"m-1": CHAT},
        rows=[{"id": "x", "name": "X", **FACT, "output": ["audio"], "usd_per_million": {"input": 1}, "tiers": tiers}],
        copies=[{"provider": "one", "ids": {"m-1-2026": "m-1"}, **FACT, "lifecycle": "preview"}],
    )
    assert list(rows) == ["m-1", "m-1-2026", "x"]
    assert rows["x"]["price_tiers"] == [{"above_prompt_tokens": 5, "prices": {"input": 2_000_000}}]
    assert rows["m-1-2026"] == rows["m-1"] | FACT | {"id": "m-1-2026", "lifecycle": "preview"}


def test_what_matches_is_copied_but_for_what_is_left_out(tmp_path: Path) -> None:
    """A row that were copied onto itself would be refused."""
    copy = {"provider": "one", **FACT, "match": ["m-*"]}
    with pytest.raises(CatalogError):
        built(tmp_path, {"m-1": CHAT}, copies=[copy])
    assert list(built(tmp_path, {"m-1": CHAT}, copies=[{**copy, "without": ["*-1"]}])) == ["m-1"]


@pytest.mark.parametrize(
    ("models", "overlay", "says"),
    [
        ({"m-1": CHAT}, {"patches": [{"match": ["gone-*"], **FACT}]}, "no model matches 'gone-"),
        ({"m-1": CHAT}, {"rows": [{"id": "m-1", "name": "One", **FACT}]}, "m-1 is in the data now"),
        ({"m-1": CHAT}, {"copies": [{"provider": "one", "ids": {"m-2": "m-9"}, **FACT}]}, "cannot copy one/m-9"),
        ({"m-1": CHAT}, {"patches": [{"match": ["m-1"], **FACT, "add": ["flight"]}]}, "unknown capability"),
        ({"m-1": CHAT | {"cost": {"input": 1, "per_dream": 1}}}, {}, "unknown price class"),
        ({"m-1": CHAT | {"status": "asleep"}}, {}, "m-1: unknown status 'asleep'"),
        ({}, {"models_dev": "two-ai"}, "the data has no provider 'two-ai'"),
        ({"m-1": CHAT}, {"colour": "red"}, "one.json: Object contains unknown field `colour`"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, models: dict[str, Any], overlay: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        built(tmp_path, models, **overlay)


def test_prices_of_units_and_facts_of_vectors(tmp_path: Path) -> None:
    unit_prices = [{"unit": "audio_ms", "usd": 0.0043, "per": 60_000}, {"unit": "images", "variant": "hd", "usd": 0.08}]
    patch = {"match": ["m-1"], **FACT, "usd_per_unit": unit_prices, "embedding": {"dimensions": 8, "choices": [4, 8]}}
    unpriced = {name: value for name, value in CHAT.items() if name != "cost"}
    row = built(tmp_path, {"m-1": unpriced}, patches=[patch])["m-1"]
    assert row["unit_prices"] == [
        {"unit": "audio_ms", "pico_usd": 4_300_000_000, "per": 60_000},
        {"unit": "images", "pico_usd": 80_000_000_000, "variant": "hd"},
    ]
    assert (row["embedding"], row["source"]) == ({"dimensions": 8, "choices": [4, 8]}, FACT["source"])


def test_fees_come_one_by_one_and_leave_the_source_to_the_prices_of_tokens(tmp_path: Path) -> None:
    search, request = {"unit": "web_searches", "usd": 10, "per": 1_000}, {"unit": "requests", "usd": 0.01}
    patches = [{"match": ["m-1"], **FACT, "usd_per_unit": [fee]} for fee in (search, request, search | {"usd": 14})]
    row = built(tmp_path, {"m-1": CHAT}, patches=patches)["m-1"]
    assert row["unit_prices"] == [
        {"unit": "requests", "pico_usd": 10_000_000_000},
        {"unit": "web_searches", "pico_usd": 14_000_000_000_000, "per": 1_000},
    ]
    assert row["source"] != FACT["source"]


@pytest.mark.parametrize("usd", [-1, "0.0000000000001"])
def test_a_price_of_a_unit_that_is_no_whole_number_of_pico_usd_is_refused(tmp_path: Path, usd: Any) -> None:
    patch = {"match": ["m-1"], **FACT, "usd_per_unit": [{"unit": "images", "usd": usd}]}
    with pytest.raises(CatalogError, match="pico-USD"):
        built(tmp_path, {"m-1": CHAT}, patches=[patch])


def test_data_without_a_day_needs_one() -> None:
    with pytest.raises(CatalogError, match="--as-of"):
        build({"one-ai": {"models": {}}}, [])


def test_the_command_reports_and_fails_readably(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "one.json").write_text('{"provider":"one","models_dev":"one-ai","api":"messages"}')
    data = tmp_path / "api.json"
    data.write_text(json.dumps({"one-ai": {"models": {"m-1": CHAT}}}, default=float))
    assert main([str(data), "--catalog", str(tmp_path)]) == 1
    assert "--as-of" in capsys.readouterr().err
    assert main([str(data), "--as-of", "2026-05-06", "--catalog", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("one: 1 models, ")
    assert json.loads((tmp_path / "one.json").read_bytes())["models"][0]["as_of"] == "2026-05-06"


def test_the_committed_catalog_is_what_the_script_builds(tmp_path: Path) -> None:
    if not CATALOG_DATA.is_file():
        pytest.skip(f"the data it was built from is not here: {CATALOG_DATA} (CATALOG_DATA names another place)")
    shutil.copytree(CATALOG / "overlay", tmp_path / "overlay")
    assert main([str(CATALOG_DATA), "--catalog", str(tmp_path)]) == 0
    fresh = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert fresh == {path.name: path.read_bytes() for path in CATALOG.glob("*.json")}


def test_service_tiers_are_fractions_of_what_the_row_costs_by_then(tmp_path: Path) -> None:
    cost = {"input": 2, "output": 4, "tiers": [{"tier": {"size": 1000}, "input": 3, "output": 6}]}
    tiers = {"batch": {"times": [1, 2]}, "priority": {"times": [7, 4], "unasked": True, "without_long_prompts": True}}
    row = built(tmp_path, {"m-1": CHAT | {"cost": cost}}, patches=[{"match": ["*"], **FACT, "service_tiers": tiers}])[
        "m-1"
    ]
    assert row["service_tiers"] == {
        "batch": {
            "prices": {"input": 1_000_000, "output": 2_000_000},
            "price_tiers": [{"above_prompt_tokens": 1000, "prices": {"input": 1_500_000, "output": 3_000_000}}],
        },
        "priority": {"prices": {"input": 3_500_000, "output": 7_000_000}, "unasked": True},
    }


def test_a_host_of_a_copied_model_can_be_without_its_tiers(tmp_path: Path) -> None:
    patch = {"match": ["m-1"], **FACT, "service_tiers": {"batch": {"times": [1, 2]}, "flex": {"times": [1, 2]}}}
    copy = {"provider": "one", **FACT, "ids": {"m-2": "m-1"}, "service_tiers": {"batch": None}}
    rows = built(tmp_path, {"m-1": CHAT}, patches=[patch], copies=[copy])
    assert (list(rows["m-1"]["service_tiers"]), list(rows["m-2"]["service_tiers"])) == (["batch", "flex"], ["flex"])


def test_a_row_without_prices_has_no_tiers(tmp_path: Path) -> None:
    patch = {"match": ["*"], **FACT, "service_tiers": {"batch": {"times": [1, 2]}}}
    assert "service_tiers" not in built(tmp_path, {"m-1": CHAT | {"cost": {}}}, patches=[patch])["m-1"]


def test_images_count_only_where_images_are_taken(tmp_path: Path) -> None:
    deaf = CHAT | {"modalities": {"input": ["text"], "output": ["text"]}}
    rows = built(tmp_path, {"m-1": CHAT, "m-2": deaf}, patches=[{"match": ["*"], **FACT, "image_tokens": 85}])
    assert (rows["m-1"]["image_tokens"], "image_tokens" in rows["m-2"]) == (85, False)


def test_limits_are_of_what_a_chat_model_takes_and_the_last_one_said_holds(tmp_path: Path) -> None:
    def said(match: str, **most: int) -> dict[str, Any]:
        return {"match": [match], **FACT, "most": most}

    painter = CHAT | {"modalities": {"input": ["text", "image"], "output": ["image"]}}
    crowded = said("*", image_side_px=2000) | {"above_images": 20}
    limits = [said("*", images=600, image_side_px=8000, audio_s=60), crowded, said("m-*", images=100)]
    copy = {"provider": "one", **FACT, "ids": {"m-2": "m-1"}}
    rows = built(tmp_path, {"m-1": CHAT, "painter": painter}, limits=limits, copies=[copy])
    assert [(limit["of"], limit["most"], limit.get("above_images", 0)) for limit in rows["m-1"]["limits"]] == [
        ("image_side_px", 8000, 0),
        ("image_side_px", 2000, 20),
        ("images", 100, 0),
    ]
    assert rows["m-1"]["limits"][0].items() >= FACT.items()
    assert rows["m-2"]["limits"] == rows["m-1"]["limits"]
    assert "limits" not in rows["painter"]
    with pytest.raises(CatalogError, match="one: limits: no model matches 'x'"):
        built(tmp_path, {"m-1": CHAT}, limits=[said("x", images=1)])
