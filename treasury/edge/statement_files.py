"""A provider's statement as a file: CSV or JSON, in our form or in Stripe's.

Ours, in CSV with these columns in any order (or JSON: a list of objects with these members, alone or as
`lines` of an object):

    reference      one of our ids of the spend
    amount_cents   what was charged, in minor units; or `amount`, in the currency's major unit ("12.34")
    currency       ISO 4217
    at             when, RFC 3339 (optional)
    id             the provider's own id of the line (optional)

Stripe's is its balance-transaction export, or the list that its API gives. Of it are read `id`, `Type`,
`Source`, `Amount`, `Currency`, `Created (UTC)`, `Description` and `tollhouse_reference (metadata)`; the other
columns may be there. What was charged or paid out is a line; every other type is passed over. Its reference
is the metadata's, else the first UUID in its description, else its source.

Whatever is wrong with a row is told with its place, and the rows that are right are kept apart from it.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas import strict_json
from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS

DEPTH_MAX: Final = 6
REFERENCE_CHARS_MAX: Final = 200
DIGITS_MAX: Final = 16
EPOCH_S_MAX: Final = 253_402_300_799
PAID: Final = frozenset({"charge", "payment", "payout", "transfer", "issuing_transaction"})
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_OURS: Final = frozenset({"reference", "amount_cents", "amount", "currency", "at", "id"})

Row = Mapping[str, Any]
Line = dict[str, Any]


class StatementUnreadable(Exception):
    """The file as a whole is no statement; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row: the file's line of it (in JSON its position from 1), and the column."""

    line: int
    column: str
    message: str


@dataclass(slots=True)
class StatementFile:
    """The good rows as lines of the API, the faults of the others, and how many were passed over by type."""

    lines: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)


class _Bad(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def read_statement(text: bytes, lines_max: int) -> StatementFile:
    """Read a file whose form is known by its content; `StatementUnreadable` where it is none of them."""
    stripped = text.lstrip()
    rows, read = _json(stripped) if stripped[:1] in (b"[", b"{") else _csv(text)
    found = StatementFile()
    for count, (number, row) in enumerate(rows, start=1):
        if count > lines_max:
            raise StatementUnreadable(f"a statement has at most {lines_max} lines")
        try:
            line = read(row, found)
        except _Bad as bad:
            found.faults.append(Fault(number, bad.column, str(bad)))
        else:
            found.lines += [line] if line else []
    return found


Reader = Callable[[Row, StatementFile], Line | None]


def _csv(text: bytes) -> tuple[Iterator[tuple[int, Row]], Reader]:
    try:
        reader = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise StatementUnreadable(f"it is not CSV in UTF-8: {error}") from None
    if len(set(header)) != len(header):
        raise StatementUnreadable("a column stands twice in its first line")
    lower = {name.lower() for name in header}
    if {"id", "type", "source", "amount", "currency", "created (utc)"} <= lower:
        return _rows(reader, [name.lower() for name in header]), _stripe_row
    if {"reference", "currency"} <= lower and len({"amount", "amount_cents"} & lower) == 1 and lower <= _OURS:
        return _rows(reader, [name.lower() for name in header]), _own_row
    raise StatementUnreadable(
        "its first line names neither our columns (reference, amount_cents or amount, currency, at, id) "
        "nor those of Stripe's balance-transaction export"
    )


def _rows(reader: Any, header: list[str]) -> Iterator[tuple[int, Row]]:
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise StatementUnreadable(f"line {reader.line_num} is not CSV: {error}") from None
        if not values:
            continue
        row = dict(zip(header, values, strict=False))
        yield (
            reader.line_num,
            row if len(values) == len(header) else {"": len(values), "columns": len(header)},
        )


def _json(text: bytes) -> tuple[Iterator[tuple[int, Row]], Reader]:
    try:
        document = strict_json.read(text, DEPTH_MAX)
    except strict_json.NotStrictJSON as error:
        raise StatementUnreadable(f"it is not strict JSON: {error}") from None
    members = document if isinstance(document, dict) else {"lines": document}
    rows, read = (members["data"], _stripe_object) if "data" in members else (members.get("lines"), _own_row)
    if not isinstance(rows, list):
        raise StatementUnreadable('it has neither a list of "lines" nor, as Stripe has it, of "data"')
    return enumerate(rows, start=1), read


def _own_row(row: Row, _found: StatementFile) -> Line:
    _whole(row)
    unknown = sorted(set(row) - _OURS)
    if unknown:
        raise _Bad(unknown[0], "is not a column of a statement")
    currency = _currency(row.get("currency"))
    line = {"reference": _word(row, "reference"), "amount_cents": _own_amount(row, currency)}
    line |= {"currency": currency} | _time(row, "at")
    return line | ({"id": _word(row, "id")} if row.get("id") else {})


def _stripe_row(row: Row, found: StatementFile) -> Line | None:
    _whole(row)
    if _passed_over(row["type"], found):
        return None
    currency = _currency(str(row["currency"]).upper())
    line = _stripe_line(row, row.get("tollhouse_reference (metadata)"))
    line |= {"amount_cents": abs(_minor(row["amount"], currency, "amount")), "currency": currency}
    return line | _time(row, "created (utc)")


def _stripe_object(row: Row, found: StatementFile) -> Line | None:
    _whole(row)
    if _passed_over(row.get("type"), found):
        return None
    metadata = row.get("metadata")
    given = metadata.get("tollhouse_reference") if isinstance(metadata, dict) else None
    amount_cents, created = row.get("amount"), row.get("created")
    if type(amount_cents) is not int:
        raise _Bad("amount", "must be a whole number of minor units")
    if type(created) is not int or not 0 <= created <= EPOCH_S_MAX:
        raise _Bad("created", "must be whole seconds since 1970")
    line = _stripe_line(row, given) | {"currency": _currency(str(row.get("currency")).upper())}
    line["amount_cents"] = _bounded(abs(amount_cents), "amount")
    return line | {"at": datetime.fromtimestamp(created, UTC).isoformat()}


def _stripe_line(row: Row, given: Any) -> Line:
    described = _UUID.search(str(row.get("description") or ""))
    reference = given or (described and described.group()) or row.get("source")
    return {"reference": _word({"source": reference}, "source"), "id": _word(row, "id")}


def _passed_over(kind: Any, found: StatementFile) -> bool:
    name = str(kind).strip().lower()
    if name in PAID:
        return False
    found.passed_over[name] = found.passed_over.get(name, 0) + 1
    return True


def _whole(row: Row) -> None:
    if not isinstance(row, dict):
        raise _Bad("", "is not an object")
    if "" in row and "columns" in row:
        raise _Bad("", f"has {row['']} values for {row['columns']} columns")


def _word(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= REFERENCE_CHARS_MAX:
        raise _Bad(column, f"must be a text of 1 to {REFERENCE_CHARS_MAX} characters")
    return value.strip()


def _currency(code: Any) -> str:
    if not isinstance(code, str) or code.strip() not in EXPONENTS:
        raise _Bad("currency", f"{code!r} is not an ISO 4217 currency")
    return code.strip()


def _own_amount(row: Row, currency: str) -> int:
    if ("amount" in row) == ("amount_cents" in row):
        raise _Bad("amount_cents", "either amount_cents or amount must be there")
    if "amount" in row:
        return _bounded(_minor(row["amount"], currency, "amount"), "amount")
    value = row["amount_cents"]
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value.strip()):
        value = int(value)
    if type(value) is not int:
        raise _Bad("amount_cents", "must be a whole number of minor units")
    return _bounded(value, "amount_cents")


def _minor(value: Any, currency: str, column: str) -> int:
    """An amount in the major unit, exactly in minor units."""
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise _Bad(column, f"{value!r} is not a number") from None
    if not amount.is_finite() or amount.adjusted() > DIGITS_MAX:
        raise _Bad(column, f"{value!r} is no amount of money")
    minor = amount.scaleb(EXPONENTS[currency])
    if minor != minor.to_integral_value():
        raise _Bad(column, f"{value!r} has more digits than {currency}")
    _bounded(abs(int(minor)), column)
    return int(minor)


def _bounded(amount_cents: int, column: str) -> int:
    if not 0 < amount_cents <= AMOUNT_CENTS_MAX:
        raise _Bad(column, f"must be from 1 to {AMOUNT_CENTS_MAX} minor units")
    return amount_cents


def _time(row: Row, column: str) -> Line:
    """`at` in RFC 3339; a time without a zone is UTC."""
    value = row.get(column)
    if value is None or value == "":
        return {}
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Bad(column, f"{value!r} is not a time") from None
    return {"at": (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()}
