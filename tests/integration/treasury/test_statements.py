"""Balances and statements as JSON, as CSV and as files, the same numbers in each."""

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from schemas.ids import new_id
from tests.fixtures.treasury import Spend, Treasury
from tollhouse.ledger_commands import ledger_app
from treasury.edge import statements

pytestmark = pytest.mark.requirement("TRE-20")


async def told(*arguments: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, ledger_app, list(arguments))
    return result.exit_code, result.output


async def spent(treasury: Treasury, amount_cents: int, currency: str = "USD", **more: Any) -> Spend:
    spend = Spend(amount_cents, currency, **more)
    await treasury.gateway.spend(spend)
    await treasury.gateway.execute(spend)
    return spend


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_an_account_statement_as_csv_is_whole(treasury_service: Treasury) -> None:
    for amount_cents in (100, 250):
        await spent(treasury_service, amount_cents)
    await spent(treasury_service, 7, "KWD")
    gateway = treasury_service.gateway
    found = rows(await gateway.get("/v1/accounts/vendor:1/statement", format="csv", limit=1))
    assert [(row["amount"], row["balance"], row["currency"]) for row in found] == [
        ("1.00", "1.00", "USD"),
        ("2.50", "3.50", "USD"),
        ("0.007", "0.007", "KWD"),
    ]
    headers = gateway.headers() | {"Accept": "text/csv;q=1, */*"}
    answer = await gateway.http.get("/v1/accounts/vendor:1/statement", headers=headers)
    assert rows(answer) == found
    assert answer.headers["content-disposition"] == 'attachment; filename="statement.csv"'
    asked = await gateway.http.get("/v1/accounts/vendor:1/statement?format=json", headers=headers)
    assert len(asked.json()["items"]) == 3
    assert (await gateway.get("/v1/accounts/nobody/statement", format="csv")).text == ""
    assert (await gateway.get("/v1/trial-balance", format="pdf")).status_code == 422


async def test_a_statement_goes_on_over_many_pages(
    treasury_service: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "ROWS_AT_ONCE", 2)
    for amount_cents in range(1, 6):
        await spent(treasury_service, amount_cents)
    found = rows(await treasury_service.gateway.get("/v1/accounts/vendor:1/statement", format="csv"))
    assert [row["balance_cents"] for row in found] == ["1", "3", "6", "10", "15"]


async def test_balances_as_csv(treasury_service: Treasury) -> None:
    workflow_id = new_id()
    await spent(treasury_service, 300, workflow_id=workflow_id)
    await spent(treasury_service, 5, "JPY", workflow_id=workflow_id)
    await treasury_service.gateway.spend(Spend(40, workflow_id=workflow_id))
    gateway = treasury_service.gateway
    found = rows(await gateway.get(f"/v1/workflows/{workflow_id}/balance", format="csv"))
    assert [
        (row["currency"], row["debits_cents"], row["held_cents"], row["balance_cents"]) for row in found
    ] == [
        ("JPY", "5", "0", "0"),
        ("USD", "300", "40", "0"),
    ]
    found = rows(await gateway.get("/v1/trial-balance", format="csv"))
    assert {(row["account"], row["balance"]) for row in found if row["currency"] == "USD"} == {
        ("tollhouse:operating", "-3.00"),
        ("vendor:1", "3.00"),
    }
    gateway.tenant = "globex"
    assert (await gateway.get("/v1/trial-balance", format="csv")).text == ""


async def test_the_commands_write_tables_and_files(treasury_service: Treasury, tmp_path: Path) -> None:
    spend = await spent(treasury_service, 300)
    dsn = ("--dsn", treasury_service.database.treasury)
    code, text = await told("balance", spend.workflow_id, *dsn, "--format", "json")
    assert (code, json.loads(text)[0]["debits_cents"]) == (0, 300)
    code, text = await told("statement", "vendor:1", *dsn)
    assert (code, "3.00" in text, "debit" in text) == (0, True, True)
    for form in ("csv", "json", "table"):
        file = tmp_path / f"out.{form}"
        arguments = ("trial-balance", *dsn, "--format", form, "--output", str(file))
        assert await told(*arguments) == (0, "")
        assert "vendor:1" in await asyncio.to_thread(file.read_text)
        code, text = await told(*arguments)
        assert (code, "cannot be written" in text) == (2, True)
    code, text = await told("balance", "not-a-uuid", *dsn)
    assert code == 2
