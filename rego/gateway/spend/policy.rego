# METADATA
# title: Spend
# description: |
#   What a role may spend: its purposes, payees and ceiling, the spend rules, and what must be held. It judges
#   spend requests and, but for the lists of purposes and payees, paid tool calls. To declare an intent moves
#   no money, so nobody has to approve it; to void one needs nothing but the right to spend.
# schemas:
#   - input: schema
package gateway.spend

import data.gateway.tools

# METADATA
# title: Permitted calls
# description: A tool call is free, or its cost is within what the role may spend.
call_permitted if {
	input.action.kind == "tool_call"
	not tools.grant.price
}

call_permitted if {
	tools.grant.price
	_money_is_within
}

# METADATA
# title: Permitted requests
# description: A spend request is within what the role may spend. The refusals say why not.
request_permitted if {
	is_request
	_may_request
	_voids
}

request_permitted if {
	is_request
	_may_request
	_is_for_a_purpose
	_may_be_paid
	_money_is_within
}

# METADATA
# title: Roles that may not spend
# description: A spend request needs a role with a spend section, and one of the known actions.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	is_request
	not _may_request
	reason := {
		"code": "spend_not_allowed",
		"message": sprintf("the role %v may not ask for %v", [
			object.get(input, ["principal", "role"], ""),
			object.get(input, ["action", "name"], ""),
		]),
	}
}

# METADATA
# title: Amounts
# description: A spend has an amount of at least one minor unit.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	moves_money
	not _has_amount
	reason := {
		"code": "spend_not_allowed",
		"message": "amount_cents must be a whole number of at least 1",
	}
}

# METADATA
# title: Currency
# description: Budgets and ceilings are in the policy's currency; a spend in another cannot be judged.
# custom:
#   code: currency_not_allowed
refusals contains reason if {
	moves_money
	not _is_in_currency
	reason := {
		"code": "currency_not_allowed",
		"message": sprintf("currency must be %v", [data.gateway.policy.currency]),
	}
}

# METADATA
# title: Purposes
# description: A spend request names a purpose that its role has.
# custom:
#   code: purpose_not_registered
refusals contains reason if {
	is_request
	moves_money
	not _is_for_a_purpose
	reason := {
		"code": "purpose_not_registered",
		"message": sprintf("purpose must be one of %v", [concat(", ", object.get(_section, "purposes", []))]),
	}
}

# METADATA
# title: Payees
# description: A spend request names a payee that its role may pay; a role without a list may pay anybody.
# custom:
#   code: payee_not_allowed
refusals contains reason if {
	is_request
	moves_money
	not _may_be_paid
	reason := {
		"code": "payee_not_allowed",
		"message": sprintf("payee must match one of %v", [concat(", ", object.get(_section, "payees", []))]),
	}
}

# METADATA
# title: Ceiling
# description: One spend of the role is at most its ceiling.
# custom:
#   code: spend_exceeds_ceiling
refusals contains reason if {
	moves_money
	not _is_within_ceiling
	reason := {
		"code": "spend_exceeds_ceiling",
		"message": sprintf("amount_cents must be at most %d", [_section.ceiling_cents]),
	}
}

# METADATA
# title: Rules that deny
# description: A spend rule with the action deny concerns this spend.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	moves_money
	some rule in data.gateway.spend.rules
	rule.action == "deny"
	_concerns(rule)
	reason := {
		"code": "spend_not_allowed",
		"message": sprintf("the spend rule %v denies it", [rule.name]),
		"rule": rule.name,
	}
}

# METADATA
# title: Approvals
# description: Whose yes is needed, the tool's own demand first, then the rules in the order of the document.
approvals := array.concat(
	[{"role": role} | role := tools.grant.approval],
	[{"role": rule.role, "rule": rule.name} |
		moves_money
		not _declares
		some rule in data.gateway.spend.rules
		rule.action == "approve"
		_concerns(rule)
	],
)

# METADATA
# title: Approval reasons
# description: One reason for each yes that is needed.
# custom:
#   code: approval_required
approval_reasons := [reason |
	some demand in approvals
	reason := object.union(
		object.remove(demand, ["role"]),
		{"code": "approval_required", "message": sprintf("needs the approval of the role %v", [demand.role])},
	)
]

# METADATA
# title: Hold
# description: The money that must be held before the call goes on, and the budgets that it is charged to.
hold := {
	"ceiling_cents": input.spend.amount_cents,
	"budgets": _budgets,
	"price": tools.grant.price,
	"charged_on_error": tools.grant.price.charged_on_error,
}

hold := {
	"ceiling_cents": input.spend.amount_cents,
	"budgets": _budgets,
	"price": null,
	"charged_on_error": false,
} if {
	is_request
	not _voids
	not _declares
}

_section := data.gateway.roles[input.principal.role].spend

# METADATA
# title: Spend request
# description: The agent asks the treasury itself, not a tool.
is_request if input.action.kind == "spend"

_may_request if {
	_section
	input.action.name in {
		"treasury.create_intent",
		"treasury.authorize",
		"treasury.execute",
		"treasury.void",
	}
}

_voids if input.action.name == "treasury.void"

_declares if input.action.name == "treasury.create_intent"

# METADATA
# title: Money
# description: The call declares, asks for or costs money, so the spend rules judge it.
moves_money if {
	is_request
	not _voids
}

moves_money if tools.grant.price

_has_amount if {
	input.spend.amount_cents >= 1
	is_number(input.spend.amount_cents)
	floor(input.spend.amount_cents) == input.spend.amount_cents
}

_is_in_currency if input.spend.currency == data.gateway.policy.currency

_is_for_a_purpose if input.spend.purpose in _section.purposes

_money_is_within if {
	_has_amount
	_is_in_currency
	_is_within_ceiling
	not _is_denied
}

_is_denied if {
	some rule in data.gateway.spend.rules
	rule.action == "deny"
	_concerns(rule)
}

_is_within_ceiling if not _section.ceiling_cents

_is_within_ceiling if input.spend.amount_cents <= _section.ceiling_cents

_may_be_paid if {
	_section
	not _section.payees
}

_may_be_paid if {
	some payee in _section.payees
	glob.match(payee, null, input.spend.payee)
}

_budgets := [budget |
	limit_cents := data.gateway.roles[input.principal.role].daily_budget_cents
	budget := {
		"key": concat(":", ["role", input.principal.role]),
		"window": "day",
		"limit_cents": limit_cents,
	}
]

# A rule concerns a spend unless every clause is refuted: what the input lacks refutes nothing.
_concerns(rule) if {
	some clause in rule.any
	not _is_refuted(clause)
}

_is_refuted(clause) if {
	some comparison in clause
	_contradicts(comparison.op, _fact(comparison.field), comparison.value)
}

_fact("amount_cents") := input.spend.amount_cents

_fact("currency") := input.spend.currency

_fact("purpose") := input.spend.purpose

_fact("payee") := input.spend.payee

_fact("role") := input.principal.role

_fact("agent") := input.principal.id

_fact("tool") := input.action.name if input.action.kind == "tool_call"

_fact("tool") := "" if is_request

_fact("hour") := time.clock(time.parse_rfc3339_ns(input.context.at))[0]

_contradicts("==", fact, value) if fact != value

_contradicts("!=", fact, value) if fact == value

_contradicts("<", fact, value) if fact >= value

_contradicts("<=", fact, value) if fact > value

_contradicts(">", fact, value) if fact <= value

_contradicts(">=", fact, value) if fact < value

_contradicts("in", fact, value) if not fact in value

_contradicts("not in", fact, value) if fact in value
