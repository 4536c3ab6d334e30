"""A ledger goes into a file and comes back the same, or not at all."""

import asyncio
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from tests.fixtures.servers import PostgresServer
from tests.fixtures.treasury import Spend, Treasury
from tollhouse.ledger_commands import ledger_app
from tollhouse.local.data import Lock
from treasury.edge.verify import verify

pytestmark = pytest.mark.requirement("TRE-18")


async def told(*arguments: str) -> tuple[int, str]:
    """The exit code, and what was said, in one line and out of its frame."""
    result = await asyncio.to_thread(CliRunner().invoke, ledger_app, list(arguments))
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


def restored(*arguments: str) -> tuple[int, str]:
    """`ledger restore` in a process of its own, since a server is started from a main thread alone."""
    command = [sys.executable, "-m", "tollhouse", "ledger", "restore", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    return done.returncode, " ".join((done.stdout + done.stderr).replace("│", " ").split())


async def some_life(treasury: Treasury) -> None:
    gateway = treasury.gateway
    for amount_cents in (100, 250):
        spend = Spend(amount_cents)
        await gateway.spend(spend)
        await gateway.execute(spend)
    await gateway.spend(Spend(40))


async def contents(dsn: str) -> dict[str, list[Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        tables = [
            row["tablename"]
            for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'treasury'")
        ]
        return {
            name: await connection.fetch(f"SELECT * FROM treasury.{name} AS t ORDER BY t::text")
            for name in tables
        }
    finally:
        await connection.close()


async def test_a_ledger_comes_back_the_same(
    treasury_service: Treasury, postgres: PostgresServer, tmp_path: Path
) -> None:
    await some_life(treasury_service)
    admin, file = treasury_service.database.admin, tmp_path / "ledger.backup"
    code, text = await told("backup", str(file), "--dsn", admin)
    assert (code, "The ledger is sound." in text) == (0, True), text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    target = await postgres.create_database()
    code, text = await told("restore", str(file), "--dsn", target)
    assert (code, "The ledger is sound." in text) == (0, True), text
    assert await contents(target) == await contents(admin)
    service = await asyncpg.connect(
        postgres.dsn_of(target, "tollhouse_treasury", "tollhouse_treasury-secret")
    )
    with pytest.raises(asyncpg.PostgresError, match=r"append only|permission denied"):
        await service.execute("DELETE FROM treasury.postings")
    await service.close()
    await postgres.drop_database(target)


async def test_a_ledger_that_is_not_empty_is_replaced_by_force_alone(
    treasury_service: Treasury, tmp_path: Path
) -> None:
    admin, file = treasury_service.database.admin, tmp_path / "ledger.backup"
    assert (await told("backup", str(file), "--dsn", admin))[0] == 0
    assert (await told("restore", str(file), "--dsn", admin))[0] == 0
    await some_life(treasury_service)
    before = await contents(admin)
    code, text = await told("restore", str(file), "--dsn", admin)
    assert (code, "--force replaces it" in text) == (1, True)
    assert await contents(admin) == before
    assert (await told("restore", str(file), "--dsn", admin, "--force"))[0] == 0
    assert (await contents(admin))["postings"] == []
    schemas = await treasury_service.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'treasury%'")
    assert [row["nspname"] for row in schemas] == ["treasury"]


async def test_a_stack_that_does_not_run_is_restored_into_by_its_folder(
    treasury_service: Treasury, tmp_path: Path
) -> None:
    await some_life(treasury_service)
    file, folder = tmp_path / "ledger.backup", tmp_path / "data"
    assert (await told("backup", str(file), "--dsn", treasury_service.database.admin))[0] == 0
    code, text = restored(str(file), "--data", str(folder))
    assert (code, "The ledger is sound." in text) == (0, True), text
    code, text = restored(str(file), "--data", str(folder))
    assert (code, "--force replaces it" in text) == (1, True)
    with Lock(folder / "lock"):
        code, text = restored(str(file), "--data", str(folder), "--force")
    assert (code, "is in use by another tollhouse up" in text) == (1, True)


async def test_a_file_that_is_no_backup_leaves_the_ledger_as_it_was(
    treasury_service: Treasury, tmp_path: Path
) -> None:
    await some_life(treasury_service)
    admin, file = treasury_service.database.admin, tmp_path / "x"
    file.write_text("not a backup")
    before = await contents(admin)
    code, text = await told("restore", str(file), "--dsn", admin, "--force")
    assert (code, "nothing was restored: pg_restore failed" in text) == (1, True)
    assert await contents(admin) == before
    code, text = await told("backup", str(file), "--dsn", admin)
    assert (code, "is there already" in text) == (2, True)
    assert file.read_text() == "not a backup"
    code, text = await told("restore", str(tmp_path / "y"), "--dsn", admin)
    assert (code, "is not there" in text) == (2, True)
    code, text = await told("backup", str(tmp_path / "none" / "z"), "--dsn", admin)
    assert (code, "cannot be written: No such file or directory" in text) == (2, True)


async def test_a_backup_that_is_not_sound_is_said_and_the_old_ledger_kept(
    treasury_service: Treasury, tmp_path: Path
) -> None:
    await some_life(treasury_service)
    admin, file = treasury_service.database.admin, tmp_path / "ledger.backup"
    await treasury_service.sql("UPDATE treasury.account_balances SET debits_cents = debits_cents + 1")
    code, text = await told("backup", str(file), "--dsn", admin)
    assert (code, "account_balances" in text) == (1, True)
    await treasury_service.sql("UPDATE treasury.account_balances SET debits_cents = debits_cents - 1")
    code, text = await told("restore", str(file), "--dsn", admin, "--force")
    assert (code, "account_balances" in text) == (1, True)
    connection = await asyncpg.connect(admin)
    assert await verify(connection) != []
    assert await connection.fetchval("SELECT count(*) FROM treasury_replaced.postings") == 4
    await connection.close()


async def test_without_roles_or_tools_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("")
    code, text = await told("restore", str(tmp_path / "x"), "--dsn", "postgresql://nobody@127.0.0.1:1/x")
    assert (code, "nothing was restored" in text) == (1, True)
    code, text = await told("backup", str(tmp_path / "z"), "--dsn", "postgresql://nobody@127.0.0.1:1/x")
    assert (code, "pg_dump failed" in text) == (1, True)
    assert not (tmp_path / "z").exists()
