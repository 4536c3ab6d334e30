"""How a gateway asks a treasury that may be away: with its key, again and again, until it is answered."""

import asyncio
from typing import Any, Final

from adapters.http1 import TcpAddress
from gateway.edge.treasury import Asker, Once, Treasury
from gateway.errors import BadRequest, Refusal, Unavailable
from schemas.ids import new_id
from tests.fixtures.treasury import Spend, TreasuryClient

PAUSE_S: Final = 0.03
TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 512
REQUEST_SHA256: Final = "0" * 64
LIMIT_CENTS: Final = 10**12
HOT: Final = {"key": "role:executor", "window": "lifetime", "limit_cents": LIMIT_CENTS}


class Desk:
    """One gateway's way to the treasury on `port`; `refused` counts its 503s and silences."""

    def __init__(self, client: TreasuryClient, port: int) -> None:
        self._client = client
        self._treasury = Treasury(TcpAddress("127.0.0.1", port), client.token, TIMEOUT_S, CONNECTIONS_MAX)
        self._asker = Asker(client.tenant, client.principal, new_id())
        self.refused = 0

    async def aclose(self) -> None:
        await self._treasury.aclose()

    async def once(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """One request. Raises `Refusal` as a gateway sees it; `Unavailable` where nobody knows."""
        return await self._treasury.write(self._asker, path, body, Once(key, REQUEST_SHA256))

    async def ask(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """The answer, whatever it takes; of a refusal its code."""
        while True:
            try:
                return await self.once(path, body, key)
            except Unavailable:
                self.refused += 1
            except BadRequest as refusal:
                if refusal.code != "idempotency_in_flight":
                    return {"code": refusal.code}
            except Refusal as refusal:
                return {"code": refusal.code}
            await asyncio.sleep(PAUSE_S)

    def spend(self, spend: Spend, **claims: Any) -> tuple[str, dict[str, Any]]:
        """Path and body of a spend that is to be held."""
        warrant = self._client.signer.sign(self._client.claims(spend, "authorize", **claims))
        return "/v1/spends", {"intent": spend.document(), "warrant": warrant}

    def execute(self, spend: Spend, amount_cents: int) -> tuple[str, dict[str, Any]]:
        to = {"recipient_account": "vendor:1"}
        warrant = self._client.signer.sign(self._client.claims(spend, "execute", **to))
        body = {"intent_id": spend.id, "amount_cents": amount_cents, "warrant": warrant}
        return "/v1/executions", body | to

    def void(self, spend: Spend) -> tuple[str, dict[str, Any]]:
        warrant = self._client.signer.sign(self._client.claims(spend, "void"))
        return "/v1/voids", {"intent_id": spend.id, "warrant": warrant}

    def capture(self, hold_id: str, amount_cents: int) -> tuple[str, dict[str, Any]]:
        body = {"amount_cents": amount_cents, "recipient_account": "tool:bank"}
        return f"/v1/holds/{hold_id}/capture", body

    def void_hold(self, hold_id: str) -> tuple[str, dict[str, Any]]:
        return f"/v1/holds/{hold_id}/void", {}
