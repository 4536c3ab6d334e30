"""Asking a service whether it is ready."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tollhouse.local.ports import free_port
from tollhouse.local.service import answers


@contextlib.contextmanager
def saying(status: int, who: str) -> Iterator[int]:
    """A port where somebody answers every request so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Service", who)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize(
    ("status", "who", "ready"),
    [(200, "treasury", True), (200, "gateway", False), (200, "", False), (503, "treasury", False)],
)
def test_a_service_is_ready_when_it_says_so_itself(status: int, who: str, ready: bool) -> None:
    with saying(status, who) as port:
        assert answers("treasury", port) is ready


def test_where_nobody_listens_nobody_is_ready() -> None:
    assert not answers("treasury", free_port())
