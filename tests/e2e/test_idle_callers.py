"""Crowds that connect to the treasury and ask nothing, or half of something: paid calls go on."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from adapters.open_files import open_files_max
from tests.fixtures.tollroad import Tollroad

pytestmark = [pytest.mark.requirement("GW-13"), pytest.mark.requirement("GW-20")]

CROWD = 1_100  # more than the treasury takes connections, and twice what it takes requests
HALF = b"POST /v1/spends HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\n{"


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    assert open_files_max() > 2 * CROWD
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("said", [b"", b"POST /v1/spe", HALF])
async def test_a_crowd_that_asks_nothing_keeps_no_paid_call_out(
    said: bytes, road: Tollroad, crowd: ExitStack
) -> None:
    assert (await road.call("/ok")).status_code == 200
    for _ in range(CROWD):
        one = crowd.enter_context(socket.create_connection(("127.0.0.1", road.treasury.port), timeout=10))
        one.sendall(said)
    for _ in range(3):
        assert (await road.call("/ok")).status_code == 200
    assert [status for status, _ in await road.holds()] == ["captured"] * 4
