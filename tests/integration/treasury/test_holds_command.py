"""`tollhouse ledger holds`, against a treasury that runs."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury
from tollhouse.ledger_commands import ledger_app
from tollhouse.local.data import LOCK, Lock
from tollhouse.local.ready_file import READY_FILE

pytestmark = pytest.mark.requirement("TRE-20")


@pytest.fixture
def data(treasury_service: Treasury, tmp_path: Path) -> Iterator[Path]:
    """The data folder of a stack that runs, as far as the command looks."""
    write_ready(tmp_path, treasury_service.url, OPERATOR_TOKEN)
    with Lock(tmp_path / LOCK):
        yield tmp_path


def write_ready(data: Path, treasury: str, key: str | None) -> None:
    (data / READY_FILE).write_text(json.dumps({"treasury": treasury, "operator_key": key}))


async def told(data: Path, *arguments: str) -> Result:
    command = ["holds", *arguments, "--data", str(data)]
    result: Result = await asyncio.to_thread(CliRunner().invoke, ledger_app, command)
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


async def test_holds_in_doubt_are_listed_oldest_first(treasury_service: Treasury, data: Path) -> None:
    assert (await told(data)).stdout == "no hold is unknown\n"
    ids = await held(treasury_service, 1234, 500, unknown=True)
    [placed] = await held(treasury_service, 7, unknown=False)
    listed = await told(data)
    head, *lines = listed.stdout.splitlines()
    assert head.split() == ["hold", "placed", "(UTC)", "agent", "amount"]
    shown = [line.split() for line in lines]
    assert [(row[0], *row[3:]) for row in shown] == [
        (ids[0], "scout", "12.34", "USD"),
        (ids[1], "scout", "5.00", "USD"),
    ]
    assert all(len(line) <= 80 for line in lines)
    documents = [
        json.loads(line) for line in (await told(data, "--status", "placed", "--json")).stdout.splitlines()
    ]
    assert [(hold["id"], hold["status"], hold["amount_cents"]) for hold in documents] == [
        (placed, "placed", 7)
    ]


async def test_what_is_beyond_the_limit_is_said(treasury_service: Treasury, data: Path) -> None:
    await held(treasury_service, 1, 2, 3, unknown=True)
    some = await told(data, "--limit", "2", "--json")
    assert (some.exit_code, len(some.stdout.splitlines())) == (0, 2)
    assert some.stderr == "these are the oldest 2, and there are more: see --limit\n"
    everything = await told(data, "--limit", "3")
    assert (len(everything.stdout.splitlines()), everything.stderr) == (4, "")


async def test_a_stack_without_an_operator_or_a_treasury_is_told(
    treasury_service: Treasury, data: Path
) -> None:
    write_ready(data, treasury_service.url, None)
    nobody = await told(data)
    assert (nobody.exit_code, "this stack has no operator: name one" in nobody.stderr) == (1, True)
    write_ready(data, treasury_service.url, "somebody's key")
    refused = await told(data)
    assert (refused.exit_code, "the treasury refused it: " in refused.stderr) == (1, True)
    write_ready(data, "http://127.0.0.1:1", "x")
    away = await told(data)
    assert (away.exit_code, "the treasury does not answer" in away.stderr) == (1, True)


async def test_a_status_that_there_is_not_is_a_wrong_use(data: Path) -> None:
    assert (await told(data, "--status", "lost")).exit_code == 2
