"""Every code that a refusal or an error can carry, with its HTTP status.

A code is for machines and never changes; the `detail` beside it is for people and may.
"""

from typing import Any, Final

STATUS: Final[dict[str, int]] = {
    # who are you?
    "token_missing": 401,
    "token_invalid": 401,
    "wrong_tenant": 403,
    # policy says no
    "tool_not_allowed": 403,
    "argument_refused": 403,
    "spend_not_allowed": 403,
    "purpose_not_registered": 403,
    "payee_not_allowed": 403,
    "recipient_not_allowed": 403,
    "currency_not_allowed": 403,
    "budget_exceeded": 403,
    "call_unpriceable": 403,
    "spend_exceeds_ceiling": 403,
    "no_authorization_record": 403,
    "policy_version_inactive": 403,
    "obligation_unmet": 403,
    "locked_out": 403,
    "tool_quarantined": 403,
    "workflow_suspended": 403,
    "host_not_allowed": 403,
    "approval_required": 403,
    # the request is in the wrong state, or wrong
    "authorization_not_approved": 409,
    "authorization_expired": 409,
    "authorization_voided": 409,
    "workflow_finished": 409,
    "case_resolved": 409,
    "idempotency_in_flight": 409,
    "duplicate": 409,
    "idempotency_mismatch": 422,
    "invalid": 422,
    "malformed": 400,
    "signature_invalid": 400,
    "signature_stale": 400,
    "headers_too_large": 431,
    "body_too_large": 413,
    "method_not_allowed": 405,
    "not_found": 404,
    "rate_limited": 429,
    # something that we need is gone
    "upstream_unreachable": 502,
    "upstream_invalid": 502,
    "upstream_timeout": 504,
    "policy_unavailable": 503,
    "treasury_unavailable": 503,
    "journal_unavailable": 503,
    "control_unavailable": 503,
    "overloaded": 503,
    "internal": 500,
}


def error_body(code: str, detail: Any, correlation_id: str, **more: Any) -> dict[str, Any]:
    """The one shape of an error: `{code, detail, correlation_id}` and what the code adds.

    A 422's `detail` is a list of `{loc, message}`; `more` may hold `decision_id`, `reasons`,
    `approval_id`. Entries that are None are left out.
    """
    body = {"code": code, "detail": detail, "correlation_id": correlation_id}
    body.update((name, value) for name, value in more.items() if value is not None)
    return body
