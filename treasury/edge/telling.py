"""Events that are about no intent, written to the outbox in the commit of what they tell of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from adapters.postgres import Connection
from schemas.events import registry
from treasury.edge.commit import instant
from treasury.edge.queries import SQL


@dataclass(frozen=True, slots=True)
class Told:
    """Whose event it is, in which workflow's order, and when it happened."""

    tenant: str
    workflow_id: UUID
    correlation_id: str
    at: datetime


async def tell(
    connection: Connection, told: Told, event_type: str, payload: Mapping[str, Any], ordinal: int = 1
) -> None:
    """Write one event; `ordinal` is its place among those of this commit. Raises `EventRefused`."""
    event = registry.event(
        event_type,
        payload,
        tenant=told.tenant,
        workflow_id=str(told.workflow_id),
        correlation_id=told.correlation_id,
        occurred_at=instant(told.at),
    )
    text = orjson.dumps(event).decode()
    await connection.execute(
        SQL.insert_event, told.tenant, event["event_id"], told.workflow_id, ordinal, text
    )
