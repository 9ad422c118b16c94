"""Every answer of the administration is as shared/openapi.yaml says."""

from __future__ import annotations

import httpx

from tests.e2e.contract import check_admin_answer


async def keeps_the_contract(answer: httpx.Response) -> None:
    await answer.aread()
    if answer.headers["content-type"].startswith("text/csv"):
        return
    target = answer.request.url.raw_path.decode()
    check_admin_answer(answer.request.method, target, answer.status_code, answer.json())
