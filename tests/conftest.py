"""What every test can ask for. See tests/fixtures/servers.py for the real servers."""

pytest_plugins = ["tests.fixtures.servers", "tests.fixtures.treasury", "tests.fixtures.bus"]
