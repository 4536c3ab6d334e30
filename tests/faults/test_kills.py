"""kill -9 under two hundred spends a second: what was acknowledged is there once, and everything is told.

The callers ask again with their keys until they are answered, and now and then once more after that. Each
process in turn is killed at a moment of chance and started again; "storage" is NATS with all that it kept.
"""

import random
from typing import Final

import pytest

from tests.faults.books import check_all, check_told
from tests.faults.conftest import OpenHouse, Tell
from tests.faults.crowd import Crowd
from tests.faults.desk import Desk
from tests.faults.length import TIMEOUT_S, WHOLE

VICTIMS: Final = ("treasury", "postgres", "nats", "relay", "storage")
ROUNDS: Final = 20 if WHOLE else 1
PER_S: Final = 200


@pytest.mark.requirement("TRE-06")
@pytest.mark.requirement("TRE-13")
@pytest.mark.requirement("TRE-17")
@pytest.mark.requirement("TRE-19")
@pytest.mark.requirement("EVT-03")
@pytest.mark.timeout(TIMEOUT_S)
async def test_money_survives_whatever_is_killed(open_house: OpenHouse, tell: Tell) -> None:
    async with open_house() as house:
        async with Crowd(Desk(house.gateway, house.port), PER_S) as crowd:
            await crowd.goes_on(PER_S)
            for victim in VICTIMS * ROUNDS:
                await crowd.goes_on(random.randrange(1, PER_S // 2))
                await house.kill_and_start(victim)
                await crowd.goes_on(PER_S // 4)
                async with crowd.at_rest():
                    await check_all(house, crowd)
        events = await check_told(house)
    tell(f"{ROUNDS} kills each of {', '.join(VICTIMS)}: {crowd}, {events} events in the stream")
