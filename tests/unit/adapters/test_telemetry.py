"""What is logged holds no secret and no body, whoever logs it."""

import json
import logging
import subprocess
import sys

import pytest

from adapters.telemetry import DEPTH_MAX, REDACTED, TEXT_CHARS_MAX, redact

SCRIPT = """
import logging
from adapters.telemetry import bind_correlation, configure_logging, logger
configure_logging("treasury", "info")
bind_correlation("c-1")
log = logger("store")
log.debug("not shown")
log.info("opened", dsn="postgresql://u:hunter2@h/db", url="nats://relay:hunter2@h:4222", count=3)
logging.getLogger("uvicorn.error").warning("lost %s", "nats://relay:hunter2@h")
logging.getLogger("uvicorn.access").info("GET /?token=hunter2")
try:
    raise ValueError("Bearer hunter2")
except ValueError:
    log.exception("broke")
"""


@pytest.mark.requirement("OPS-03")
def test_every_line_is_json_with_its_service_and_correlation_and_no_secret() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, timeout=30)
    assert b"hunter2" not in run.stderr
    assert run.stdout == b""
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["opened", "lost nats://h", "broke"]
    assert all(line["service"] == "treasury" and line["correlation_id"] == "c-1" for line in lines)
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert lines[0]["url"] == "nats://h:4222"
    assert "ValueError" in lines[2]["exception"]


@pytest.mark.requirement("OPS-03")
@pytest.mark.parametrize(
    "name",
    [
        "password",
        "api_key",
        "apikey",
        "X-API-Key",
        "Authorization",
        "token",
        "service_token",
        "cookie",
        "warrant",
        "dsn",
        "body",
        "arguments",
        "client_secret",
        "credentials",
        "signing_key",
        "headers",
    ],
)
def test_a_value_under_a_secrets_name_is_never_written(name: str) -> None:
    assert redact(None, "", {name: "x"}) == {name: REDACTED}
    assert redact(None, "", {"deep": [{"er": {name: {"a": "x"}}}]}) == {"deep": [{"er": {name: REDACTED}}]}


@pytest.mark.parametrize("name", ["authorization_id", "key_count", "tokens_per_s", "hold_id", "event"])
def test_other_names_stay(name: str) -> None:
    assert redact(None, "", {name: "x"}) == {name: "x"}


def test_bytes_long_texts_deep_nests_and_foreign_objects_are_tamed() -> None:
    deep: object = "end"
    for _ in range(DEPTH_MAX + 5):
        deep = [deep]
    line = redact(None, "", {"a": b"raw", "b": "x" * 5000, "c": deep, "d": logging, "e": None, "f": 1.5})
    assert line["a"] == REDACTED
    assert len(line["b"]) == TEXT_CHARS_MAX
    assert "end" not in json.dumps(line["c"])
    assert line["d"].startswith("<module")
    assert (line["e"], line["f"]) == (None, 1.5)
