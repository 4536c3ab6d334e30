"""Work that breaks is begun again."""

import asyncio

import pytest

from adapters.background import finished, rest, unending

pytestmark = pytest.mark.requirement("GW-19")


async def test_work_that_breaks_or_ends_is_begun_again() -> None:
    begun = 0
    enough = asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("broke")
        if begun == 3:
            enough.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(unending("work", work, 0))
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_is_done_once_is_begun_again_only_where_it_broke() -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("broke")

    async with asyncio.timeout(10):
        await finished("work", work, 0)
    assert begun == 2


async def test_a_rest_ends_with_its_time_or_when_everything_does() -> None:
    stopping = asyncio.Event()
    await rest(stopping, 0)
    stopping.set()
    async with asyncio.timeout(10):
        await rest(stopping, 3_600)
