package gateway.decision_test

import data.gateway.decision

call := {
	"principal": {"id": "scout", "role": "executor", "tenant": "acme", "user": null, "method": "api_key"},
	"action": {"kind": "tool_call", "name": "bank.get_balance", "arguments": {}},
	"resource": {"server": "bank", "host": "", "method": "", "path": "", "content": "json"},
	"spend": null,
	"context": {
		"workflow_id": "",
		"session_id": "",
		"at": "2026-01-01T12:00:00Z",
		"approval": null,
		"policy_version": null,
	},
}

spend := {
	"principal": call.principal,
	"action": {"kind": "spend", "name": "treasury.authorize", "arguments": {}},
	"resource": call.resource,
	"spend": {"amount_cents": 500, "currency": "USD", "purpose": "api_call", "payee": "vendor-a"},
	"context": call.context,
}

codes(verdict) := [reason.code | some reason in verdict.reasons]

patched(document, path, value) := json.patch(document, [{"op": "add", "path": path, "value": value}])

test_a_granted_call_goes_on if {
	verdict := decision.decision with input as call
	verdict == {
		"allow": true,
		"reasons": [],
		"obligations": {
			"approval": {},
			"hold": {},
			"redact": [],
			"rate_limit": {"calls": 100, "per_s": 60},
		},
		"policy": {
			"version": data.gateway.policy.version,
			"revision": data.gateway.policy.revision,
		},
	}
}

test_a_role_without_rate_limits_has_none if {
	verdict := decision.decision with input as patched(
		patched(call, "/principal/role", "executive"),
		"/action/name",
		"approve_spend",
	)
	verdict.allow
	verdict.obligations.rate_limit == {}
}

test_a_refused_call_counts_against_its_roles_rate if {
	verdict := decision.decision with input as patched(call, "/action/name", "bank.unknown")
	verdict.allow == false
	verdict.obligations.rate_limit == {"calls": 100, "per_s": 60}
}

test_nothing_is_granted_to_an_empty_input if {
	verdict := decision.decision with input as {}
	verdict.allow == false
	codes(verdict) == ["tool_not_allowed"]
	verdict.obligations == {"approval": {}, "hold": {}, "redact": [], "rate_limit": {}}
}

test_the_active_version_may_be_named if {
	verdict := decision.decision with input as patched(call, "/context/policy_version", data.gateway.policy.version)
	verdict.allow
}

test_another_version_is_refused if {
	verdict := decision.decision with input as patched(call, "/context/policy_version", "0.9")
	verdict.allow == false
	codes(verdict) == ["policy_version_inactive"]
}

test_a_spend_is_held if {
	verdict := decision.decision with input as spend
	verdict.allow
	verdict.obligations.hold == {
		"ceiling_cents": 500,
		"budgets": [{"key": "role:executor", "window": "day", "limit_cents": 100000}],
		"price": null,
		"charged_on_error": false,
	}
}

test_a_paid_call_is_held if {
	paid := patched(patched(call, "/action/name", "print.poster"), "/spend", {
		"amount_cents": 700,
		"currency": "USD",
		"purpose": "tool_call",
		"payee": "print",
	})
	verdict := decision.decision with input as paid
	verdict.allow
	verdict.obligations.hold.ceiling_cents == 700
	verdict.obligations.hold.price.kind == "fixed"
}

test_a_spend_that_a_person_must_approve_waits_with_its_money_held if {
	verdict := decision.decision with input as patched(spend, "/spend/amount_cents", 60000)
	verdict.allow == false
	codes(verdict) == ["approval_required"]
	verdict.obligations.approval == {"role": "executive", "rule": "daily_limit"}
	verdict.obligations.hold.ceiling_cents == 60000
}

test_nobody_is_asked_for_what_is_refused_anyway if {
	verdict := decision.decision with input as patched(
		patched(spend, "/spend/amount_cents", 60000),
		"/spend/purpose", "gifts",
	)
	codes(verdict) == ["purpose_not_registered"]
	verdict.obligations.approval == {}
	verdict.obligations.hold == {}
}

test_an_approval_in_the_context_is_not_enough if {
	verdict := decision.decision with input as patched(
		patched(spend, "/spend/amount_cents", 60000),
		"/context/approval", {"role": "executive"},
	)
	verdict.allow == false
}

test_no_input_at_all_is_refused if {
	decision.decision.allow == false
	count(decision.decision.reasons) > 0
}

test_a_declared_intent_holds_nothing if {
	verdict := decision.decision with input as patched(spend, "/action/name", "treasury.create_intent")
	verdict.allow
	verdict.obligations.hold == {}
}

test_one_and_many_are_judged_alike if {
	calls := [call, spend, patched(spend, "/spend/amount_cents", 60000), patched(call, "/action/name", "x"), {}]
	verdicts := decision.batch with input as {"calls": calls}
	count(verdicts) == count(calls)
	every position, verdict in verdicts {
		alone := decision.decision with input as calls[position]
		verdict == alone
	}
}

test_equal_calls_of_a_batch_each_get_an_answer if {
	verdicts := decision.batch with input as {"calls": [call, call, {}, {}]}
	[verdict.allow | some verdict in verdicts] == [true, true, false, false]
}

test_a_batch_keeps_its_order if {
	verdicts := decision.batch with input as {"calls": [call, {}, spend]}
	[verdict.allow | some verdict in verdicts] == [true, false, true]
}

test_what_is_no_call_is_refused_with_a_reason if {
	every document in [null, 1, "x", [], {"principal": null}, {"action": {"kind": "spend"}}] {
		verdict := decision.decision with input as document
		verdict.allow == false
		count(verdict.reasons) > 0
	}
}
