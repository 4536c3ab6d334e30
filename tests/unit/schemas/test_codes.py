"""Errors have one shape."""

import pytest

from schemas.codes import STATUS, error_body


@pytest.mark.requirement("GW-20")
def test_an_error_has_code_detail_and_correlation() -> None:
    assert error_body("not_found", "no such tool", "c-1") == {
        "code": "not_found",
        "detail": "no such tool",
        "correlation_id": "c-1",
    }


@pytest.mark.requirement("GW-20")
def test_what_a_code_adds_is_there_unless_it_is_none() -> None:
    body = error_body("approval_required", "", "c-1", decision_id="d-1", approval_id=None, reasons=[])
    assert (body["decision_id"], body["reasons"]) == ("d-1", [])
    assert "approval_id" not in body


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (401, {"token_missing", "token_invalid"}),
        (422, {"invalid", "idempotency_mismatch"}),
        (404, {"not_found"}),
        (502, {"upstream_unreachable", "upstream_invalid"}),
        (504, {"upstream_timeout"}),
    ],
)
def test_codes_have_the_statuses_that_users_know(status: int, codes: set[str]) -> None:
    assert {code for code, of in STATUS.items() if of == status} == codes


def test_every_status_is_an_error() -> None:
    assert all(400 <= status <= 599 for status in STATUS.values())
