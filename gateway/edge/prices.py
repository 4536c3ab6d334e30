"""The table of prices: read from OPA when first needed, and again when policy judged by another price.

Reading has one deadline, however slowly OPA answers. Who waits may have a nearer one of its own.
"""

import asyncio
from typing import Any, Protocol

from adapters.opa import OpaUnavailable
from gateway.core import price
from gateway.core.price import PriceTable
from gateway.errors import Unavailable


class PriceSource(Protocol):
    """The document `data.gateway.tools.prices`; raises `OpaUnavailable`."""

    async def prices(self, timeout_s: float) -> Any: ...


class OpaPrices:
    """Prices as OPA tells them. However many ask at once, OPA is asked once."""

    def __init__(self, opa: PriceSource, timeout_s: float) -> None:
        self._opa = opa
        self._timeout_s = timeout_s
        self.known: PriceTable | None = None
        self._reading: asyncio.Task[PriceTable] | None = None

    async def table(self) -> PriceTable:
        """As last read, or read now. Raises `Unavailable`."""
        return self.known or await self.reread()

    async def reread(self) -> PriceTable:
        """As OPA tells them now. Raises `Unavailable`."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_hear)
        return await asyncio.shield(self._reading)

    async def _read(self) -> PriceTable:
        try:
            async with asyncio.timeout(self._timeout_s):
                self.known = price.table(await self._opa.prices(self._timeout_s))
        except TimeoutError:
            raise _unavailable("the prices could not be read in time") from None
        except OpaUnavailable as error:
            raise _unavailable(f"the prices could not be read: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _unavailable("the policy's table of prices is of another form") from None
        return self.known


def _hear(reading: "asyncio.Task[PriceTable]") -> None:
    """Its failure is for those who wait; where all of them have gone, for nobody."""
    if not reading.cancelled():
        reading.exception()


def _unavailable(why: str) -> Unavailable:
    return Unavailable("policy_unavailable", why, retry_after_s=1)
