"""One stack for every test that leaves it as it was, and a road of its own for each that does not."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fixtures.drill import Drill, drilling
from tests.fixtures.servers import StartOpa
from tests.fixtures.tollroad import EXECUTOR, RULES, Tollroad, policy_bundle, tollroad
from tests.fixtures.treasury import LedgerDatabase


@pytest.fixture(scope="session")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """Shared by the whole run: nothing in it may be broken."""
    with drilling(tmp_path_factory.mktemp("drill")) as running:
        yield running


@pytest.fixture
async def road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path
) -> AsyncIterator[Tollroad]:
    """A gateway and a treasury under the policy that most stories need."""
    opa = start_opa([policy_bundle(tmp_path / "policy", {"executor": EXECUTOR}, RULES)])
    async with tollroad(ledger_database, opa, tmp_path) as road:
        yield road
