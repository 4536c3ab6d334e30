"""Each identity on the bus can do its own and nothing else; nobody gets in without credentials."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import nats as nats_client
import pytest
from nats.aio.client import Client

from adapters.nats import Bus, BusAddress, BusUnavailable
from adapters.nats_permissions import RIGHTS, Identity
from tests.fixtures.servers import NATS_PASSWORDS, NatsServer, eventually

ACK_WITHIN_S = 2.0
FOREIGN: dict[Identity, list[str]] = {
    "gateway": ["treasury.executed", "approval.granted", "policy.activated", "dead_letters.recorder"],
    "relay": ["gateway.decided", "lockout.set", "dead_letters.recorder"],
    "control": ["treasury.executed", "gateway.decided", "workflow.created"],
    "replayer": ["dead_letters.recorder", "$JS.ACK.TOLLHOUSE_EVENTS.recorder.1"],
}
OWN: dict[Identity, list[str]] = {
    "gateway": ["gateway.x"],
    "relay": ["treasury.x", "workflow.x"],
    "control": ["approval.x"],
    "replayer": ["gateway.x", "treasury.x", "$JS.API.STREAM.MSG.GET.TOLLHOUSE_EVENTS"],
}
STREAM_API = [
    "$JS.API.STREAM.CREATE.ROGUE",
    "$JS.API.STREAM.DELETE.TOLLHOUSE_EVENTS",
    "$JS.API.STREAM.PURGE.TOLLHOUSE_EVENTS",
    "$JS.API.STREAM.MSG.GET.TOLLHOUSE_EVENTS",
    "$JS.API.STREAM.MSG.DELETE.TOLLHOUSE_EVENTS",
    "$JS.API.DIRECT.GET.TOLLHOUSE_EVENTS",
    "$JS.API.CONSUMER.DELETE.TOLLHOUSE_EVENTS.recorder",
    "$JS.API.CONSUMER.CREATE.DEAD_LETTERS.spy",
]


@contextlib.asynccontextmanager
async def raw(server: NatsServer, identity: str, password: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A bare client of one identity, and what the server complained of."""
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error))

    client = await nats_client.connect(
        bare(server),
        user=identity,
        password=password,
        inbox_prefix=f"_INBOX.{identity}",
        allow_reconnect=False,
        error_cb=complain,
    )
    try:
        yield client, complaints
    finally:
        await client.close()


def bare(server: NatsServer) -> str:
    parts = urlsplit(server.url)
    return f"nats://{parts.hostname}:{parts.port}"


def address(server: NatsServer, identity: str, **more: float) -> BusAddress:
    return BusAddress(bare(server), identity, NATS_PASSWORDS[identity], **more)


async def refused(client: Client, complaints: list[str], subject: str) -> bool:
    """Whether the server refuses to take a message on the subject."""
    complaints.clear()
    await client.publish(subject, b"{}")
    await client.flush()
    await client.flush()
    return violated(complaints)


def violated(complaints: list[str]) -> bool:
    return any("permissions violation" in complaint for complaint in complaints)


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize("identity", sorted(RIGHTS))
async def test_an_identity_publishes_its_own_subjects_and_no_other(
    nats: NatsServer, identity: Identity
) -> None:
    async with raw(nats, identity, NATS_PASSWORDS[identity]) as (client, complaints):
        forbidden = [*FOREIGN[identity], *STREAM_API, "$SYS.REQ.SERVER.PING", "_INBOX.other.x", "anything"]
        forbidden = [subject for subject in forbidden if subject not in OWN[identity]]
        assert [subject for subject in forbidden if not await refused(client, complaints, subject)] == []
        assert [subject for subject in OWN[identity] if await refused(client, complaints, subject)] == []


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize("identity", sorted(RIGHTS))
@pytest.mark.parametrize("subject", [">", "treasury.>", "gateway.>", "_INBOX.>", "_INBOX.somebody.>"])
async def test_an_identity_hears_nothing_but_its_own_inbox(
    nats: NatsServer, identity: Identity, subject: str
) -> None:
    async with raw(nats, identity, NATS_PASSWORDS[identity]) as (client, complaints):
        await client.subscribe(subject)
        await client.flush()
        await eventually(lambda: violated(complaints))


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize("identity", ["gateway", "relay", "replayer"])
async def test_only_control_makes_streams(nats: NatsServer, identity: Identity) -> None:
    bus = await Bus.connect(address(nats, identity, ack_timeout_s=0.3))
    try:
        with pytest.raises(BusUnavailable):
            await bus.ensure_streams()
    finally:
        await bus.close()


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"user": "control"},
        {"user": "control", "password": "guess"},
        {"user": "control", "password": ""},
        {"token": "an-agents-key"},
        {"user": "scout", "password": "an-agents-key"},
    ],
)
async def test_nobody_gets_in_without_credentials(nats: NatsServer, credentials: dict[str, str]) -> None:
    async def silent(_error: Exception) -> None: ...

    client = Client()
    with pytest.raises(nats_client.errors.Error):
        async with asyncio.timeout(ACK_WITHIN_S):
            await client.connect(bare(nats), allow_reconnect=False, error_cb=silent, **credentials)
    await client.close()


async def test_a_wrong_password_is_an_unavailable_bus(nats: NatsServer) -> None:
    with pytest.raises(BusUnavailable):
        await Bus.connect(BusAddress(bare(nats), "control", "guess", connect_timeout_s=0.5))
