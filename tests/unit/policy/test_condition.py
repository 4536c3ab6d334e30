"""The grammar of conditions: what it means, and how its mistakes are told."""

import pytest

from tollhouse.policy.condition import CLAUSES_MAX, ConditionError, compile_condition

pytestmark = pytest.mark.requirement("POL-03")


def one(field: str, op: str, value: object) -> dict[str, object]:
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("text", "compiled"),
    [
        ("amount_cents > 50000", [[one("amount_cents", ">", 50000)]]),
        ("payee == 'a \"b\"'", [[one("payee", "==", 'a "b"')]]),
        ("role in ['a', \"b\"]", [[one("role", "in", ("a", "b"))]]),
        ("role not in ['a']", [[one("role", "not in", ("a",))]]),
        ("not role in ['a']", [[one("role", "not in", ("a",))]]),
        ("not not hour < 6", [[one("hour", "<", 6)]]),
        ("hour < 6 or hour >= 22", [[one("hour", "<", 6)], [one("hour", ">=", 22)]]),
        ("not (hour < 6 or hour >= 22)", [[one("hour", ">=", 6), one("hour", "<", 22)]]),
        ("not (hour < 6 and agent == 'x')", [[one("hour", ">=", 6)], [one("agent", "!=", "x")]]),
        (
            "(hour < 1 or hour > 2) and tool != ''",
            [[one("hour", "<", 1), one("tool", "!=", "")], [one("hour", ">", 2), one("tool", "!=", "")]],
        ),
        ("hour < 1 or hour < 1 and hour < 1", [[one("hour", "<", 1)]]),
    ],
)
def test_a_condition_becomes_any_of_all_comparisons(text: str, compiled: object) -> None:
    assert compile_condition(text) == compiled


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1, column 1 of the condition: it ends too early"),
        ("amount_cents >", "column 15 of the condition: it ends too early; right would be a number"),
        (
            "amount_cents = 5",
            "column 14 of the condition: '=' is not expected here; right would be a comparison",
        ),
        (
            "amount > 5",
            "column 1 of the condition: the field 'amount' does not exist; there are amount_cents",
        ),
        (
            "amount_cents > '5'",
            (
                "column 16 of the condition: amount_cents is a whole number: write it without quotes,"
                " as amount_cents > 5"
            ),
        ),
        ("hour not in ['late']", "hour is a whole number: write it without quotes, as hour not in [1]"),
        ("payee == 5", "column 10 of the condition: payee is text: write it in quotes, as payee == '5'"),
        ("payee > 'a'", "column 7 of the condition: payee is text, which can only be compared with"),
        ("hour in [1, 'x']", "column 13 of the condition: hour is a whole number"),
        ("hour < 24", "column 8 of the condition: hour is a number from 0 to 23, got 24"),
        ("amount_cents > -1", "amount_cents is a number from 0 to 9007199254740991, got -1"),
        ("hour < 2 hour", "column 10 of the condition: 'hour' is not expected here; right would be and, or"),
        ("hour < 2 and\n(agent == 1)", "line 2, column 11 of the condition: agent is text"),
        ("(hour < 2", "column 10 of the condition: it ends too early; right would be"),
        ("role == 'a\n'", "column 9"),
        ("x" * 3000, "longer than 2000 characters"),
        ("(" * 40 + "hour < 1" + ")" * 40, "more than 32 parentheses and negations"),
        (" and ".join(["(hour < 1 or hour > 2)"] * 20), f"more than {CLAUSES_MAX} alternatives"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(text)
    assert told in str(caught.value)
