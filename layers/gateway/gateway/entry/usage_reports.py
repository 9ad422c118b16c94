"""How a usage report is asked for and answered, whoever asks: days, grouping, pages, JSON or CSV."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.model.errors import InvalidRequest
from gateway.pipeline.usage_report import Query, Report, described, figures, flat

MAX_DAYS = 366
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class ReportRequest(BaseModel):
    """The query string. `group_by`: names with commas between them. `after`: the `next` of the page before."""

    model_config = ConfigDict(extra="forbid")
    first_day: Annotated[Day | None, Field(alias="from")] = None
    last_day: Annotated[Day | None, Field(alias="to")] = None
    group_by: Annotated[str, Field(max_length=100)] = ""
    limit: Annotated[int, Field(ge=1, le=5000)] = 1000
    after: Annotated[str, Field(max_length=4096)] | None = None
    format: Literal["json", "csv"] | None = None

    def query(self, dimensions: tuple[str, ...], now_s: float) -> Query:
        """Without days: this month until today. Raises InvalidRequest (400)."""
        today = datetime.fromtimestamp(now_s, UTC).date()
        last = _day(self.last_day, "to") or today
        first = _day(self.first_day, "from") or last.replace(day=1)
        if first > last:
            raise InvalidRequest("The first day is after the last one.", param="from")
        if last - first >= timedelta(days=MAX_DAYS):
            raise InvalidRequest(f"A report is over {MAX_DAYS} days at most.", param="from")
        group_by = _names(self.group_by, dimensions)
        return Query(str(first), str(last), group_by, self.limit, _cursor(self.after, len(group_by)))


def report_response(report: Report, query: Query, request: Request, asked: ReportRequest) -> Response:
    """CSV where it is asked for, by `format` or by the Accept header."""
    is_csv = asked.format == "csv" or (asked.format is None and "text/csv" in request.headers.get("accept", ""))
    cursor = None if report.next is None else _encoded(report.next)
    headers = {"cache-control": "no-store", "vary": "accept"}
    if cursor is not None:
        following = {**request.query_params, "after": cursor}
        headers["link"] = f'<?{urlencode(following)}>; rel="next"'
    if is_csv:
        return Response(_csv(report, query), media_type="text/csv; charset=utf-8", headers=headers)
    body = {
        "object": "list",
        "from": query.first_day,
        "to": query.last_day,
        "group_by": list(query.group_by),
        "data": [described(row, query.group_by) for row in report.rows],
        "total": figures(report.total),
        "has_more": cursor is not None,
        "next": cursor,
    }
    return JSONResponse(body, headers=headers)


def _csv(report: Report, query: Query) -> str:
    """Without rows still with its head."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")  # RFC 4180
    writer.writerow([*query.group_by, *(name for name, _ in flat(figures({})))])
    for row in report.rows:
        writer.writerow([*map(_harmless, row.key), *(_cell(value) for _, value in flat(figures(row.counts)))])
    return written.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _harmless(text: str) -> str:
    """Spreadsheets calculate what begins so: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _day(text: str | None, param: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text} is not a day.", param=param) from None


def _names(text: str, dimensions: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if unknown := [name for name in names if name not in dimensions]:
        raise InvalidRequest(f"'{unknown[0]}' is none of {', '.join(dimensions)}.", param="group_by")
    if len(set(names)) < len(names):
        raise InvalidRequest("A name stands twice in it.", param="group_by")
    return names


def _encoded(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _cursor(text: str | None, length: int) -> tuple[str, ...] | None:
    if text is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        key = None
    if not isinstance(key, list) or len(key) != length or not all(isinstance(value, str) for value in key):
        raise InvalidRequest("after is not the next of a report with this group_by.", param="after")
    return tuple(key)
