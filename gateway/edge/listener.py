"""The gateway's way in: the common listener, and what an application that streams wants to know of it.

The application hears at once when its caller goes away, whether its request has come as a whole, and how to
break an answer off.
"""

from typing import Any

from adapters import listener
from gateway.config import Settings
from gateway.edge.ingress import ANSWER_WHOLE, ARRIVED, BREAK_OFF, GONE, ON_GONE


class Listener(listener.Listener):
    """One connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application under way that its caller is gone."""
        super().connection_lost(exc)
        if self.cycle is not None:
            scope: dict[str, Any] = self.cycle.scope  # type: ignore[assignment]
            if not self.cycle.response_complete:
                scope[GONE] = True
                call = scope.get(ON_GONE)
                if call is not None:
                    call()
            for mine in (BREAK_OFF, ANSWER_WHOLE):
                scope.pop(mine, None)

    def on_headers_complete(self) -> None:
        """Say how to break it off, and how to answer as a whole."""
        self.scope[BREAK_OFF] = self.transport.close  # type: ignore[typeddict-unknown-key]
        self.scope[ANSWER_WHOLE] = self.answer_whole  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Say that all of it has come."""
        self.scope[ARRIVED] = True  # type: ignore[typeddict-unknown-key]
        super().on_message_complete()


def protocol(settings: Settings) -> Any:
    """What uvicorn's `http` setting takes: a listener with the settings' limits."""
    limits = listener.Limits(
        head_bytes_max=settings.header_bytes_max,
        head_timeout_s=settings.head_timeout_s,
        write_stall_s=settings.write_stall_s,
        answer_s_max=settings.stream_s_max,
        connections_max=settings.connections_max,
    )
    return listener.protocol(limits, Listener)
