"""One stack for every test that leaves it as it was."""

from collections.abc import Iterator

import pytest

from tests.fixtures.drill import Drill, drilling


@pytest.fixture(scope="session")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """Shared by the whole run: nothing in it may be broken."""
    with drilling(tmp_path_factory.mktemp("drill")) as running:
        yield running
