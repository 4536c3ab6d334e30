"""The schema goes forward and back, tells one history, and is what schema.sql says."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from adapters.migrations import MigrationRefused, load, migrate
from schemas.ids import new_id
from tests.fixtures.catalog import catalog
from tests.fixtures.servers import PostgresServer
from tests.fixtures.treasury import OPERATOR_TOKEN, PASSWORDS, LedgerDatabase, Spend, Treasury
from treasury.edge.migrate import MIGRATIONS, SCHEMA, install
from treasury.edge.verify import verify

pytestmark = pytest.mark.requirement("SEC-03")


@pytest.fixture
async def admin(ledger_database: LedgerDatabase) -> Any:
    connection = await asyncpg.connect(ledger_database.admin)
    yield connection
    await connection.close()


async def test_the_schema_file_is_what_the_migrations_make(admin: asyncpg.Connection, database: str) -> None:
    fresh = await asyncpg.connect(database)
    await fresh.execute("CREATE SCHEMA treasury AUTHORIZATION tollhouse_owner; SET ROLE tollhouse_owner")
    await fresh.execute((MIGRATIONS.parent / "schema.sql").read_text())  # type: ignore[attr-defined]
    assert await catalog(fresh, SCHEMA) == await catalog(admin, SCHEMA)
    await fresh.close()


async def test_it_goes_back_and_forward_again(admin: asyncpg.Connection) -> None:
    before = await catalog(admin, SCHEMA)
    assert await migrate(admin, "treasury", MIGRATIONS, to=0) == 0
    assert [row for row in await catalog(admin, SCHEMA) if row[0] not in ("index", "schema")] == []
    assert await migrate(admin, "treasury", MIGRATIONS) == load(MIGRATIONS)[-1].version
    assert await catalog(admin, SCHEMA) == before


async def test_invariants_come_back_onto_data(admin: asyncpg.Connection) -> None:
    await migrate(admin, "treasury", MIGRATIONS, to=1)
    workflow = new_id()
    await admin.execute("INSERT INTO treasury.workflows (tenant_id, id) VALUES ('acme', $1)", workflow)
    await migrate(admin, "treasury", MIGRATIONS)
    assert str(await admin.fetchval("SELECT id FROM treasury.workflows")) == workflow


async def test_installing_again_changes_nothing_but_passwords(
    admin: asyncpg.Connection, ledger_database: LedgerDatabase, postgres: PostgresServer
) -> None:
    before = await catalog(admin, SCHEMA)
    try:
        await install(ledger_database.admin, PASSWORDS | {"tollhouse_relay": "it's new"})
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(ledger_database.relay)
    finally:
        await install(ledger_database.admin, PASSWORDS)
    assert await catalog(admin, SCHEMA) == before
    await (await asyncpg.connect(ledger_database.relay)).close()


async def test_another_history_is_refused(admin: asyncpg.Connection, tmp_path: Path) -> None:
    for number, text in ((1, "SELECT 1"), (2, "SELECT 2")):
        (tmp_path / f"000{number}_step.up.sql").write_text(text)
        (tmp_path / f"000{number}_step.down.sql").write_text("SELECT 0")
    assert await migrate(admin, "other", tmp_path) == 2
    (tmp_path / "0001_step.up.sql").write_text("SELECT 7")
    with pytest.raises(MigrationRefused, match="step 1 of other was applied from another file"):
        await migrate(admin, "other", tmp_path)
    (tmp_path / "0001_step.up.sql").unlink()
    with pytest.raises(MigrationRefused, match="do not begin at 1"):
        load(tmp_path)
    (tmp_path / "0001_step.up.sql").write_text("SELECT 1")
    (tmp_path / "0002_step.up.sql").unlink()
    with pytest.raises(MigrationRefused, match="step 2 of other was applied from another file"):
        await migrate(admin, "other", tmp_path)


async def test_a_number_may_be_left_out_but_not_filled_in_later(
    admin: asyncpg.Connection, tmp_path: Path
) -> None:
    for number in (1, 4):
        (tmp_path / f"000{number}_step.up.sql").write_text(f"SELECT {number}")
        (tmp_path / f"000{number}_step.down.sql").write_text("SELECT 0")
    assert await migrate(admin, "other", tmp_path) == 4
    assert await migrate(admin, "other", tmp_path, to=2) == 2
    assert await admin.fetchval("SELECT max(version) FROM other.migrations") == 1
    assert await migrate(admin, "other", tmp_path) == 4
    (tmp_path / "0002_step.up.sql").write_text("SELECT 2")
    (tmp_path / "0002_step.down.sql").write_text("SELECT 0")
    with pytest.raises(MigrationRefused, match="step 4 of other was applied from another file"):
        await migrate(admin, "other", tmp_path)


@pytest.mark.requirement("TRE-18")
async def test_steps_go_back_and_forward_on_data(treasury_service: Treasury) -> None:
    """What was spent survives; what a step would lose entries of is refused, whole."""
    gateway, executed = treasury_service.gateway, Spend(payee="bank")
    await gateway.spend(executed)
    await gateway.execute(executed)
    await gateway.spend(Spend(700))
    admin = await asyncpg.connect(treasury_service.database.admin)
    before = await admin.fetch("SELECT id, amount_cents FROM treasury.postings ORDER BY id")
    reached = await migrate(admin, "treasury", MIGRATIONS, to=4)
    assert reached == 4
    assert await admin.fetch("SELECT id, amount_cents FROM treasury.postings ORDER BY id") == before
    await migrate(admin, "treasury", MIGRATIONS)
    assert await verify(admin) == []
    body = {"provider": "bank", "lines": [{"reference": "ch_1", "amount_cents": 5, "currency": "USD"}]}
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    found = (await treasury_service.http.post("/v1/reconciliations", json=body, headers=headers)).json()
    (broken,) = [item for item in found["breaks"] if item["kind"] == "missing_in_ledger"]
    path = f"/v1/reconciliations/{found['id']}/breaks/{broken['id']}/resolve"
    await treasury_service.http.post(path, json={"action": "post"}, headers=headers)
    with pytest.raises(asyncpg.CheckViolationError):
        await migrate(admin, "treasury", MIGRATIONS, to=4)
    await migrate(admin, "treasury", MIGRATIONS)
    assert await verify(admin) == []
    await admin.close()
