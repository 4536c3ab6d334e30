"""Holds end in time, by the database's clock."""

import asyncio
from typing import Any

import pytest

from adapters.postgres import Database, DatabaseUnavailable
from tests.fixtures.treasury import LedgerDatabase, Spend, Treasury
from treasury.core.authorization import Terms
from treasury.edge.batch import Batches, Limits
from treasury.edge.ledger import road
from treasury.edge.sweep import sweep, sweep_all, sweep_forever

pytestmark = pytest.mark.requirement("TRE-02")


async def until_status(treasury: Treasury, spend: Spend, status: str) -> dict[str, Any]:
    """Ask until it has this status; while the database comes back a reading may be refused."""
    async with asyncio.timeout(5):
        while True:
            intent: dict[str, Any] = (await treasury.gateway.get(f"/v1/intents/{spend.id}")).json()
            if intent.get("status") == status:
                return intent
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"verdict": "pending", "approval_role": "executive"},
        {"verdict": "pending", "approval_role": "executive", "unsettled": "unknown"},
    ],
)
async def test_an_expired_hold_frees_its_money(treasury_service: Treasury, claims: dict[str, Any]) -> None:
    gateway, spend = treasury_service.gateway, Spend(100_000)
    await gateway.spend(spend, **claims)
    await treasury_service.age_holds()
    await until_status(treasury_service, spend, "expired")
    refused = await gateway.execute(spend)
    assert (refused.status_code, refused.json()["code"]) == (409, "authorization_expired")
    assert (await gateway.authorize(spend)).json()["approved"]


async def test_the_hold_of_a_paid_call_becomes_unknown(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    hold_id = (await gateway.spend(spend, unsettled="unknown")).json()["hold_id"]
    await treasury_service.age_holds()
    async with asyncio.timeout(5):
        while not (await gateway.get("/v1/holds", status="unknown")).json()["items"]:
            await asyncio.sleep(0.01)
    late = await gateway.post(
        f"/v1/holds/{hold_id}/capture", {"amount_cents": 100, "recipient_account": "tool:x"}
    )
    assert late.json()["status"] == "executed"


class TestUnswept:
    """What is due and was not swept yet."""

    @pytest.fixture
    def treasury_settings(self) -> dict[str, Any]:
        return {"sweep_interval_ms": 3_600_000}

    async def test_is_expired_all_the_same(self, treasury_service: Treasury) -> None:
        gateway, spend = treasury_service.gateway, Spend(100)
        await gateway.spend(spend)
        await treasury_service.age_holds()
        assert (await gateway.execute(spend)).json()["code"] == "authorization_expired"

    async def test_is_ended_once_in_batches(self, treasury_service: Treasury) -> None:
        for _ in range(3):
            await treasury_service.gateway.spend(Spend(100))
        await treasury_service.age_holds()
        database = await Database.open(treasury_service.database.treasury, application="test")
        batches = treasury_service.app.state.house.batches
        ended = await asyncio.gather(sweep(database, batches, 2), sweep(database, batches, 2))
        assert {swept.due for swept in ended} <= {1, 2}
        assert (await sweep(database, batches, 2)).due <= 1
        assert await sweep(database, batches, 2) == (0, 0)
        await database.close()
        events = await treasury_service.sql(
            "SELECT 1 FROM treasury.outbox WHERE event ->> 'event_type' = 'treasury.expired'"
        )
        assert len(events) == 3


async def test_the_sweeper_outlives_its_database(ledger_database: LedgerDatabase) -> None:
    database = await Database.open(
        ledger_database.treasury.replace("tollhouse_treasury:", "nobody:"), application="test"
    )
    batches = Batches(road(database, Terms(1, 1)), Limits(10, 10, 1, 10))
    sweeping = asyncio.create_task(sweep_forever(database, batches, 1, 10))
    done, _ = await asyncio.wait([sweeping], timeout=0.2)
    assert not done
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    await database.close()


class TestSmallBatches:
    """More is due than one round ends."""

    @pytest.fixture
    def treasury_settings(self) -> dict[str, Any]:
        return {"sweep_interval_ms": 500, "sweep_batch_max": 1}

    async def test_the_next_round_follows_at_once(self, treasury_service: Treasury) -> None:
        spends = [Spend(100) for _ in range(4)]
        for spend in spends:
            await treasury_service.gateway.spend(spend)
        await treasury_service.age_holds()
        for spend in spends:
            await until_status(treasury_service, spend, "expired")

    async def test_a_hold_that_cannot_be_ended_stands_in_nobodys_way(
        self, treasury_service: Treasury
    ) -> None:
        stuck, spend = Spend(100), Spend(100)
        for made in (stuck, spend):
            await treasury_service.gateway.spend(made)
        await treasury_service.sql(
            "CREATE FUNCTION treasury.stick() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'stuck'; END $$"
        )
        await treasury_service.sql(
            "CREATE TRIGGER stick BEFORE UPDATE ON treasury.holds FOR EACH ROW"
            f" WHEN (new.workflow_id = '{stuck.workflow_id}' AND new.status <> old.status)"
            " EXECUTE FUNCTION treasury.stick()"
        )
        await treasury_service.age_holds()
        await until_status(treasury_service, spend, "expired")
        await treasury_service.sql("DROP TRIGGER stick ON treasury.holds")
        await until_status(treasury_service, stuck, "expired")


@pytest.mark.requirement("GW-19")
async def test_the_sweeper_outlives_a_database_that_cannot_write(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend)
    role = "ALTER ROLE tollhouse_treasury IN DATABASE {} {} default_transaction_read_only"
    kick = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    kick += " AND usename = 'tollhouse_treasury'"
    (row,) = await treasury_service.sql("SELECT quote_ident(current_database()) AS name")
    await treasury_service.sql(role.format(row["name"], "SET") + " = on")
    await treasury_service.sql(kick)
    await treasury_service.age_holds()
    for _ in range(3):
        refused = await gateway.spend(Spend())
        assert (refused.status_code, refused.json()["code"]) == (503, "treasury_unavailable")
    database = await Database.open(treasury_service.database.treasury, application="test")
    batches = treasury_service.app.state.house.batches
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        await sweep(database, batches, 1)
    await sweep_all(database, batches, 1)
    await database.close()
    assert (await gateway.get(f"/v1/intents/{spend.id}")).json()["status"] == "authorized"
    await treasury_service.sql(role.format(row["name"], "RESET"))
    await treasury_service.sql(kick)
    await until_status(treasury_service, spend, "expired")
