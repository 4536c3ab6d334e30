"""The table of prices: read from OPA when first needed, and again when policy judged by another price."""

import asyncio

from adapters.opa import OpaData, OpaUnavailable
from gateway.core import price
from gateway.core.price import PriceTable
from gateway.errors import Unavailable


class OpaPrices:
    """Prices as OPA tells them. However many ask at once, OPA is asked once."""

    def __init__(self, opa: OpaData, timeout_s: float) -> None:
        self._opa = opa
        self._timeout_s = timeout_s
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
            self._table = price.table(await self._opa.prices(self._timeout_s))
        except OpaUnavailable as error:
            raise _unavailable(f"the prices could not be read: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _unavailable("the policy's table of prices is of another form") from None
        return self._table


def _unavailable(why: str) -> Unavailable:
    return Unavailable("policy_unavailable", why, retry_after_s=1)
