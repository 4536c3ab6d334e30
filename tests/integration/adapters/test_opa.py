"""An OPA that answers drop by drop has its time as a whole, and loses the connection."""

import asyncio
import contextlib

import pytest

from adapters.http1 import TcpAddress
from adapters.opa import OpaData, OpaUnavailable
from tests.fixtures.deadlines import HUNG_S


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize("what", ["decisions", "prices"])
async def test_an_answer_that_drips_is_given_up_and_so_is_its_connection(what: str) -> None:
    left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        left.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    opa = OpaData(TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1]), None, 4_000_000)
    async with asyncio.timeout(HUNG_S):
        with pytest.raises(OpaUnavailable, match="in time"):
            await (opa.ask([b"{}"], 0.2) if what == "decisions" else opa.prices(0.2))
        await left.wait()
    await opa.aclose()
    server.close()
