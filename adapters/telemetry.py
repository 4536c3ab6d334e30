"""Logs: one JSON object a line on standard error, with no secret and no body in it.

Two nets hold secrets back: a value under a key that names a secret or a body is never written, whatever
it is, and credentials inside a URL are cut out of every text. Texts are cut to `TEXT_CHARS_MAX`.
`bind_correlation` puts a request's correlation id on every line that is logged while it is handled.
uvicorn's and other libraries' lines come out in the same form: start uvicorn with `log_config=None`. A line
that cannot be written fails nobody.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, BinaryIO, Final, cast

import orjson
import structlog
from structlog.typing import Processor

from adapters.log_sink import LogSink

TEXT_CHARS_MAX: Final = 2_000
DEPTH_MAX: Final = 6
REDACTED: Final = "[redacted]"

_SECRET = re.compile(
    r"(?:^|[_.-])(?:password|passwd|secret|secrets|token|jwt|authorization|key|api_?key|credentials?|cookie"
    r"|warrant|dsn|body|arguments|headers)$",
    re.IGNORECASE,
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE)

_Line = MutableMapping[str, Any]


def logger(name: str) -> Any:
    """A logger whose lines carry `component: name`."""
    return structlog.get_logger(component=name)


def bind_correlation(correlation_id: str) -> None:
    """Put this id on every line logged from here on in the present task."""
    structlog.contextvars.bind_contextvars(correlation_id=correlation_id)


def configure_logging(service: str, level: str = "info") -> None:
    """Send everything that this process logs to standard error, from `level` on, as `service`."""

    def name_service(_logger: Any, _method: str, line: _Line) -> _Line:
        line["service"] = service
        return line

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        name_service,
    ]
    finish: list[Processor] = [structlog.processors.format_exc_info, redact]
    sink = LogSink(sys.stderr.buffer, service)
    structlog.configure(
        processors=[*shared, *finish, structlog.processors.JSONRenderer(serializer=_json_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", sink)),
        cache_logger_on_first_use=False,
    )
    logging.config.dictConfig(_stdlib(level, shared, finish, sink))


def redact(_logger: Any, _method: str, line: _Line) -> _Line:
    """A structlog processor: the line without secrets, bodies and credentials in URLs."""
    return {name: _clean(name, value, DEPTH_MAX) for name, value in line.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    if _SECRET.search(name):
        return REDACTED
    if isinstance(value, str):
        return _BEARER.sub(rf"\1 {REDACTED}", _URL_CREDENTIALS.sub("", value[:TEXT_CHARS_MAX]))
    if isinstance(value, bytes | bytearray | memoryview):
        return REDACTED
    if depth == 0 or value is None or isinstance(value, bool | int | float):
        return value if depth else "…"
    if isinstance(value, Mapping):
        return {str(key): _clean(str(key), member, depth - 1) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", member, depth - 1) for member in value]
    return _clean("", str(value), depth)


def _json_bytes(line: Any, **_options: Any) -> bytes:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS)


def _json_text(line: Any, **_options: Any) -> str:
    return _json_bytes(line).decode()


def _stdlib(level: str, shared: list[Processor], finish: list[Processor], sink: LogSink) -> dict[str, Any]:
    """The standard library's logging, turned into the same lines; uvicorn's access lines are left out."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*shared, structlog.stdlib.add_logger_name],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *finish,
                    structlog.processors.JSONRenderer(serializer=_json_text),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sink, "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "uvicorn": {"handlers": [], "level": level.upper(), "propagate": True},
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "httpx": {"level": "WARNING"},
            "nats": {"level": "CRITICAL"},
        },
    }
