"""What OPA answers is one decision a question, in time, or nothing."""

import asyncio
import contextlib

import pytest

from adapters.http1 import TcpAddress
from adapters.opa import OpaData, OpaUnavailable
from tests.fixtures.deadlines import HUNG_S
from tests.integration.adapters.raw_server import raw_server


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


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d Said\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize(
    "raw", [answer(500, b"[1]"), answer(200, b"[]"), answer(200, b"{}"), answer(200, b"")]
)
async def test_what_is_not_one_decision_a_question_is_none(raw: bytes) -> None:
    answers = [answer(200, b"[1]"), raw, answer(200, b"[2]"), raw]

    async def each_in_turn(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    async with raw_server(each_in_turn) as server, asyncio.timeout(HUNG_S):
        opa = OpaData(server.address, None, 4_000_000)
        assert await opa.ask([b"{}"], 5) == [1]
        assert isinstance(await at_once(opa), OpaUnavailable)
        assert await at_once(opa) == [2]
        with pytest.raises(OpaUnavailable):
            await opa.ask([b"{}"], 5)
        await opa.aclose()
        assert not opa.ask_at_once([b"{}"], 5, print)


@pytest.mark.requirement("GW-19")
async def test_a_connection_that_opa_closed_without_a_word_may_be_asked_again() -> None:
    async def once(_: bytes, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) > 1:
            writer.close()
        else:
            writer.write(answer(200, b"[1]"))

    async with raw_server(once) as server, asyncio.timeout(HUNG_S):
        opa = OpaData(server.address, None, 4_000_000)
        await opa.ask([b"{}"], 5)
        refused = await at_once(opa)
        assert isinstance(refused, OpaUnavailable)
        assert refused.untouched
        await opa.aclose()


async def at_once(opa: OpaData) -> object:
    """What one question heard that did not wait."""
    heard: asyncio.Queue[object] = asyncio.Queue()
    assert opa.ask_at_once([b"{}"], 5, heard.put_nowait)
    return await heard.get()
