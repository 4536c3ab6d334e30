"""When a request has begun, and how long its server may be silent from then on."""

import asyncio

import pytest

from adapters.http1 import ConnectFailed, NoAnswer, Pool
from adapters.http1_answer import Limits
from tests.integration.adapters.raw_server import raw_server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.requirement("TRE-15")
async def test_a_request_has_begun_once_there_is_a_connection_for_it() -> None:
    told: list[str] = []

    async def hear(request: bytes, writer: asyncio.StreamWriter) -> None:
        told.append("heard")
        writer.write(OK)

    async with raw_server(hear) as server:
        pool = Pool(address=server.address, limits=Limits())
        for _ in range(2):
            response = await pool.send(b"GET", b"/", [], None, 5, begun=lambda: told.append("begun"))
            assert await response.read(10) == b"ok"
        await pool.aclose()
    assert told == ["begun", "heard"] * 2
    gone = Pool(address=server.address, limits=Limits())
    with pytest.raises(ConnectFailed):
        await gone.send(b"GET", b"/", [], None, 5, begun=lambda: told.append("begun"))
    assert len(told) == 4


@pytest.mark.requirement("TRE-15")
async def test_a_server_may_be_silent_for_as_long_as_the_request_has_patience() -> None:
    go = asyncio.Event()

    async def late(_request: bytes, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    async with raw_server(late) as server:
        pool = Pool(address=server.address, limits=Limits())
        patient = asyncio.create_task(pool.send(b"GET", b"/", [], None, 0.05, patience_s=60))
        with pytest.raises(NoAnswer):
            await pool.send(b"GET", b"/", [], None, 0.05)
        go.set()
        assert await (await patient).read(10) == b"ok"
        await pool.aclose()
