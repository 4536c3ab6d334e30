"""The pool over real sockets: what is used again, what is given up, and who is told what."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.http1 import (
    BadAnswer,
    BrokenAnswer,
    ConnectFailed,
    Limits,
    NoAnswer,
    Pool,
    TcpAddress,
    UnixAddress,
)
from tests.integration.adapters.raw_server import always, raw_server, raw_unix_server

pytestmark = [pytest.mark.requirement("GW-04"), pytest.mark.requirement("GW-13")]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def get(pool: Pool, target: bytes = b"/", timeout_s: float = 5) -> bytes:
    response = await pool.send(b"GET", target, [], None, timeout_s)
    return await response.read(1_000_000)


async def silence(_request: bytes, _writer: asyncio.StreamWriter) -> None:
    """Never an answer."""


async def test_a_clean_connection_is_used_again() -> None:
    async with raw_server(always(OK)) as server:
        pool = Pool(address=server.address, limits=Limits())
        for _ in range(5):
            assert await get(pool) == b"ok"
        assert server.connections == 1
        await pool.aclose()


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"surplus",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["surplus", "close", "1.0"],
)
async def test_a_doubtful_connection_is_never_used_again(raw: bytes) -> None:
    async with raw_server(always(raw)) as server:
        pool = Pool(address=server.address, limits=Limits())
        assert [await get(pool) for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 3
        await pool.aclose()


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    async with raw_server(always(OK, close=True)) as server:
        pool = Pool(address=server.address, limits=Limits())
        assert [await get(pool) for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 3
        await pool.aclose()


async def test_unread_news_on_a_resting_connection_end_it() -> None:
    async def twice(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        asyncio.get_running_loop().call_later(0.01, writer.write, OK)

    async with raw_server(twice) as server:
        pool = Pool(address=server.address, limits=Limits())
        await get(pool)
        await asyncio.wait_for(server.gone.wait(), 5)
        assert await get(pool) == b"ok"
        assert server.connections == 2
        await pool.aclose()


async def test_nobody_listening() -> None:
    async with raw_server(silence) as server:
        free = server.address
    pool = Pool(address=free, limits=Limits())
    with pytest.raises(ConnectFailed):
        await get(pool)
    with pytest.raises(ConnectFailed):
        await get(Pool(address=UnixAddress("/nowhere/at/all"), limits=Limits()))


async def test_no_answer_in_time_ends_the_connection() -> None:
    async with raw_server(silence) as server:
        pool = Pool(address=server.address, limits=Limits())
        with pytest.raises(NoAnswer) as caught:
            await get(pool, timeout_s=0.05)
        assert caught.value.timed_out
        await asyncio.wait_for(server.gone.wait(), 5)
        await pool.aclose()


async def test_a_request_is_not_sent_twice_unless_it_is_idempotent() -> None:
    async def once(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/fatal" in request and first.pop():
            writer.close()
        else:
            writer.write(OK)

    first = [False, True]
    async with raw_server(once) as server:
        pool = Pool(address=server.address, limits=Limits())
        await get(pool)
        with pytest.raises(NoAnswer) as caught:
            await get(pool, b"/fatal")
        assert caught.value.untouched
        first.append(True)
        await get(pool)
        response = await pool.send(b"GET", b"/fatal", [], None, 5, idempotent=True)
        assert await response.read(10) == b"ok"
        assert len([request for request in server.requests if b"/fatal" in request]) == 3
        await pool.aclose()


@pytest.mark.requirement("GW-10")
async def test_what_could_not_be_sent_a_second_time_was_sent(tmp_path: Path) -> None:
    async def die(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/fatal" in request:
            (tmp_path / "socket").unlink()
            writer.close()
        else:
            writer.write(OK)

    async with raw_unix_server(die, tmp_path / "socket") as address:
        pool = Pool(address=address, limits=Limits())
        await get(pool)
        with pytest.raises(NoAnswer):
            await pool.send(b"POST", b"/fatal", [], b"{}", 5, idempotent=True)
        with pytest.raises(ConnectFailed):
            await get(pool)
        await pool.aclose()


async def test_garbage_and_excess_are_bad_answers() -> None:
    async with raw_server(always(b"nonsense\r\n\r\n")) as server:
        pool = Pool(address=server.address, limits=Limits())
        with pytest.raises(BadAnswer):
            await get(pool)
        await pool.aclose()
    async with raw_server(always(OK)) as server:
        pool = Pool(address=server.address, limits=Limits())
        response = await pool.send(b"GET", b"/", [], None, 5)
        with pytest.raises(BadAnswer):
            await response.read(1)
        await pool.aclose()


async def test_a_body_that_breaks_off_gives_what_came_and_then_the_error() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
    async with raw_server(always(raw, close=True)) as server:
        pool = Pool(address=server.address, limits=Limits())
        response = await pool.send(b"GET", b"/", [], None, 5)
        assert await anext(response) == b"hello"
        with pytest.raises(BrokenAnswer):
            await anext(response)
        await pool.aclose()


async def test_a_body_that_stalls() -> None:
    async with raw_server(always(CHUNKED + b"5\r\nhello\r\n")) as server:
        pool = Pool(address=server.address, limits=Limits())
        response = await pool.send(b"GET", b"/", [], None, 5, stall_s=0.05)
        assert await anext(response) == b"hello"
        with pytest.raises(BrokenAnswer, match="stalled"):
            await anext(response)
        await pool.aclose()


async def test_a_stream_comes_piece_by_piece() -> None:
    go_on = asyncio.Event()

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with raw_server(answer) as server:
        pool = Pool(address=server.address, limits=Limits())
        response = await pool.send(b"GET", b"/", [], None, 5)
        assert await anext(response) == b"one"
        assert not response.complete
        go_on.set()
        assert await response.read(100) == b"two"
        assert await get(pool) == b"onetwo"
        assert server.connections == 1
        await pool.aclose()


async def test_a_fast_server_is_held_back_by_a_slow_reader() -> None:
    sent = 0
    total = 64 * 1024 * 1024
    piece = b"x" * 65536

    async def flood(_request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // len(piece)):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    async with raw_server(flood) as server:
        pool = Pool(address=server.address, limits=Limits())
        response = await pool.send(b"GET", b"/", [], None, 5)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < total // 4
        assert sum([len(chunk) async for chunk in response]) == total
        await pool.aclose()


async def test_a_streamed_request_body_is_chunked() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b""
        yield b"three"

    async with raw_server(always(OK)) as server:
        pool = Pool(address=server.address, limits=Limits())
        response = await pool.send(b"POST", b"/", [], pieces(), 5)
        assert await response.read(10) == b"ok"
        assert server.requests[0].endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n")
        assert await get(pool) == b"ok"
        assert server.connections == 1
        await pool.aclose()


async def test_a_request_body_that_fails_says_why() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("its caller is gone")

    async with raw_server(always(OK)) as server:
        pool = Pool(address=server.address, limits=Limits())
        with pytest.raises(NoAnswer) as caught:
            await pool.send(b"POST", b"/", [], pieces(), 5)
        assert isinstance(caught.value.__cause__, LookupError)
        await asyncio.wait_for(server.gone.wait(), 5)
        await pool.aclose()


async def test_an_early_answer_ends_the_upload_and_the_connection() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        ended.set()
        writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    pool = Pool(address=TcpAddress(*server.sockets[0].getsockname()[:2]), limits=Limits())
    response = await pool.send(b"POST", b"/", [], endless(), 5)
    assert response.status == 413
    await asyncio.wait_for(ended.wait(), 5)
    await pool.aclose()
    server.close()


async def test_whoever_leaves_a_body_closes_the_connection() -> None:
    async with raw_server(always(CHUNKED + b"5\r\nhello\r\n")) as server:
        pool = Pool(address=server.address, limits=Limits())
        async with await pool.send(b"GET", b"/", [], None, 5) as response:
            await anext(response)
        await asyncio.wait_for(server.gone.wait(), 5)
        await pool.aclose()


async def test_whoever_is_cancelled_closes_the_connection_and_leaves_its_place() -> None:
    async with raw_server(silence) as server:
        pool = Pool(address=server.address, limits=Limits(connections_max=1))
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(get(pool), 0.05)
        assert server.connections == 3
        await pool.aclose()


async def test_connections_are_limited_and_the_rest_waits() -> None:
    async with raw_server(always(OK)) as server:
        pool = Pool(address=server.address, limits=Limits(connections_max=3))
        assert await asyncio.gather(*(get(pool) for _ in range(50))) == [b"ok"] * 50
        assert server.connections == 3
        await pool.aclose()


async def test_the_wait_for_a_connection_is_limited() -> None:
    async with raw_server(silence) as server:
        pool = Pool(address=server.address, limits=Limits(connections_max=1, waiting_max=1))
        first = asyncio.create_task(get(pool))
        while not server.requests:
            await asyncio.sleep(0.005)
        with pytest.raises(ConnectFailed):
            await get(pool, timeout_s=0.05)
        second = asyncio.create_task(get(pool))
        await asyncio.sleep(0)
        with pytest.raises(ConnectFailed, match="too many"):
            await get(pool)
        await pool.aclose()
        assert [type(error) for error in await asyncio.gather(first, second, return_exceptions=True)] == [
            NoAnswer,
            ConnectFailed,
        ]
        with pytest.raises(ConnectFailed):
            await get(pool)


async def test_a_place_that_a_broken_connection_leaves_is_filled() -> None:
    async with raw_server(always(b"garbage\r\n\r\n")) as server:
        pool = Pool(address=server.address, limits=Limits(connections_max=2))
        failed = await asyncio.gather(*(get(pool) for _ in range(10)), return_exceptions=True)
        assert {type(error) for error in failed} == {BadAnswer}
        assert server.connections == 10
        await pool.aclose()


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    async with raw_unix_server(always(OK), tmp_path / "s") as address:
        pool = Pool(address=address, limits=Limits())
        assert await get(pool) == b"ok"
        await pool.aclose()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """The files of a certificate for 127.0.0.1 and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def test_over_tls_only_with_a_trusted_certificate(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, key)
    async with raw_server(always(OK), served) as server:
        trusting = Pool(
            address=server.address, tls=ssl.create_default_context(cafile=certificate), limits=Limits()
        )
        assert [await get(trusting) for _ in range(2)] == [b"ok", b"ok"]
        await trusting.aclose()
        doubting = Pool(address=server.address, tls=ssl.create_default_context(), limits=Limits())
        with pytest.raises(ConnectFailed):
            await get(doubting)
