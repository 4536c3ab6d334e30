"""What an operator asks for is done once, however often it is asked."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from adapters.postgres import Database
from schemas.ids import new_id
from tests.fixtures.treasury import LedgerDatabase
from treasury.core.command import Answer, Asked
from treasury.edge.commit import Commit, once
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("TRE-13")


@pytest.fixture
async def database(ledger_database: LedgerDatabase) -> AsyncIterator[Database]:
    opened = await Database.open(ledger_database.treasury, application="test")
    yield opened
    await opened.close()


async def test_an_operators_command_is_done_once(database: Database) -> None:
    asked = Asked("", "acme", "olga", new_id(), "/v1/thing", "k", "r")

    async def work(commit: Commit) -> Answer:
        return Answer(200, {"at": str(commit.at)})

    first = await once(database, asked, 50, work)
    assert await once(database, asked, 50, work) == first
    with pytest.raises(Refused) as mismatch:
        await once(database, replace(asked, request_sha256="other"), 50, work)
    assert mismatch.value.code == "idempotency_mismatch"


async def test_an_operators_key_in_flight_is_refused(
    database: Database, ledger_database: LedgerDatabase
) -> None:
    other = await asyncpg.connect(ledger_database.treasury)
    asked = Asked("", "acme", "olga", new_id(), "/v1/thing", "k", "r")

    async def work(commit: Commit) -> Answer:
        raise Refused("duplicate", "it was done before")

    async with other.transaction():
        await other.execute(
            "INSERT INTO treasury.idempotency (tenant_id, key, request_sha256) VALUES ('acme', 'k', 'r')"
        )
        with pytest.raises(Refused) as in_flight:
            await once(database, asked, 50, work)
        assert in_flight.value.code == "idempotency_in_flight"
    kept = await once(database, replace(asked, key="other"), 50, work)
    assert (kept.status, kept.body["code"]) == (409, "duplicate")
    await other.close()
