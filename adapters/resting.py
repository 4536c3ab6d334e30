"""The connections of a pool that nobody uses at the moment, the last used first.

What has arrived on one meanwhile, a farewell most of all, ends it before it can be used again. The event loop
hears of that when it waits for its sockets, once in each of its turns. Of a connection that has rested for a
whole turn it has heard; of a younger one the system is asked, which costs a call.
"""

import asyncio

from adapters.http1_connection import Connection


class Resting:
    """`idle_s` is how long a connection may rest and be used again."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._heard: list[Connection] = []
        self._hearing: list[Connection] = []
        self._young: list[Connection] = []

    def add(self, connection: Connection) -> None:
        """It rests from now on."""
        if not self._young and not self._hearing:
            connection.loop.call_soon(self._turn, connection.loop)
        self._young.append(connection)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """A turn begins: the loop has waited once since the last."""
        self._heard += self._hearing
        self._hearing, self._young = self._young, []
        if self._hearing:
            loop.call_soon(self._turn, loop)

    def take(self) -> Connection | None:
        """One that can be used; those on the way to it that cannot are closed."""
        for rested in (self._heard, self._hearing, self._young):
            while rested:
                connection = rested.pop()
                rests_s = connection.loop.time() - connection.idle_since_s
                is_heard = rested is self._heard and connection.open
                if rests_s < self._idle_s and (is_heard or connection.quiet):
                    return connection
                connection.abort()
        return None

    def drop(self, connection: Connection) -> None:
        """It is gone."""
        for rested in (self._heard, self._hearing, self._young):
            if connection in rested:
                rested.remove(connection)

    def close(self) -> None:
        """Close them all."""
        for rested in (self._heard, self._hearing, self._young):
            while rested:
                rested.pop().abort()
