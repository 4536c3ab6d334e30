"""Whatever our client accepts, aiohttp's reads the same: status, headers and body.

The other way round it need not hold: `stricter` in the table names what we refuse and others may read.
Bytes after the end of an answer are left out of the comparison: we drop them with their connection, and
aiohttp fails or not by the moment at which they come.
"""

import asyncio

import aiohttp
import pytest
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.http1 import HTTPError, Limits, Pool, TcpAddress
from adapters.http1_answer import Answer
from tests.integration.adapters.raw_server import always, raw_server
from tests.unit.adapters.http_answers import ALL, ORDINARY, RawAnswer

pytestmark = pytest.mark.requirement("GW-13")

Read = tuple[int, list[tuple[bytes, bytes]], bytes] | None


async def ours(address: TcpAddress, method: bytes) -> Read:
    pool = Pool(address=address, limits=Limits())
    try:
        response = await pool.send(method, b"/", [], None, 5)
        return response.status, response.headers, await response.read(1_000_000)
    except HTTPError:
        return None
    finally:
        await pool.aclose()


async def theirs(address: TcpAddress, method: bytes) -> Read:
    url = f"http://{address.host}:{address.port}/"
    try:
        async with (
            aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(5)) as session,
            session.request(method.decode(), url, allow_redirects=False, max_line_size=65536) as response,
        ):
            headers = [(name.lower(), value) for name, value in response.raw_headers]
            return response.status, headers, await response.read()
    except (aiohttp.ClientError, HttpProcessingError, TimeoutError):
        return None


def whole(raw: bytes, method: bytes) -> bytes:
    """The answer alone, without what follows its end."""
    answer = Answer(Limits(), head_only=method == b"HEAD")
    for position in range(len(raw)):
        answer.feed(raw[position : position + 1])
        if answer.ended:
            return raw[: position + 1]
    return raw


async def both(raw: bytes, method: bytes) -> tuple[Read, Read]:
    async with raw_server(always(raw, close=True)) as server:
        mine = await ours(server.address, method)
    alone = raw if mine is None else whole(raw, method)
    async with raw_server(always(alone, close=True)) as server:
        return mine, await theirs(server.address, method)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
async def test_what_we_accept_is_read_alike(case: RawAnswer) -> None:
    mine, other = await both(case.raw, case.method)
    assert (mine and (mine[0], mine[2])) == case.accepted
    if mine is not None:
        assert mine == other
    elif not case.stricter:
        assert other is None


_NOISE = (b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b"0", b"5", b"\r\n", b"\r\n\r\n", b"chunked", b"\xff")


@st.composite
def mutated(draw: st.DrawFn) -> tuple[bytes, bytes]:
    case = draw(st.sampled_from(ORDINARY))
    raw = case.raw
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(start + 3, len(raw))))
        raw = raw[:start] + draw(st.sampled_from((b"", *_NOISE))) + raw[end:]
    return raw, case.method


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_answers_that_we_accept_are_read_alike(mutation: tuple[bytes, bytes]) -> None:
    mine, other = asyncio.run(both(*mutation))
    if mine is not None:
        assert mine == other
