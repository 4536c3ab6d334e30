"""What drills can ask for."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from schemas.ids import new_id
from tests.faults.faulty import faults
from tests.faults.house import House
from tests.faults.length import WHOLE
from tests.fixtures.bus import LossyBus

__all__ = ["faults", "open_house", "tell"]

OpenHouse = Callable[..., AbstractAsyncContextManager[House]]
Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Say what a whole drill counted; a short one says nothing."""

    def say(report: str) -> None:
        if WHOLE:
            with capsys.disabled():
                sys.stdout.write(f"\n{report}\n")

    return say


@pytest.fixture
def open_house(servers_folder: Path, tmp_path: Path, lossy_bus: LossyBus) -> OpenHouse:
    """`async with open_house(environment={…}, place=folder)`: PostgreSQL's variables, and where it lives."""

    @asynccontextmanager
    async def opened(place: Path | None = None, **more: object) -> AsyncIterator[House]:
        house = House(tmp_path, place or servers_folder / new_id(), lossy_bus, **more)  # type: ignore[arg-type]
        try:
            await house.open()
            yield house
        finally:
            await house.close()

    return opened
