"""The table of prices: read from OPA when first needed, and again when policy judged by another price."""

import asyncio
from typing import Any, Final

import aiohttp
from opa_client.opa_async import AsyncOpaClient

from gateway.core import price
from gateway.core.price import PriceTable
from gateway.errors import Unavailable

_PACKAGE: Final = "gateway.tools"
_RULE: Final = "prices"


class OpaPrices:
    """Prices as OPA tells them. However many ask at once, OPA is asked once."""

    def __init__(self, client: AsyncOpaClient) -> None:
        self._client = client
        self._table: PriceTable | None = None
        self._reading: asyncio.Task[PriceTable] | None = None

    async def table(self) -> PriceTable:
        """As last read. Raises `Unavailable`."""
        return self._table or await self.reread()

    async def reread(self) -> PriceTable:
        """As OPA tells them now. Raises `Unavailable`."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> PriceTable:
        try:
            answer: Any = await self._client.query_rule({}, _PACKAGE, _RULE)
            self._table = price.table(answer["result"])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(f"the prices could not be read: {type(error).__name__}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _unavailable("the policy's table of prices is of another form") from None
        return self._table


def _unavailable(why: str) -> Unavailable:
    return Unavailable("policy_unavailable", why, retry_after_s=1)
