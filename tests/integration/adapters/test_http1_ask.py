"""Asking without waiting: at once or not at all, and whoever asked hears exactly once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from adapters.http1 import Answer, BadAnswer, BrokenAnswer, HTTPError, Limits, NoAnswer, Pool
from tests.fixtures.deadlines import HUNG_S
from tests.integration.adapters.raw_server import RawServer, always, raw_server

pytestmark = [pytest.mark.requirement("GW-04"), pytest.mark.requirement("GW-19")]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMITS = Limits(connections_max=2, buffer_bytes_max=1_000)


class Asker:
    """Asks, and keeps what it hears."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.heard: asyncio.Queue[Answer] = asyncio.Queue()

    def ask(self, timeout_s: float = 5, more: int = 0) -> bool:
        """`more` questions follow, each within the answer to the one before."""

        def hear(answer: Answer) -> None:
            self.heard.put_nowait(answer)
            if more:
                assert self.ask(timeout_s, more - 1)

        return self.pool.ask(b"POST", b"/", [], b"body", timeout_s, hear)

    async def error(self) -> HTTPError | None:
        """What is wrong with the next answer."""
        async with asyncio.timeout(HUNG_S):
            return (await self.heard.get()).error


@asynccontextmanager
async def after_one(
    answer: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[Asker, RawServer]]:
    """Whoever asks a server that answered once, so that a connection is at hand; this is its next answer."""

    async def first_ok(request: bytes, writer: asyncio.StreamWriter) -> None:
        await (always(OK) if request.startswith(b"GET") else answer)(request, writer)

    async with raw_server(first_ok) as server:
        pool = Pool(address=server.address, limits=LIMITS)
        response = await pool.send(b"GET", b"/", [], None, 5)
        assert await response.read(9) == b"ok"
        yield Asker(pool), server
        await pool.aclose()


async def test_one_question_after_another_on_one_connection() -> None:
    async with after_one(always(OK)) as (asker, server):
        assert asker.ask(more=4)
        for _ in range(5):
            assert await asker.error() is None
        assert server.connections == 1
        assert len(server.requests) == 6
        assert server.requests[-1].endswith(b"\r\n\r\nbody")


async def test_without_a_connection_at_hand_nothing_is_asked() -> None:
    async with after_one(always(OK)) as (asker, server):
        assert asker.ask()
        assert not asker.ask()
        assert await asker.error() is None
        assert asker.ask()
        assert await asker.error() is None
        assert asker.heard.empty()
        assert len(server.requests) == 3


async def test_a_connection_that_the_server_left_is_none_at_hand() -> None:
    async with after_one(always(OK, close=True)) as (asker, server):
        assert asker.ask()
        assert await asker.error() is None
        async with asyncio.timeout(HUNG_S):
            while asker.ask():
                await asyncio.sleep(0.01)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", NoAnswer),
        (b"HTTP/1.1 200 OK\r\n", NoAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", BrokenAnswer),
        (b"garbage\r\n\r\n", BadAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + 2_000 * b".", BadAnswer),
    ],
    ids=["nothing", "half a head", "half a body", "garbage", "too much"],
)
async def test_what_is_no_whole_answer_is_an_error(raw: bytes, kind: type[HTTPError]) -> None:
    async with after_one(always(raw, close=True)) as (asker, _):
        assert asker.ask()
        error = await asker.error()
        assert type(error) is kind
        assert isinstance(error, NoAnswer) is (kind is NoAnswer)
        assert not isinstance(error, NoAnswer) or error.untouched is (raw == b"")
        assert not asker.ask()
        assert asker.heard.empty()


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"])
async def test_a_whole_answer_has_its_time_as_a_whole(raw: bytes) -> None:
    async with after_one(always(raw)) as (asker, server):
        assert asker.ask(timeout_s=0.05)
        assert isinstance(await asker.error(), NoAnswer | BrokenAnswer)
        async with asyncio.timeout(HUNG_S):
            await server.gone.wait()


async def test_a_pool_that_closes_tells_whoever_asked() -> None:
    async with after_one(always(b"")) as (asker, _):
        assert asker.ask()
        await asker.pool.aclose()
        assert isinstance(await asker.error(), NoAnswer)
        assert not asker.ask()
