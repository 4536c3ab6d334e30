"""Holds of unknown outcome, settled within a commit that does more than that."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from treasury.core.authorization import Terms
from treasury.core.command import Command, Reconcile
from treasury.edge.commit import Commit
from treasury.edge.ledger import carry_out
from treasury.errors import Refused

_NOTHING_IS_PLACED: Final = Terms(hold_ttl_s=0, approval_ttl_s=0)


async def reconcile(commit: Commit, outcomes: Mapping[UUID, int | None]) -> None:
    """Settle holds of unknown outcome as a provider's statement tells: captured, or with None voided.

    Raises `Refused` where a hold is not there, is not unknown, or is smaller than its amount.
    """
    commands = [
        Command(commit.tenant, commit.correlation_id, Reconcile(hold_id, amount_cents))
        for hold_id, amount_cents in outcomes.items()
    ]
    for reply in await carry_out(commit.connection, commands, _NOTHING_IS_PLACED):
        if isinstance(reply, Refused):
            raise reply
