"""A session id opens for the agent, tenant and server that it was given for, and for nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import mcp_session
from gateway.core.identify import Principal

pytestmark = pytest.mark.requirement("GW-05")

KEY = b"k" * 32
SCOUT = Principal("scout", "executor", "acme", "api_key")
IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60).map(str.encode)


@given(IDS)
def test_it_opens_for_its_owner(upstream_id: bytes) -> None:
    sealed = mcp_session.wrap(upstream_id, KEY, SCOUT, "bank")
    assert sealed is not None
    assert mcp_session.unwrap(sealed, KEY, SCOUT, "bank") == upstream_id


def test_it_opens_for_nobody_else() -> None:
    sealed = mcp_session.wrap(b"abc.def", KEY, SCOUT, "bank")
    assert sealed is not None
    assert mcp_session.unwrap(sealed, KEY, SCOUT._replace(id="rival"), "bank") is None
    assert mcp_session.unwrap(sealed, KEY, SCOUT._replace(tenant="other"), "bank") is None
    assert mcp_session.unwrap(sealed, KEY, SCOUT, "shop") is None
    assert mcp_session.unwrap(sealed, b"x" * 32, SCOUT, "bank") is None
    assert mcp_session.unwrap(sealed, KEY, SCOUT._replace(role="boss", method="jwt"), "bank") == b"abc.def"


@pytest.mark.parametrize("forged", [b"", b".", b"abc", b"abc.", b"abc.def", b".abc"])
def test_forged_ids_do_not_open(forged: bytes) -> None:
    assert mcp_session.unwrap(forged, KEY, SCOUT, "bank") is None


@pytest.mark.parametrize("odd", [b"", b"a b", b"a\n", b"\xff", b"x" * 2000])
def test_ids_that_the_protocol_does_not_allow_are_not_wrapped(odd: bytes) -> None:
    assert mcp_session.wrap(odd, KEY, SCOUT, "bank") is None
