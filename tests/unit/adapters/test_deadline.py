"""A deadline passes once, when it was set and not cleared, however often it was set before."""

import asyncio

import pytest

from adapters.deadline import Deadline
from tests.fixtures import virtual_time

pytestmark = pytest.mark.requirement("GW-19")


def passed_at(*steps: tuple[float, float | None]) -> list[float]:
    """When it passed. A step is when something is done, and the deadline that is set then, None to clear."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        passed: list[float] = []
        deadline = Deadline(loop, lambda: passed.append(loop.time()))
        for at, seconds in steps:
            await virtual_time.passes(at - loop.time())
            if seconds is None:
                deadline.clear()
            else:
                deadline.set(seconds)
            assert deadline.is_set == (seconds is not None)
        await virtual_time.passes(100)
        deadline.end()
        assert not deadline.is_set
        return passed

    return virtual_time.run(main())


def test_it_passes_when_it_was_set_for() -> None:
    assert passed_at((0, 5)) == [5]


def test_a_later_one_takes_its_place() -> None:
    assert passed_at((0, 5), (3, 5), (7, 5)) == [12]


def test_an_earlier_one_takes_its_place() -> None:
    assert passed_at((0, 50), (3, 5)) == [8]


def test_one_that_was_cleared_does_not_pass() -> None:
    assert passed_at((0, 5), (3, None)) == []
    assert passed_at((0, 5), (3, None), (20, 4)) == [24]


def test_after_its_end_nothing_passes() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop, lambda: pytest.fail("it has ended"))
        deadline.end()
        deadline.set(5)
        deadline.end()
        await virtual_time.passes(10)

    virtual_time.run(main())
