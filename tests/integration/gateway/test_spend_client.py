"""The way to the treasury over a real socket, to a server that answers what the test says."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.http1 import TcpAddress
from gateway.core.classify import Call
from gateway.core.decide import Spend
from gateway.core.identify import Principal
from gateway.core.permit import Permit
from gateway.core.settle import Settlement
from gateway.edge.holds import Holds
from gateway.edge.treasury import Asker, Once, Treasury
from gateway.edge.warrants import Signer, generate
from gateway.errors import BadRequest, Denied, Refusal, Unavailable
from tests.fixtures.deadlines import HUNG_S

TIMEOUT_S = 0.4
SCOUT = Asker("acme", "scout", "corr-1")
AGENT = Principal("scout", "executor", "acme", "api_key")
ONCE = Once("key-1", "ab" * 32)


class Scripted:
    """Answers each request with the next answer (None: never) and remembers what it was sent."""

    def __init__(self, *answers: bytes | None) -> None:
        self.sent: list[bytes] = []
        self._answers = list(answers)
        self._done = asyncio.Event()
        self._serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has what it came for
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        self.sent.append(head + await reader.readexactly(length))
        said = self._answers.pop(0)
        if said is None:
            await self._done.wait()
        else:
            writer.write(said)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Treasury]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        treasury = Treasury(TcpAddress("127.0.0.1", port), "gateway-token", TIMEOUT_S, 4)
        try:
            yield treasury
        finally:
            self._done.set()
            await treasury.aclose()
            server.close()
            await asyncio.gather(*filter(None, self._serving))


def answer(status: int, document: Any) -> bytes:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.requirement("TRE-13")
async def test_a_write_names_everyone_and_happens_once() -> None:
    server = Scripted(answer(200, {"id": "i"}))
    async with server.client() as treasury:
        assert await treasury.write(SCOUT, "/v1/intents", {"id": "i"}, ONCE) == {"id": "i"}
    head, _, body = server.sent[0].lower().partition(b"\r\n\r\n")
    assert head.startswith(b"post /v1/intents http/1.1\r\n")
    for line in (
        b"authorization: bearer gateway-token",
        b"x-tenant: acme",
        b"x-principal: scout",
        b"x-correlation-id: corr-1",
        b"idempotency-key: key-1",
        b"x-request-sha256: " + b"ab" * 32,
    ):
        assert line in head.split(b"\r\n")
    assert orjson.loads(body) == {"id": "i"}


@pytest.mark.requirement("SEC-03")
async def test_an_operator_reads_with_their_own_token() -> None:
    server = Scripted(answer(200, {"items": []}))
    async with server.client() as treasury:
        await treasury.read(Asker("acme", "olga", "c", "olgas-token"), "/v1/holds?status=unknown")
    assert server.sent[0].startswith(b"GET /v1/holds?status=unknown ")
    assert b"authorization: Bearer olgas-token\r\n" in server.sent[0]
    assert b"gateway-token" not in server.sent[0]


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "budget_exceeded", Denied),
        (404, "not_found", BadRequest),
        (409, "authorization_expired", BadRequest),
        (422, "idempotency_mismatch", BadRequest),
    ],
)
async def test_the_treasurys_codes_pass_unchanged(status: int, code: str, kind: type[Refusal]) -> None:
    reasons = [{"code": code, "message": "why"}]
    server = Scripted(answer(status, {"code": code, "detail": "why", "reasons": reasons}))
    async with server.client() as treasury:
        with pytest.raises(kind) as refused:
            await treasury.read(SCOUT, "/v1/holds")
    assert (refused.value.code, refused.value.status, refused.value.detail) == (code, status, "why")
    assert refused.value.reasons == tuple(reasons)


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize(
    "said",
    [
        answer(401, {"code": "token_invalid", "detail": "who are you?"}),
        answer(500, {"code": "internal", "detail": "oops"}),
        answer(503, {"code": "treasury_unavailable", "detail": "no database"}),
        answer(403, {"code": "a_new_code", "detail": "?"}),
        answer(403, {"detail": "no code"}),
        answer(404, {"code": "budget_exceeded", "detail": "code and status differ"}),
        answer(200, b"<html>"),
        answer(200, b"[]"),
        answer(200, b"null"),
        answer(200, b'{"x": '),
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}",
        b"garbage\r\n\r\n",
        None,
    ],
)
async def test_whatever_is_not_an_answer_is_unavailable_within_the_deadline(said: bytes | None) -> None:
    server = Scripted(said)
    async with server.client() as treasury:
        began_s = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await treasury.write(SCOUT, "/v1/spends", {}, ONCE)
        assert time.monotonic() - began_s < HUNG_S
    assert refused.value.code == "treasury_unavailable"
    assert refused.value.retry_after_s


@pytest.mark.requirement("GW-19")
async def test_a_treasury_that_is_not_there_is_unavailable() -> None:
    treasury = Treasury(TcpAddress("127.0.0.1", 1), "token", TIMEOUT_S, 4)
    with pytest.raises(Unavailable):
        await treasury.read(SCOUT, "/v1/holds")
    assert not await treasury.is_ready()
    await treasury.aclose()


async def test_readiness_is_what_the_treasury_says() -> None:
    async with Scripted(answer(200, {"ready": True})).client() as treasury:
        assert await treasury.is_ready()


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("act", "told"),
    [("capture", {"amount_cents": 5, "recipient_account": "bank"}), ("void", {}), ("unknown", {})],
)
async def test_each_ending_is_told_by_its_own_name(act: Any, told: dict[str, Any], tmp_path: Path) -> None:
    generate(tmp_path / "key.jwk")
    server = Scripted(answer(200, {"journal_entry_id": "e1"}), answer(200, {"journal_entry_id": "e1"}))
    due = Settlement("h1", act, "acme", "scout", "corr-1", 5, "bank")
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        assert await holds.settle(due) == "e1"
        assert await holds.settle(due) == "e1"
    assert server.sent[0] == server.sent[1]
    head, _, body = server.sent[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/holds/h1/%b " % act.encode())
    assert orjson.loads(body) == told


def keys(server: Scripted) -> list[bytes]:
    return [sent.lower().partition(b"idempotency-key: ")[2].partition(b"\r\n")[0] for sent in server.sent]


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize("act", ["capture", "void"])
@pytest.mark.parametrize(
    "kept", [answer(200, {"status": "unknown"}), answer(409, {"code": "duplicate", "detail": "voided"})]
)
async def test_a_settlement_that_is_refused_for_good_is_told_and_its_hold_kept_as_unknown(
    tmp_path: Path, act: Any, kept: bytes
) -> None:
    generate(tmp_path / "key.jwk")
    server = Scripted(answer(409, {"code": "authorization_voided", "detail": "given up"}), kept)
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        with pytest.raises(BadRequest, match="given up"):
            await holds.settle(Settlement("h1", act, "acme", "scout", "c", 5, "bank"))
    assert server.sent[1].startswith(b"POST /v1/holds/h1/unknown ")
    assert keys(server) == [b"gateway:h1:" + act.encode(), b"gateway:h1:unknown"]


@pytest.mark.requirement("GW-10")
async def test_an_unknown_outcome_that_is_refused_is_told(tmp_path: Path) -> None:
    generate(tmp_path / "key.jwk")
    server = Scripted(answer(409, {"code": "duplicate", "detail": "captured already"}))
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        with pytest.raises(BadRequest, match="captured already"):
            await holds.settle(Settlement("h1", "unknown", "acme", "scout", "c", 5, "bank"))


@pytest.mark.requirement("GW-10")
async def test_a_settlement_that_the_treasury_is_busy_with_stays_due(tmp_path: Path) -> None:
    generate(tmp_path / "key.jwk")
    busy = answer(409, {"code": "idempotency_in_flight", "detail": "wait"})
    refused = answer(409, {"code": "authorization_voided", "detail": "given up"})
    server = Scripted(busy, refused, busy)
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        for _ in range(2):
            with pytest.raises(Unavailable):
                await holds.settle(Settlement("h1", "void", "acme", "scout", "c", 5, "bank"))


def accrued(**more: Any) -> bytes:
    return answer(200, {"journal_entry_id": "e1"} | more)


def metered(parts: tuple[tuple[int, int], ...] = (), act: Any = "capture") -> Settlement:
    return Settlement("h1", act, "acme", "scout", "c", 5, "gpu", parts)


@pytest.mark.requirement("TRE-15")
async def test_a_part_is_told_under_its_number_and_answered_with_depleted_budgets(tmp_path: Path) -> None:
    generate(tmp_path / "key.jwk")
    server = Scripted(accrued(depleted=["role:executor"]), accrued(depleted=[]), accrued())
    permit = Permit(
        "d", Call("tool_call", "gpu", "run"), AGENT, spend=Spend(60, "USD", "tool_call", "gpu"), hold_id="h1"
    )
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        assert await holds.accrue(permit, (1, 10)) == ("role:executor",)
        assert await holds.accrue(permit, (2, 4)) == ()
        with pytest.raises(Unavailable):
            await holds.accrue(permit, (3, 4))
    assert keys(server) == [b"gateway:h1:accrual:%d" % number for number in (1, 2, 3)]
    bodies = [orjson.loads(sent.partition(b"\r\n\r\n")[2]) for sent in server.sent]
    assert bodies[0] == {"amount_cents": 10, "recipient_account": "gpu"}
    assert server.sent[1].startswith(b"POST /v1/holds/h1/accruals ")


@pytest.mark.requirement("TRE-15")
async def test_what_a_metered_call_used_is_told_before_its_end_and_again_alike(tmp_path: Path) -> None:
    generate(tmp_path / "key.jwk")
    part, gone = accrued(depleted=[]), answer(503, {"code": "treasury_unavailable", "detail": "gone"})
    server = Scripted(part, gone, part, part, answer(200, {"journal_entry_id": "e3"}))
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        with pytest.raises(Unavailable):
            await holds.settle(metered(((1, 10), (2, 4))))
        assert await holds.settle(metered(((1, 10), (2, 4)))) == "e3"
    assert server.sent[:2] == server.sent[2:4]
    assert keys(server)[-1] == b"gateway:h1:capture"


@pytest.mark.requirement("TRE-15")
@pytest.mark.parametrize("act", ["capture", "unknown"])
async def test_a_part_that_is_refused_for_good_keeps_its_hold_as_unknown(tmp_path: Path, act: Any) -> None:
    generate(tmp_path / "key.jwk")
    taken = answer(422, {"code": "idempotency_mismatch", "detail": "another part"})
    busy = answer(409, {"code": "idempotency_in_flight", "detail": "wait"})
    server = Scripted(busy, taken, answer(200, {"status": "unknown"}))
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        with pytest.raises(Unavailable):
            await holds.settle(metered(((1, 10),), act))
        with pytest.raises(BadRequest, match="another part"):
            await holds.settle(metered(((1, 10),), act))
    assert keys(server) == [b"gateway:h1:accrual:1"] * 2 + [b"gateway:h1:unknown"]


@pytest.mark.requirement("TRE-15")
@pytest.mark.parametrize(
    ("refused", "raised"),
    [
        (answer(409, {"code": "idempotency_in_flight", "detail": "wait"}), Unavailable),
        (answer(409, {"code": "duplicate", "detail": "captured already"}), BadRequest),
    ],
)
async def test_a_part_that_is_refused_says_whether_to_ask_again(
    tmp_path: Path, refused: bytes, raised: type[Refusal]
) -> None:
    generate(tmp_path / "key.jwk")
    server = Scripted(refused)
    permit = Permit("d", Call("tool_call", "gpu", "run"), AGENT, spend=Spend(6, "USD", "p"), hold_id="h1")
    async with server.client() as treasury:
        holds = Holds(treasury, Signer(tmp_path / "key.jwk", "gateway", time.time))
        with pytest.raises(raised):
            await holds.accrue(permit, (1, 5))
