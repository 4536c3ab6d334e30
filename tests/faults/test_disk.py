"""PostgreSQL's disk is full, or does not sync: the ledger refuses, and loses nothing that it acknowledged."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.faults.books import check_all
from tests.faults.conftest import OpenHouse, Tell
from tests.faults.crowd import Crowd
from tests.faults.desk import Desk
from tests.faults.faulty import Faults
from tests.faults.house import House
from tests.faults.length import TIMEOUT_S, WHOLE
from tests.fixtures.small_disk import file_system, fill

pytestmark = [
    pytest.mark.requirement("TRE-06"),
    pytest.mark.requirement("TRE-19"),
    pytest.mark.requirement("GW-19"),
    pytest.mark.timeout(TIMEOUT_S),
]

ROUNDS: Final = 20 if WHOLE else 1
PER_S: Final = 100
REFUSED: Final = 60
DISK_MB: Final = 320


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small one."""
    with file_system(tmp_path / "disk", DISK_MB):
        yield tmp_path / "disk"


@pytest.mark.parametrize("full", ["tables", "log"])
async def test_a_full_disk_refuses_until_there_is_room(
    open_house: OpenHouse, disk: Path, full: str, tell: Tell
) -> None:
    """Where the log itself has no room, PostgreSQL ends within a commit; it is started again."""
    filler = disk / "filler"
    async with (
        open_house(place=disk / "postgres") as house,
        Crowd(Desk(house.gateway, house.port), PER_S) as crowd,
    ):
        for _ in range(ROUNDS):
            await crowd.goes_on(PER_S // 4)
            await asyncio.to_thread(fill, filler)
            if full == "log":
                await _leave_the_segment(house)
            await crowd.is_refused(REFUSED)
            filler.unlink()
            await house.start("postgres")
            await crowd.goes_on(PER_S // 4)
            async with crowd.at_rest():
                await check_all(house, crowd)
    tell(f"{ROUNDS} times no room for {full}: {crowd}")


async def _leave_the_segment(house: House) -> None:
    """What is logged next needs a new file; the server may end over it."""
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await house.rows("SELECT pg_switch_wal()")


async def test_a_disk_that_does_not_sync_acknowledges_nothing(
    open_house: OpenHouse, faults: Faults, tell: Tell
) -> None:
    async with (
        open_house(environment=faults.environment) as house,
        Crowd(Desk(house.gateway, house.port), PER_S) as crowd,
    ):
        for _ in range(ROUNDS):
            await crowd.goes_on(PER_S // 4)
            faults.say(sync_fails=True)
            await crowd.is_refused(REFUSED)
            asked = crowd.asked.copy()
            await house.try_to_start("postgres")
            await crowd.is_refused(REFUSED)
            assert crowd.asked == asked, "something was acknowledged that is not on the disk"
            faults.say()
            await house.start("postgres")
            await crowd.goes_on(PER_S // 4)
            async with crowd.at_rest():
                await check_all(house, crowd)
    tell(f"{ROUNDS} times no sync: {crowd}")
