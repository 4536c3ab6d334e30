"""The schema of control goes forward and back, and is what schema.sql says."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.migrations import load, migrate
from control.migrate import MIGRATIONS, SCHEMA
from tests.fixtures.catalog import catalog
from tests.fixtures.servers import PostgresServer

pytestmark = pytest.mark.requirement("SEC-03")


@pytest.fixture
async def migrated(control_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(control_database)
    yield connection
    await connection.close()


async def test_the_schema_file_is_what_the_migrations_make(
    migrated: asyncpg.Connection, postgres: PostgresServer
) -> None:
    dsn = await postgres.create_database()
    fresh = await asyncpg.connect(dsn)
    try:
        await fresh.execute("CREATE SCHEMA control AUTHORIZATION tollhouse_owner; SET ROLE tollhouse_owner")
        await fresh.execute((MIGRATIONS.parent / "schema.sql").read_text())  # type: ignore[attr-defined]
        assert await catalog(fresh, SCHEMA) == await catalog(migrated, SCHEMA)
    finally:
        await fresh.close()
        await postgres.drop_database(dsn)


async def test_it_goes_back_and_forward_again(migrated: asyncpg.Connection) -> None:
    before = await catalog(migrated, SCHEMA)
    assert {kind for kind, *_ in before} == {"column", "constraint", "index", "rights", "schema"}
    assert await migrate(migrated, SCHEMA, MIGRATIONS, to=0) == 0
    assert [kind for kind, *_ in await catalog(migrated, SCHEMA)] == ["schema"]
    assert await migrate(migrated, SCHEMA, MIGRATIONS) == load(MIGRATIONS)[-1].version
    assert await catalog(migrated, SCHEMA) == before
