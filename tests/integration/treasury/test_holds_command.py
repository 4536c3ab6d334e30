"""`tollhouse ledger holds`, against a ledger."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.fixtures.treasury import Spend, Treasury
from tollhouse.ledger_commands import ledger_app
from tollhouse.local.data import LOCK, Lock
from tollhouse.local.ready_file import READY_FILE

pytestmark = pytest.mark.requirement("TRE-20")


@pytest.fixture
def data(treasury_service: Treasury, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The data folder of a stack that runs, as far as the command looks: it has no operator."""
    ready = {"postgres": treasury_service.database.treasury, "operator_key": None}
    (tmp_path / READY_FILE).write_text(json.dumps(ready))
    with Lock(tmp_path / LOCK):
        yield "--data", str(tmp_path)


async def told(*arguments: str) -> Result:
    result: Result = await asyncio.to_thread(CliRunner().invoke, ledger_app, ["holds", *arguments])
    return result


async def held(treasury: Treasury, *amounts: int, unknown: bool) -> list[str]:
    """The holds of paid calls that are under way, or whose outcome nobody knows; their ids."""
    ids = []
    for cents in amounts:
        answer = await treasury.gateway.spend(Spend(cents, payee="bank"), unsettled="unknown")
        ids.append(str(answer.json()["hold_id"]))
        if unknown:
            await treasury.gateway.post(f"/v1/holds/{ids[-1]}/unknown", {})
    return ids


async def test_holds_in_doubt_are_listed_oldest_first(
    treasury_service: Treasury, data: tuple[str, str]
) -> None:
    assert (await told(*data)).stdout == "no hold is unknown\n"
    ids = await held(treasury_service, 1234, 500, unknown=True)
    [placed] = await held(treasury_service, 7, unknown=False)
    listed = await told(*data)
    head, *lines = listed.stdout.splitlines()
    assert head.split() == ["hold", "placed", "(UTC)", "agent", "amount", "tenant"]
    shown = [line.split() for line in lines]
    assert [(row[0], *row[3:]) for row in shown] == [
        (ids[0], "scout", "12.34", "USD", "acme"),
        (ids[1], "scout", "5.00", "USD", "acme"),
    ]
    assert all(len(line) <= 80 for line in lines)
    documents = [
        json.loads(line) for line in (await told(*data, "--status", "placed", "--json")).stdout.splitlines()
    ]
    assert [(hold["id"], hold["status"], hold["amount_cents"]) for hold in documents] == [
        (placed, "placed", 7)
    ]


async def test_what_is_beyond_the_limit_is_said(treasury_service: Treasury, data: tuple[str, str]) -> None:
    await held(treasury_service, 1, 2, 3, unknown=True)
    some = await told(*data, "--limit", "2", "--json")
    assert (some.exit_code, len(some.stdout.splitlines())) == (0, 2)
    assert some.stderr == "these are the oldest 2, and there are more: see --limit\n"
    everything = await told(*data, "--limit", "3")
    assert (len(everything.stdout.splitlines()), everything.stderr) == (4, "")


async def test_the_holds_of_one_tenant_by_a_connection_string(treasury_service: Treasury) -> None:
    [hold_id] = await held(treasury_service, 7, unknown=True)
    dsn = ("--dsn", treasury_service.database.treasury)
    [line] = (await told(*dsn, "--tenant", "acme", "--json")).stdout.splitlines()
    assert (json.loads(line)["tenant"], json.loads(line)["id"]) == ("acme", hold_id)
    assert (await told(*dsn, "--tenant", "globex")).stdout == "no hold is unknown\n"


async def test_a_ledger_that_is_away_is_told(tmp_path: Path) -> None:
    away = await told("--dsn", "postgresql://nobody@127.0.0.1:1/x")
    assert (away.exit_code, "the ledger cannot be reached" in away.stderr) == (1, True)
    nothing = await told("--data", str(tmp_path))
    assert (nothing.exit_code, "or the ledger with --dsn" in nothing.stderr) == (1, True)


async def test_a_status_that_there_is_not_is_a_wrong_use() -> None:
    assert (await told("--status", "lost")).exit_code == 2
