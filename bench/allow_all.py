"""A stand-in for OPA that allows everything at once: what is left is the cost of the gateway itself.

Run as `python allow_all.py SOCKET PORT`; it answers decisions on the socket, and prices and health on both.
"""

import asyncio
import json
import sys
from http import HTTPStatus

_DECISION = json.dumps(
    {
        "allow": True,
        "reasons": [],
        "obligations": {"approval": {}, "hold": {}, "redact": [], "rate_limit": {}},
        "policy": {"version": "1.0", "revision": "0" * 64},
    }
)
_PRICES = json.dumps({"revision": "0" * 64, "currency": "USD", "roles": {}}).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer request after request on one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            body = await reader.readexactly(length)
            writer.write(_answer(head, body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _answer(head: bytes, body: bytes) -> bytes:
    if b"/batch" in head:
        calls = len(json.loads(body)["calls"])
        content = ("[" + ",".join([_DECISION] * calls) + "]").encode()
    else:
        content = _PRICES if b"prices" in head else b"{}"
    start = f"HTTP/1.1 {HTTPStatus.OK.value} OK\r\ncontent-type: application/json\r\n"
    return start.encode() + b"content-length: %d\r\n\r\n" % len(content) + content


async def main(socket: str, port: int) -> None:
    """Serve until killed."""
    on_socket = await asyncio.start_unix_server(serve, socket)
    on_port = await asyncio.start_server(serve, "127.0.0.1", port)
    await asyncio.gather(on_socket.serve_forever(), on_port.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
