"""Statements as files: our columns and Stripe's; every bad row is told, the good ones are kept apart."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.currency import EXPONENTS
from treasury.core.money import major
from treasury.edge.statement_files import StatementUnreadable, read_statement

pytestmark = pytest.mark.requirement("TRE-07")

UUID = "0198f000-0000-7000-8000-000000000001"
STRIPE = (
    "id,Type,Source,Amount,Fee,Destination Platform Fee,Destination Platform Fee Currency,Net,Currency,"
    "Created (UTC),Available On (UTC),Description,Customer Facing Amount,Customer Facing Currency,Transfer,"
    "Transfer Date (UTC),Transfer Group,tollhouse_reference (metadata)\n"
)


def stripe(
    kind: str, source: str, amount: str, currency: str, described: str = "", reference: str = ""
) -> str:
    return (
        f"txn_{source},{kind},{source},{amount},0.59,,,9.41,{currency},2026-11-20 10:00:00,"
        f"2026-11-22 00:00:00,{described},,,,,,{reference}\n"
    )


def read(text: str | bytes, lines_max: int = 100) -> Any:
    return read_statement(text.encode() if isinstance(text, str) else text, lines_max)


def test_our_columns_in_any_order() -> None:
    found = read("currency,amount,reference,at\nUSD,12.34,a,2026-11-20T10:00:00+01:00\nJPY,5,b,\n")
    assert found.faults == []
    assert found.lines == [
        {"reference": "a", "amount_cents": 1234, "currency": "USD", "at": "2026-11-20T10:00:00+01:00"},
        {"reference": "b", "amount_cents": 5, "currency": "JPY"},
    ]
    found = read("\ufeffreference,amount_cents,currency,id\r\nx,7,KWD,txn_1\r\n")
    assert found.lines == [{"reference": "x", "amount_cents": 7, "currency": "KWD", "id": "txn_1"}]


def test_stripes_export() -> None:
    text = STRIPE + "".join(
        [
            stripe("charge", "ch_1", "10.00", "usd"),
            stripe("payout", "po_1", "-5", "jpy", f"for {UUID.upper()} of May"),
            stripe("payment", "py_1", "1.234", "kwd", UUID, "our-reference"),
            stripe("topup", "tu_1", "100.00", "usd"),
            stripe("stripe_fee", "fee_1", "-1.00", "usd"),
        ]
    )
    found = read(text)
    assert (found.faults, found.passed_over) == ([], {"topup": 1, "stripe_fee": 1})
    assert [
        (line["reference"], line["amount_cents"], line["currency"], line["id"]) for line in found.lines
    ] == [
        ("ch_1", 1000, "USD", "txn_ch_1"),
        (UUID.upper(), 5, "JPY", "txn_po_1"),
        ("our-reference", 1234, "KWD", "txn_py_1"),
    ]
    assert found.lines[0]["at"] == "2026-11-20T10:00:00+00:00"


def test_stripes_list() -> None:
    rows = [
        {"id": "txn_1", "object": "balance_transaction", "type": "charge", "source": "ch_1", "amount": 700,
         "currency": "usd", "created": 1_700_000_000, "fee": 20, "net": 680, "description": None},
        {"id": "txn_2", "type": "payout", "source": "po_1", "amount": -5, "currency": "usd", "created": 1,
         "metadata": {"tollhouse_reference": "ours"}},
        {"id": "txn_3", "type": "refund", "source": "re_1", "amount": -700, "currency": "usd", "created": 1},
    ]  # fmt: skip
    found = read(json.dumps({"object": "list", "data": rows}))
    assert found.lines == [
        {"reference": "ch_1", "id": "txn_1", "currency": "USD", "amount_cents": 700,
         "at": "2023-11-14T22:13:20+00:00"},
        {"reference": "ours", "id": "txn_2", "currency": "USD", "amount_cents": 5,
         "at": "1970-01-01T00:00:01+00:00"},
    ]  # fmt: skip
    assert found.passed_over == {"refund": 1}


def test_our_json_alone_and_as_lines() -> None:
    rows = [{"reference": "a", "amount_cents": 1, "currency": "USD"}]
    assert read(json.dumps(rows)).lines == read(json.dumps({"lines": rows})).lines == rows


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (",1,USD,,", "reference"),
        (f"{'x' * 201},1,USD,,", "reference"),
        ("a,0,USD,,", "amount_cents"),
        ("a,-1,USD,,", "amount_cents"),
        ("a,1.5,USD,,", "amount_cents"),
        ("a,,USD,,", "amount_cents"),
        (f"a,{2**53},USD,,", "amount_cents"),
        ("a,1,usd,,", "currency"),
        ("a,1,XXX,,", "currency"),
        ("a,1,USD,yesterday,", "at"),
        (f"a,1,USD,,{'x' * 201}", "id"),
        ("a,1,USD", ""),
        ("a,1,USD,,,,", ""),
    ],
)
def test_each_bad_row_is_told_with_its_line_and_the_good_ones_are_kept(row: str, column: str) -> None:
    found = read(
        f'reference,amount_cents,currency,at,id\ngood,1,USD,,\n"two\nlines",2,USD,,\n\n{row}\nlast,3,USD,,\n'
    )
    assert [(fault.line, fault.column) for fault in found.faults] == [(6, column)]
    assert found.faults[0].message
    assert [line["amount_cents"] for line in found.lines] == [1, 2, 3]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (5, ""),
        ({"reference": "a", "currency": "USD"}, "amount_cents"),
        ({"reference": "a", "currency": "USD", "amount": "1", "amount_cents": 1}, "amount_cents"),
        ({"reference": "a", "currency": "USD", "amount": "12.345"}, "amount"),
        ({"reference": "a", "currency": "USD", "amount": "NaN"}, "amount"),
        ({"reference": "a", "currency": "USD", "amount": "1e400"}, "amount"),
        ({"reference": "a", "currency": "USD", "amount": "much"}, "amount"),
        ({"reference": "a", "currency": "USD", "amount": "-1"}, "amount"),
        ({"reference": "a", "currency": "USD", "amount_cents": True}, "amount_cents"),
        ({"reference": "a", "currency": "USD", "amount_cents": 1, "at": 5}, "at"),
        ({"reference": 5, "currency": "USD", "amount_cents": 1}, "reference"),
        ({"reference": "a", "currency": None, "amount_cents": 1}, "currency"),
        ({"reference": "a", "currency": "USD", "amount_cents": 1, "fee": 2}, "fee"),
    ],
)
def test_each_bad_object_is_told_with_its_position(row: Any, column: str) -> None:
    good = {"reference": "a", "amount_cents": 1, "currency": "USD"}
    found = read(json.dumps([good, row]))
    assert ([(fault.line, fault.column) for fault in found.faults], found.lines) == ([(2, column)], [good])


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"amount": 1.5}, "amount"),
        ({"amount": 0}, "amount"),
        ({"created": "now"}, "created"),
        ({"created": 10**18}, "created"),
        ({"source": None}, "source"),
        ({"id": None}, "id"),
        ({"currency": "xxx"}, "currency"),
    ],
)
def test_each_bad_transaction_of_stripe_is_told(change: dict[str, Any], column: str) -> None:
    row = {"id": "t", "type": "charge", "source": "s", "amount": 1, "currency": "usd", "created": 1} | change
    (fault,) = read(json.dumps({"data": [row]})).faults
    assert fault.column == column


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"what,is,this\n1,2,3\n",
        b"reference,reference,amount,currency\n",
        b"reference,amount,amount_cents,currency\n",
        b'reference,amount,currency\n"a,1,USD\n',
        b"[{]",
        b'{"a": 1}',
        b'{"lines": 5}',
        b'{"lines": [], "lines": []}',
        b"reference,amount,currency\n" + b"a,1,USD\n" * 101,
    ],
)
def test_what_is_no_statement_is_refused_whole(text: bytes) -> None:
    with pytest.raises(StatementUnreadable):
        read(text)


@given(st.integers(1, 2**53 - 1), st.sampled_from(sorted(EXPONENTS)))
def test_amounts_in_the_major_unit_are_exact(amount_cents: int, currency: str) -> None:
    text = major(amount_cents, currency)
    (line,) = read(f"reference,amount,currency\na,{text},{currency}\n").lines
    assert line["amount_cents"] == amount_cents == Decimal(text).scaleb(EXPONENTS[currency])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(StatementUnreadable):
        read(text)
