"""The recorder: keeps every event of the stream in PostgreSQL, each once."""

from collections.abc import Sequence
from typing import Final

from control.store import Store
from schemas.events.registry import Event


class Recorder:
    """A reader's handler."""

    durable: Final = "recorder"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle(self, events: Sequence[Event]) -> None:
        """Record them; those that are recorded already stay as they are."""
        await self._store.record(events)
