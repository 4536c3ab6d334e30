"""What is written within one turn of the loop leaves in one piece, and nothing is lost or reordered."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from adapters.outgoing import GATHERED_BYTES_MAX, Outgoing
from tests.fixtures.deadlines import HUNG_S


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

    def get_write_buffer_size(self) -> int:
        return 0


def outgoing(wire: asyncio.Transport, *, stall_s: float = HUNG_S, total_s: float = HUNG_S) -> Outgoing:
    return Outgoing(wire, asyncio.get_running_loop(), stall_s=stall_s, total_s=total_s)


async def turn() -> None:
    """Let everything that is ready run."""
    await asyncio.sleep(0)


@pytest.mark.requirement("GW-04")
async def test_a_head_and_its_body_leave_together() -> None:
    wire = Wire()
    out = outgoing(wire)
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
    out = outgoing(wire)
    out.write(b"last words")
    out.close()
    assert (wire.written, wire.ended, out.is_closing()) == ([b"last words"], "closed", True)
    await turn()
    assert wire.written == [b"last words"]


async def test_an_abort_sends_nothing_more() -> None:
    wire = Wire()
    out = outgoing(wire)
    out.write(b"never")
    out.abort()
    await turn()
    assert (wire.written, wire.ended) == ([], "aborted")


async def test_much_does_not_wait() -> None:
    wire = Wire()
    out = outgoing(wire)
    out.write(bytes(GATHERED_BYTES_MAX))
    assert not wire.written
    out.write(b"x")
    assert len(wire.written[0]) == GATHERED_BYTES_MAX + 1


async def test_it_knows_what_the_real_one_knows() -> None:
    out = outgoing(Wire())
    assert out.get_extra_info("peername") == ("127.0.0.1", 9)
    assert out.get_extra_info("socket", "none") == "none"


@given(st.lists(st.lists(st.binary(max_size=40_000), max_size=4), max_size=4))
def test_all_bytes_leave_in_their_order(turns: list[list[bytes]]) -> None:
    async def write() -> list[bytes]:
        wire = Wire()
        out = outgoing(wire)
        for pieces in turns:
            for piece in pieces:
                out.write(piece)
            await turn()
        return wire.written

    assert b"".join(asyncio.run(write())) == b"".join(piece for pieces in turns for piece in pieces)


class Answering(asyncio.Protocol):
    """The end of a connection that answers at once; `lost` when the connection has ended."""

    def __init__(self, answer: bytes, *, closes: bool, **limits: float) -> None:
        self.answer, self.closes, self.limits = answer, closes, limits
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.out = outgoing(transport, **self.limits)
        self.out.write(self.answer)
        if self.closes:
            self.out.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.out.lost()
        self.lost.set_result(None)


async def answered(caller: socket.socket, end: socket.socket, **answering: Any) -> Answering:
    """What answers at one end of a connection; the caller's end takes little at once."""
    for one in (caller, end):
        one.setblocking(False)
    loop = asyncio.get_running_loop()
    _, protocol = await loop.connect_accepted_socket(lambda: Answering(**answering), end)
    return protocol


BOTH_LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
NewLoop = Callable[[], asyncio.AbstractEventLoop]


@BOTH_LOOPS
@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("closes", [True, False])
def test_a_caller_that_takes_nothing_is_cut_off(new_loop: NewLoop, closes: bool) -> None:
    async def meet() -> None:
        caller, end = socket.socketpair()
        with caller:
            answering = await answered(caller, end, answer=bytes(4_000_000), closes=closes, stall_s=0.02)
            await asyncio.wait_for(answering.lost, HUNG_S)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(meet())


@BOTH_LOOPS
@pytest.mark.requirement("GW-13")
def test_a_caller_that_takes_little_has_so_long_and_no_longer(new_loop: NewLoop) -> None:
    async def meet() -> None:
        loop = asyncio.get_running_loop()
        caller, end = socket.socketpair()
        answering = await answered(
            caller, end, answer=bytes(64_000_000), closes=False, stall_s=0.05, total_s=0.2
        )
        with caller:
            while not answering.lost.done():
                await loop.sock_recv(caller, 4_096)
                await asyncio.sleep(0.001)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(meet(), HUNG_S))


@BOTH_LOOPS
@pytest.mark.requirement("GW-04")
def test_a_slow_caller_has_all_of_it(new_loop: NewLoop) -> None:
    async def meet() -> None:
        loop = asyncio.get_running_loop()
        caller, end = socket.socketpair()
        await answered(caller, end, answer=bytes(8_000_000), closes=True, stall_s=0.5)
        size_bytes = 0
        with caller:
            while piece := await loop.sock_recv(caller, 262_144):
                size_bytes += len(piece)
                await asyncio.sleep(0.05)
        assert size_bytes == 8_000_000

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(meet(), HUNG_S))
