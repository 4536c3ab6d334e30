"""What prepaid budgets have to tell: the database raises an alert with the change itself, here it is told.

An alert becomes an event in one commit, once, whichever process comes first.
"""

from dataclasses import dataclass

import asyncpg

from adapters.background import unending
from adapters.postgres import Connection, Database, DatabaseUnavailable
from adapters.telemetry import logger
from schemas.ids import new_id
from treasury.core.top_up import standing_workflow
from treasury.edge.commit import instant
from treasury.edge.queries import SQL as LEDGER
from treasury.edge.telling import Told, tell
from treasury.edge.topups import SQL

log = logger("treasury.alerts")


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often alerts are looked for, how many are told at once, how many workflows are named."""

    interval_ms: int
    batch_max: int
    workflows_max: int


async def tell_alerts(database: Database, rounds: Rounds) -> int:
    """Tell at most a batch of alerts; how many there were. Raises `DatabaseUnavailable`."""

    async def work(connection: Connection) -> int:
        alerts = await connection.fetch(SQL.alerts_to_tell, rounds.batch_max)
        for ordinal, alert in enumerate(alerts, start=1):
            await _tell(connection, alert, ordinal, rounds.workflows_max)
            await connection.execute(SQL.alert_told, alert["tenant_id"], alert["id"])
        return len(alerts)

    return await database.transact(work)


async def _tell(connection: Connection, alert: asyncpg.Record, ordinal: int, workflows_max: int) -> None:
    tenant = alert["tenant_id"]
    budget = [alert[name] for name in ("budget_key", "budget_window", "window_start", "currency")]
    told = Told(tenant, standing_workflow(tenant, alert["budget_key"]), new_id(), alert["raised_at"])
    payload = {
        "budget_key": alert["budget_key"],
        "budget_window": alert["budget_window"],
        "window_start": instant(alert["window_start"]),
        "currency": alert["currency"],
        "balance_cents": int(alert["balance_cents"]),
        "low_cents": alert["low_cents"],
    }
    await connection.execute(LEDGER.insert_workflow, tenant, told.workflow_id)
    if alert["level"] == "low":
        await tell(connection, told, "treasury.balance_low", payload, ordinal)
        return
    rows = await connection.fetch(SQL.workflows_of_budget, tenant, *budget, workflows_max)
    workflows = [str(row["workflow_id"]) for row in rows]
    await tell(connection, told, "treasury.depleted", payload | {"workflows": workflows}, ordinal)


async def tell_all(database: Database, rounds: Rounds) -> None:
    """Tell all that there is, batch after batch, as far as the database goes along."""
    count = rounds.batch_max
    try:
        while count == rounds.batch_max:
            count = await tell_alerts(database, rounds)
    except DatabaseUnavailable as error:
        log.warning("alerts_wait", reason=str(error))


async def tell_forever(database: Database, rounds: Rounds) -> None:
    """Tell until cancelled."""
    await unending("alerts", lambda: tell_all(database, rounds), rounds.interval_ms / 1000)
