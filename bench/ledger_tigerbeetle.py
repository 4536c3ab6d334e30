"""TigerBeetle as another peer: two-phase transfers through its Python client.

Its server is in no package: it is measured where the client is installed and TIGERBEETLE_ADDRESS names a
replica of cluster 0 that runs on this machine, and left out otherwise. It keeps transfers alone; intents,
authorizations, events and answers are not its business.
"""

import importlib
import importlib.util
import os
from typing import Any, Final

from bench.ledger_seed import BUDGETS
from bench.ledger_spend import HOT, Spend
from bench.ledger_ways import Way

ADDRESS: Final = "TIGERBEETLE_ADDRESS"
_LEDGER, _CODE = 1, 1
_BANK, _HOT, _FIRST_AGENT = 1, 2, 3
_AT_ONCE: Final = 5_000


def why_left_out() -> str | None:
    """What is missing; None where it can be measured."""
    if importlib.util.find_spec("tigerbeetle") is None:
        return "TigerBeetle is left out: its Python client (tigerbeetle) is not installed"
    if ADDRESS not in os.environ:
        return f"TigerBeetle is left out: {ADDRESS} names no replica"
    return None


async def tigerbeetle() -> Way:
    """A client of the replica, with an account for each budget."""
    tb: Any = importlib.import_module("tigerbeetle")
    client = tb.ClientAsync(cluster_id=0, replica_addresses=os.environ[ADDRESS])
    ids = range(_BANK, _FIRST_AGENT + BUDGETS)
    accounts = [tb.Account(id=number, ledger=_LEDGER, code=_CODE) for number in ids]
    for first in range(0, len(accounts), _AT_ONCE):
        await client.create_accounts(accounts[first : first + _AT_ONCE])

    async def transfer(**fields: Any) -> int:
        made = tb.Transfer(id=tb.id(), ledger=_LEDGER, code=_CODE, **fields)
        (result,) = await client.create_transfers([made])
        if result.status != tb.CreateTransferStatus.CREATED:
            raise ValueError(f"TigerBeetle refused a transfer: {result.status.name}")
        return int(made.id)

    async def spend(wanted: Spend) -> None:
        budget = _HOT if wanted.budget == HOT else _FIRST_AGENT + int(wanted.budget.removeprefix("agent:"))
        held = await transfer(
            debit_account_id=_BANK,
            credit_account_id=budget,
            amount=wanted.amount_cents,
            flags=tb.TransferFlags.PENDING,
        )
        await transfer(pending_id=held, amount=tb.AMOUNT_MAX, flags=tb.TransferFlags.POST_PENDING_TRANSFER)

    return Way("TigerBeetle", spend, client.close)
