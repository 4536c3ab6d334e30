"""The connections that a process could do without: what gives way when there are too many."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connections:
    """The connections of a process that have no request under way, the oldest first."""

    def __init__(self, connections_max: int) -> None:
        self._max = connections_max
        self._new: dict[HttpToolsProtocol, None] = {}
        self._kept: dict[HttpToolsProtocol, None] = {}

    def opened(self, one: HttpToolsProtocol, open_now: int) -> bool:
        """Whether there is room for it; one that never asked anything gives way before one that did."""
        room = open_now <= self._max
        for idle in (self._new, self._kept):
            if not room and idle:
                oldest = next(iter(idle))
                del idle[oldest]
                oldest.transport.abort()
                room = True
        if room:
            self._new[one] = None
        return room

    def kept(self, one: HttpToolsProtocol) -> None:
        """It was answered, and may ask again."""
        self._kept[one] = None

    def taken(self, one: HttpToolsProtocol) -> None:
        """It has a request under way, or is gone."""
        self._new.pop(one, None)
        self._kept.pop(one, None)
