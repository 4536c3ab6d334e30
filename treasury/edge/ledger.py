"""The ledger's one road: lock, read, decide, write, for any number of commands in one database transaction.

Everything that a command may need is read after its workflow was locked, decided by pure functions
(`core/ruling`, `core/batch`) in the order of arrival, and written with the answer to its key. A single
command goes the same way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Final

from adapters.postgres import Connection, Database
from treasury.core.authorization import Terms
from treasury.core.batch import TenantBudget, decide_all, hear
from treasury.core.budget import BudgetState
from treasury.core.command import Answer, Command
from treasury.core.known import KeptAnswer, Known
from treasury.edge.knowing import know, lock_budgets, lock_workflows
from treasury.edge.writing import Writing
from treasury.errors import NotAuthorized, Refused


class Postponed(Enum):
    """A command that cannot go in this batch, since one before it is about the same intent."""

    POSTPONED = "postponed"


POSTPONED: Final = Postponed.POSTPONED

_UNTIL_SENT: Final = 2
"""Turns of the loop: in the first the statement is begun, at its end uvloop writes it to the socket."""

Reply = Answer | Refused | Postponed | None
"""What a command gets: an answer, a refusal that is not kept, another try, or nothing (nobody asked)."""


def road(database: Database, terms: Terms) -> Callable[[Sequence[Command]], Awaitable[list[Reply]]]:
    """`carry_out` in a transaction of its own; raises `DatabaseUnavailable` too."""

    async def carry(commands: Sequence[Command]) -> list[Reply]:
        return await database.transact(lambda connection: carry_out(connection, commands, terms))

    return carry


async def carry_out(connection: Connection, commands: Sequence[Command], terms: Terms) -> list[Reply]:
    """Carry out commands in the transaction that is open; their replies in order.

    Raises `RowsMoved` where others made what was looked for, a `PostgresError` for a row that the database
    refuses, `EventRefused` for one that cannot be told.
    """
    workflows = await lock_workflows(connection, commands)
    known, at = await know(connection, commands, workflows)
    replies = _replies_before(commands, known)
    numbers = [number for number in range(len(commands)) if number not in replies]
    docket = hear([commands[n] for n in numbers], [known[n] for n in numbers], at)
    states = await lock_budgets(connection, docket.budgets())
    decisions, budgets = decide_all(docket, states, terms)
    writing, written = Writing(at), list[int]()
    for number, decided in zip(numbers, decisions, strict=True):
        untold = isinstance(decided, NotAuthorized) or commands[number].asked is None
        if isinstance(decided, Refused) and untold:
            replies[number] = decided
        else:
            writing.add(commands[number], decided)
            written.append(number)
    replies |= zip(written, await _write(connection, writing, budgets), strict=True)
    return [replies[number] for number in range(len(commands))]


async def _write(
    connection: Connection, writing: Writing, budgets: Mapping[TenantBudget, BudgetState]
) -> list[Answer | None]:
    """Write it all, and put it into words while the database is at work."""
    moving = asyncio.create_task(writing.rows.move(connection))
    try:
        for _ in range(_UNTIL_SENT):
            await asyncio.sleep(0)
        answers = writing.tell()
    finally:
        await moving
    await writing.rows.conclude(connection, budgets)
    return answers


def _replies_before(commands: Sequence[Command], known: Sequence[Known]) -> dict[int, Reply]:
    """The replies that need no decision: answered before, or to be decided after another of this batch."""
    replies: dict[int, Reply] = {}
    intents = set()
    for number, (command, of_it) in enumerate(zip(commands, known, strict=True)):
        intent_id = of_it.intent.id if of_it.intent else command.intent_id
        if of_it.kept is not None:
            replies[number] = _again(command, of_it.kept)
        elif (command.tenant, intent_id) in intents:
            replies[number] = POSTPONED
        elif intent_id is not None:
            intents.add((command.tenant, intent_id))
    return replies


def _again(command: Command, kept: KeptAnswer) -> Reply:
    if command.asked is None or kept.request_sha256 != command.asked.sha256():
        return Refused("idempotency_mismatch", "this key was used for another request")
    return Answer(kept.status, kept.body)
