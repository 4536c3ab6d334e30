"""An agent whose decisions are told, and the cases that are opened about it."""

from datetime import UTC, datetime
from typing import Any

import httpx

from schemas.events.registry import Event
from schemas.ids import new_id
from tests.fixtures.events import decided, of_record
from tests.integration.control.conftest import until

WITHIN_S = 5


class Agent:
    """An agent of a test's own, whose decisions are told."""

    def __init__(self) -> None:
        self.id = f"agent-{new_id()}"
        self.workflow_id = new_id()

    def record(self, action: str = "bank.get_balance", **more: Any) -> dict[str, Any]:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        principal = {"id": self.id, "role": "executor", "tenant": "acme"}
        return decided(
            principal=principal,
            action={"kind": "tool_call", "name": action},
            workflow_id=self.workflow_id,
            **{"at": at} | more,
        )

    def refused(self, action: str = "bank.send_money", code: str = "tool_not_allowed", **more: Any) -> Event:
        reasons = [{"code": code, "message": ""}]
        return of_record("decided", self.record(action, allow=False, reasons=reasons, **more))

    async def cases(self, client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
        answer = await client.get("/v1/cases", params={"agent": self.id, **query})
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def case(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """The one case about this agent, in time."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = await self.cases(client)
            return bool(found)

        await until(there, WITHIN_S)
        assert len(found) == 1
        answer: dict[str, Any] = (await client.get(f"/v1/cases/{found[0]['id']}")).json()
        return answer

    async def evidence(self, client: httpx.AsyncClient, count: int) -> list[Event]:
        """The evidence of its case, when it is this much."""
        found: list[Event] = []

        async def there() -> bool:
            found[:] = (await self.case(client))["evidence"]
            return len(found) >= count

        await until(there, WITHIN_S)
        return found
