package gateway.spend_test

import data.gateway.spend

request := {
	"principal": {"id": "scout", "role": "executor", "tenant": "acme"},
	"action": {"kind": "spend", "name": "treasury.authorize", "arguments": {}},
	"spend": {"amount_cents": 500, "currency": "USD", "purpose": "api_call", "payee": "vendor-a"},
	"context": {"at": "2026-01-01T12:00:00Z"},
}

paid := {
	"principal": request.principal,
	"action": {"kind": "tool_call", "name": "print.pages", "arguments": {"job": {"pages": 250}}},
	"spend": {"amount_cents": 500, "currency": "USD", "purpose": "tool_call", "payee": "print"},
	"context": request.context,
}

saying(part) := object.union(request, part)

codes(document) := [found |
	refusals := spend.refusals with input as document
	agrees(document, refusals)
	found := {refusal.code | some refusal in refusals}
][0]

# Permitted is what has no refusals, and the other way round: both are asked each time.
agrees(document, refusals) if {
	permits(document)
	refusals == set()
}

agrees(document, refusals) if {
	not permits(document)
	refusals != set()
}

permits(document) if spend.call_permitted(document)

permits(document) if spend.request_permitted(document)

without(document, path) := json.patch(document, [{"op": "remove", "path": path}])

judged_by(condition, document) := [found |
	rules := [{"name": "r", "action": "deny", "any": condition}]
	found := codes(document) with data.gateway.spend.rules as rules
][0]

test_a_spend_within_its_section if codes(request) == set()

test_every_action_of_the_treasury if {
	every name in ["create_intent", "authorize", "void"] {
		codes(saying({"action": {"name": sprintf("treasury.%s", [name])}})) == set()
	}
	codes(executing("ACC-vendor-a", "vendor-a")) == set()
	codes(saying({"action": {"name": "treasury.print"}})) == {"spend_not_allowed"}
	codes(without(request, "/action/name")) == {"spend_not_allowed"}
}

test_a_role_without_a_section_may_not_spend if {
	refused := codes(saying({"principal": {"role": "intern"}}))
	"spend_not_allowed" in refused
	"spend_not_allowed" in codes(without(request, "/principal/role"))
}

test_void_needs_nothing_but_the_right if {
	void := saying({"action": {"name": "treasury.void"}, "spend": {"purpose": "gifts", "amount_cents": 900000}})
	codes(void) == set()
	codes(object.union(void, {"principal": {"role": "intern"}})) == {"spend_not_allowed"}
}

test_amounts if {
	every amount in [0, -1, 0.5, "500", true, null, 9007199254740992] {
		"spend_not_allowed" in codes(saying({"spend": {"amount_cents": amount}}))
	}
	"spend_not_allowed" in codes(without(request, "/spend/amount_cents"))
}

test_currency if {
	codes(saying({"spend": {"currency": "EUR"}})) == {"currency_not_allowed"}
	codes(without(request, "/spend/currency")) == {"currency_not_allowed"}
	codes(object.union(paid, {"spend": {"currency": "EUR"}})) == {"currency_not_allowed"}
}

test_purposes if {
	codes(saying({"spend": {"purpose": "gifts"}})) == {"purpose_not_registered"}
	"purpose_not_registered" in codes(without(request, "/spend/purpose"))
}

test_payees if {
	codes(saying({"spend": {"payee": "friend"}})) == {"payee_not_allowed"}
	codes(without(request, "/spend/payee")) == {"payee_not_allowed"}
}

test_a_role_without_payees_may_pay_anybody if {
	codes(saying({"principal": {"role": "executive"}, "spend": {"payee": "", "purpose": "payout_vendor"}})) == set()
}

executing(account, payee) := saying({
	"action": {"name": "treasury.execute", "arguments": {"recipient_account": account}},
	"spend": {"payee": payee},
})

test_recipients if {
	codes(executing("bank:7", "vendor-a")) == set()
	every account in ["ACC-vendor-b", "ACC-vendor-", "ACC-vendor-a2", "XACC-vendor-a", "bank", "ACC-{payee}", 7, null] {
		codes(executing(account, "vendor-a")) == {"recipient_not_allowed"}
	}
	codes(saying({"action": {"name": "treasury.execute"}})) == {"recipient_not_allowed"}
}

test_a_payee_is_no_pattern_of_accounts if {
	codes(executing("ACC-vendor-*", "vendor-*")) == set()
	codes(executing("ACC-vendor-7", "vendor-*")) == {"recipient_not_allowed"}
	codes(executing("ACC-vendor-b", "vendor-{b,c}")) == {"recipient_not_allowed"}
}

test_without_a_payee_no_account_is_named_by_it if {
	named := {"purposes": ["api_call"], "recipients": ["*{payee}"]}
	nameless := codes(executing("ACC-7", "")) with data.gateway.roles.executor.spend as named
	nameless == {"recipient_not_allowed"}
	missing := codes(without(executing("ACC-7", ""), "/spend/payee")) with data.gateway.roles.executor.spend as named
	missing == {"recipient_not_allowed"}
}

test_a_role_without_recipients_may_credit_any_account if {
	anywhere := {"purposes": ["api_call"]}
	credited := codes(executing("own:pocket", "vendor-a")) with data.gateway.roles.executor.spend as anywhere
	credited == set()
}

test_a_payee_without_a_star_is_just_itself if {
	one := {"purposes": ["api_call"], "payees": ["vendor?[1]"]}
	itself := codes(saying({"spend": {"payee": "vendor?[1]"}})) with data.gateway.roles.executor.spend as one
	itself == set()
	other := codes(saying({"spend": {"payee": "vendor-1"}})) with data.gateway.roles.executor.spend as one
	other == {"payee_not_allowed"}
}

test_ceiling if {
	codes(saying({"spend": {"amount_cents": 100000}})) == set()
	codes(saying({"spend": {"amount_cents": 100001}})) == {"spend_exceeds_ceiling"}
	codes(object.union(paid, {"spend": {"amount_cents": 100001}})) == {"spend_exceeds_ceiling"}
}

test_paid_calls_need_no_purpose_and_no_payee if codes(paid) == set()

test_a_rule_that_denies_is_named if {
	night := saying({"spend": {"purpose": "payout_vendor"}, "context": {"at": "2026-01-01T05:59:59Z"}})
	refusals := spend.refusals with input as night
	{[refusal.code, refusal.rule] | some refusal in refusals} == {["spend_not_allowed", "no_night_payouts"]}
	codes(object.union(night, {"context": {"at": "2026-01-01T06:00:00Z"}})) == set()
}

test_what_is_missing_refutes_nothing if {
	night := saying({"spend": {"purpose": "payout_vendor"}})
	codes(night) == set()
	codes(without(night, "/context")) == {"spend_not_allowed"}
}

# METADATA
# description: Comparisons that hold for the request; each with one that does not.
comparisons := [
	[{"field": "amount_cents", "op": "==", "value": 500}, {"field": "amount_cents", "op": "==", "value": 501}],
	[{"field": "amount_cents", "op": "<", "value": 501}, {"field": "amount_cents", "op": "<", "value": 500}],
	[{"field": "amount_cents", "op": "<=", "value": 500}, {"field": "amount_cents", "op": "<=", "value": 499}],
	[{"field": "amount_cents", "op": ">", "value": 499}, {"field": "amount_cents", "op": ">", "value": 500}],
	[{"field": "hour", "op": ">=", "value": 12}, {"field": "hour", "op": ">=", "value": 13}],
	[{"field": "currency", "op": "!=", "value": "EUR"}, {"field": "currency", "op": "!=", "value": "USD"}],
	[{"field": "payee", "op": "in", "value": ["vendor-a"]}, {"field": "payee", "op": "in", "value": ["b"]}],
	[{"field": "role", "op": "not in", "value": ["x"]}, {"field": "role", "op": "not in", "value": ["executor"]}],
	[{"field": "agent", "op": "==", "value": "scout"}, {"field": "agent", "op": "==", "value": "boss"}],
	[{"field": "tool", "op": "==", "value": ""}, {"field": "tool", "op": "==", "value": "print.pages"}],
	[{"field": "purpose", "op": "==", "value": "api_call"}, {"field": "purpose", "op": "==", "value": "x"}],
]

test_every_comparison if {
	every pair in comparisons {
		judged_by([[pair[0]]], request) == {"spend_not_allowed"}
		judged_by([[pair[1]]], request) == set()
		judged_by([[pair[0], pair[1]]], request) == set()
		judged_by([[pair[1]], [pair[0]]], request) == {"spend_not_allowed"}
	}
}

test_the_tool_of_a_paid_call if {
	judged_by([[{"field": "tool", "op": "==", "value": "print.pages"}]], paid) == {"spend_not_allowed"}
}

test_a_rule_that_names_nobody_asks_for_what_nobody_can_give if {
	rules := [{"action": "approve", "any": [[]]}]
	demands := spend.approvals(request) with data.gateway.spend.rules as rules
	demands == [{"role": "", "rule": ""}]
}

test_who_must_approve if {
	large := saying({"spend": {"amount_cents": 50001}})
	spend.approvals(large) == [{"role": "executive", "rule": "daily_limit"}]
	spend.approvals(request) == []
	spend.approval_reasons(large) == [{
		"code": "approval_required",
		"message": "needs the approval of the role executive",
		"rule": "daily_limit",
	}]
}

test_to_declare_needs_nobody if {
	declared := saying({"action": {"name": "treasury.create_intent"}, "spend": {"amount_cents": 50001}})
	spend.approvals(declared) == []
	not spend.hold(declared)
}

test_a_tool_may_ask_for_approval_itself if {
	closing := {"principal": request.principal, "action": {"kind": "tool_call", "name": "bank.close_account"}}
	spend.approvals(closing) == [{"role": "executive"}]
	spend.approval_reasons(closing) == [{"code": "approval_required", "message": "needs the approval of the role executive"}]
}

test_a_paid_call_is_held_with_its_price if {
	hold := spend.hold(paid)
	hold.ceiling_cents == 500
	hold.price.kind == "per_unit"
	hold.charged_on_error
}

test_a_price_that_does_not_say_is_not_charged_on_error if {
	roles := {"executor": {"tools": {"print.pages": {"price": {"kind": "fixed", "fixed_cents": 500}}}}}
	hold := spend.hold(paid) with data.gateway.roles as roles
	hold.charged_on_error == false
}

test_a_role_without_a_section_has_no_ceiling_for_its_tools if {
	roles := {"executor": {"tools": {"print.pages": {"price": {"kind": "fixed", "fixed_cents": 500}}}}}
	spend.call_permitted(paid) with data.gateway.roles as roles
}

test_a_role_without_a_budget_is_charged_to_none if {
	hold := spend.hold(saying({"principal": {"role": "executive"}}))
	hold.budgets == []
}

# METADATA
# description: A limit of every kind, as the document's compiler writes them.
of_the_role := [
	{"scope": "agent", "window": "hour", "limit_cents": 100},
	{"scope": "role", "window": "day", "limit_cents": 1000},
	{"scope": "role", "window": "month", "limit_cents": 9000},
]

of_all := [
	{"scope": "workflow", "window": "lifetime", "limit_cents": 500},
	{"scope": "tenant", "window": "month", "limit_cents": 20000},
]

budgeted(part) := object.union(object.union(request, {"context": {"workflow_id": "w-1"}}), part)

test_every_budget_is_charged_at_once if {
	budgets := [
		{"key": "agent:scout", "window": "hour", "limit_cents": 100},
		{"key": "role:executor", "window": "day", "limit_cents": 1000},
		{"key": "role:executor", "window": "month", "limit_cents": 9000},
		{"key": "workflow:w-1", "window": "lifetime", "limit_cents": 500},
		{"key": "tenant:acme", "window": "month", "limit_cents": 20000},
	]
	every call in [budgeted({}), budgeted({"action": paid.action, "spend": paid.spend})] {
		held := spend.hold(call) with data.gateway.roles.executor.budgets as of_the_role
			with data.gateway.policy.budgets as of_all
		held.budgets == budgets
	}
}

test_the_budgets_of_all_hold_for_a_role_without_its_own if {
	held := spend.hold(budgeted({"principal": {"role": "executive"}})) with data.gateway.policy.budgets as of_all
	[budget.key | some budget in held.budgets] == ["workflow:w-1", "tenant:acme"]
}

test_whoever_has_a_budget_is_named if {
	every path in ["/principal/id", "/principal/tenant", "/context/workflow_id"] {
		every value in ["", null, 5, {}, []] {
			"spend_not_allowed" in charged_codes(json.patch(budgeted({}), [{"op": "add", "path": path, "value": value}]))
		}
		"spend_not_allowed" in charged_codes(without(budgeted({}), path))
		codes(without(budgeted({}), path)) == set()
	}
	charged_codes(budgeted({})) == set()
}

test_a_budget_of_an_unknown_kind_lets_nothing_be_spent if {
	found := codes(request) with data.gateway.policy.budgets as [{"scope": "planet", "window": "day", "limit_cents": 1}]
	found == {"spend_not_allowed"}
}

test_the_refusal_names_who_is_not_named if {
	refusals := spend.refusals with input as without(without(budgeted({}), "/principal/tenant"), "/context/workflow_id")
		with data.gateway.policy.budgets as of_all
	some reason in refusals
	reason.message == "the call does not name whose budget it is: tenant, workflow"
}

test_a_limit_that_is_not_whole_lets_nothing_be_spent if {
	every limit in [{}, {"scope": "tenant"}, {"scope": "tenant", "window": "day"}, {"window": "day", "limit_cents": 1}, 5] {
		found := codes(request) with data.gateway.policy.budgets as [limit]
		found == {"spend_not_allowed"}
	}
}

test_to_void_charges_nobody if {
	found := charged_codes(without(saying({"action": {"name": "treasury.void"}}), "/principal/tenant"))
	found == set()
}

charged_codes(document) := [found |
	found := codes(document) with data.gateway.roles.executor.budgets as of_the_role
		with data.gateway.policy.budgets as of_all
][0]

test_a_free_call_spends_nothing if {
	free := {"principal": request.principal, "action": {"kind": "tool_call", "name": "bank.get_balance"}}
	codes(free) == set()
}
