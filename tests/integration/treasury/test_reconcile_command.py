"""`tollhouse ledger reconcile` and `resolve`, against a treasury that runs."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury
from tollhouse.ledger_commands import ledger_app
from tollhouse.local.data import LOCK, Lock
from tollhouse.local.ready_file import READY_FILE

pytestmark = pytest.mark.requirement("TRE-07")


@pytest.fixture
def data(treasury_service: Treasury, tmp_path: Path) -> Iterator[Path]:
    """The data folder of a stack that runs, as far as these commands look."""
    ready = {"treasury": treasury_service.url, "operator_key": OPERATOR_TOKEN}
    (tmp_path / READY_FILE).write_text(json.dumps(ready))
    with Lock(tmp_path / LOCK):
        yield tmp_path


async def told(data: Path, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said, in one line and out of its frame."""
    command = [*arguments, "--data", str(data)]
    result = await asyncio.to_thread(CliRunner().invoke, ledger_app, command)
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


async def executed(treasury: Treasury) -> dict[str, Any]:
    spend = Spend(payee="bank")
    await treasury.gateway.spend(spend)
    return dict((await treasury.gateway.execute(spend, account="bank")).json())


async def test_a_statement_that_fits_and_one_that_does_not(treasury_service: Treasury, data: Path) -> None:
    done = await executed(treasury_service)
    file = data / "may.csv"
    file.write_text(f"reference,amount,currency,id\n{done['id']},50.00,USD,txn_1\n")
    code, text = await told(data, "reconcile", str(file), "--provider", "bank")
    assert (code, "1 lines matched" in text, "0 breaks" in text) == (0, True, True)
    file.write_text("reference,amount,currency,id\nch_9,7.00,USD,txn_2\n")
    code, text = await told(data, "reconcile", str(file), "--provider", "bank", "--json")
    answer = json.loads(text)
    (broken,) = answer["breaks"]
    assert (code, broken["kind"], broken["reference"]) == (1, "missing_in_ledger", "ch_9")
    code, text = await told(data, "resolve", answer["id"], broken["id"], "post", "--note", "agreed")
    assert (code, text.startswith("missing_in_ledger of ch_9: post. Entries: 0")) == (0, True)
    code, text = await told(data, "resolve", answer["id"], broken["id"], "post")
    assert (code, "duplicate" in text) == (1, True)
    code, text = await told(data, "reconcile", str(file), "--provider", "bank")
    assert (code, "line 1, ch_9, 7.00 USD (resolved: post)" in text) == (0, True)


async def test_a_file_with_bad_rows_is_not_imported_and_its_good_rows_can_be(
    treasury_service: Treasury, data: Path
) -> None:
    done = await executed(treasury_service)
    file = data / "may.csv"
    file.write_text(f"reference,amount_cents,currency\n{done['id']},5000,USD\nx,0,USD\ny,1,XXX\n")
    code, text = await told(data, "reconcile", str(file), "--provider", "bank")
    assert code == 1
    assert f"{file}:3: amount_cents: must be from 1 to" in text
    assert f"{file}:4: currency: 'XXX' is not an ISO 4217 currency" in text
    assert await treasury_service.sql("SELECT count(*) FROM treasury.reconciliations") == [(0,)]
    code, text = await told(data, "reconcile", f"{file}.good.json", "--provider", "bank")
    assert (code, "1 lines matched" in text) == (0, True)


async def test_stripes_export_says_what_was_passed_over(treasury_service: Treasury, data: Path) -> None:
    done = await executed(treasury_service)
    file = data / "stripe.csv"
    file.write_text(
        "id,Type,Source,Amount,Fee,Net,Currency,Created (UTC),Description\n"
        f"txn_1,charge,ch_1,50.00,1.75,48.25,usd,2026-11-20 10:00:00,{done['intent_id']}\n"
        "txn_2,topup,tu_1,100.00,0,100.00,usd,2026-11-20 10:00:00,\n"
    )
    code, text = await told(
        data, "reconcile", str(file), "--provider", "bank", "--since", "2026-11-01", "--until", "2026-11-30"
    )
    assert (code, "1 lines matched" in text, "passed over: 1 of type topup" in text) == (0, True, True)


async def test_what_cannot_be_read_is_said(treasury_service: Treasury, data: Path) -> None:
    file = data / "x.csv"
    code, text = await told(data, "reconcile", str(file), "--provider", "bank")
    assert (code, "cannot be read" in text) == (2, True)
    file.write_text("what,is,this\n")
    code, text = await told(data, "reconcile", str(file), "--provider", "bank")
    assert (code, "is no statement" in text) == (2, True)


@pytest.mark.parametrize(
    ("url", "key", "why"),
    [
        ("http://127.0.0.1:1", "x", "the treasury does not answer"),
        (None, None, "this stack has no operator: name one"),
        (None, "somebody's key", "the treasury refused it: "),
    ],
)
async def test_a_stack_without_an_operator_or_a_treasury_is_told(
    treasury_service: Treasury, data: Path, url: str | None, key: str | None, why: str
) -> None:
    ready = {"treasury": url or treasury_service.url, "operator_key": key}
    (data / READY_FILE).write_text(json.dumps(ready))
    file = data / "x.csv"
    file.write_text("reference,amount,currency\na,1,USD\n")
    code, text = await told(data, "reconcile", str(file), "--provider", "bank")
    assert (code, why in text) == (1, True)
