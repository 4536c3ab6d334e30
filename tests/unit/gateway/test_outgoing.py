"""What is written within one turn of the loop leaves in one piece, and nothing is lost or reordered."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.outgoing import GATHERED_BYTES_MAX, Outgoing


class Wire(asyncio.Transport):
    """Keeps what reached it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 9)})
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)


async def turn() -> None:
    """Let everything that is ready run."""
    await asyncio.sleep(0)


@pytest.mark.requirement("GW-04")
async def test_a_head_and_its_body_leave_together() -> None:
    wire = Wire()
    out = Outgoing(wire, asyncio.get_running_loop())
    out.write(b"head ")
    out.write(b"body")
    assert wire.written == []
    await turn()
    out.write(b"next")
    await turn()
    assert wire.written == [b"head body", b"next"]


@pytest.mark.requirement("GW-04")
async def test_what_was_written_leaves_before_the_connection_closes() -> None:
    wire = Wire()
    out = Outgoing(wire, asyncio.get_running_loop())
    out.write(b"last words")
    out.close()
    assert (wire.written, wire.ended, out.is_closing()) == ([b"last words"], "closed", True)
    await turn()
    assert wire.written == [b"last words"]


async def test_an_abort_sends_nothing_more() -> None:
    wire = Wire()
    out = Outgoing(wire, asyncio.get_running_loop())
    out.write(b"never")
    out.abort()
    await turn()
    assert (wire.written, wire.ended) == ([], "aborted")


async def test_much_does_not_wait() -> None:
    wire = Wire()
    out = Outgoing(wire, asyncio.get_running_loop())
    out.write(bytes(GATHERED_BYTES_MAX))
    assert not wire.written
    out.write(b"x")
    assert len(wire.written[0]) == GATHERED_BYTES_MAX + 1


async def test_it_knows_what_the_real_one_knows() -> None:
    out = Outgoing(Wire(), asyncio.get_running_loop())
    assert out.get_extra_info("peername") == ("127.0.0.1", 9)
    assert out.get_extra_info("socket", "none") == "none"


@given(st.lists(st.lists(st.binary(max_size=40_000), max_size=4), max_size=4))
def test_all_bytes_leave_in_their_order(turns: list[list[bytes]]) -> None:
    async def write() -> list[bytes]:
        wire = Wire()
        out = Outgoing(wire, asyncio.get_running_loop())
        for pieces in turns:
            for piece in pieces:
                out.write(piece)
            await turn()
        return wire.written

    assert b"".join(asyncio.run(write())) == b"".join(piece for pieces in turns for piece in pieces)
