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
# title: Free calls
# description: A tool call that costs nothing and that nobody has to approve; nothing else here concerns it.
is_free(call) if {
	granted := tools.grant(call)
	not granted.price
	not granted.approval
}

# METADATA
# title: Permitted calls
# description: A tool call is free, or its cost is within what the role may spend.
call_permitted(call) if {
	granted := tools.grant(call)
	not granted.price
}

call_permitted(call) if {
	tools.grant(call).price
	_money_is_within(call)
}

# METADATA
# title: Permitted requests
# description: A spend request is within what the role may spend. The refusals say why not.
request_permitted(call) if {
	_may_request(call)
	_voids(call)
}

request_permitted(call) if {
	_may_request(call)
	_is_for_a_purpose(call)
	_may_be_paid(call)
	_may_receive(call)
	_money_is_within(call)
}

# METADATA
# title: Roles that may not spend
# description: A spend request needs a role with a spend section, and one of the known actions.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	input.action.kind == "spend"
	not _may_request(input)
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
# description: A spend has an amount of at least one minor unit and at most 2^53 - 1 of them.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	_moves_money
	not _has_amount(input)
	reason := {
		"code": "spend_not_allowed",
		"message": "amount_cents must be a whole number from 1 to 9007199254740991",
	}
}

# METADATA
# title: Currency
# description: Budgets and ceilings are in the policy's currency; a spend in another cannot be judged.
# custom:
#   code: currency_not_allowed
refusals contains reason if {
	_moves_money
	not _is_in_currency(input)
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
	input.action.kind == "spend"
	_moves_money
	not _is_for_a_purpose(input)
	reason := {
		"code": "purpose_not_registered",
		"message": sprintf("purpose must be one of %v", [concat(", ", object.get(_section(input), "purposes", []))]),
	}
}

# METADATA
# title: Payees
# description: A spend request names a payee that its role may pay; a role without a list may pay anybody.
# custom:
#   code: payee_not_allowed
refusals contains reason if {
	input.action.kind == "spend"
	_moves_money
	not _may_be_paid(input)
	reason := {
		"code": "payee_not_allowed",
		"message": sprintf("payee must match one of %v", [concat(", ", object.get(_section(input), "payees", []))]),
	}
}

# METADATA
# title: Recipients
# description: |
#   What is executed goes to an account that the role may credit; a role without a list may credit any. In a pattern
#   {payee} stands for the payee that was declared, so that the one cannot be named and the other be paid.
# custom:
#   code: recipient_not_allowed
refusals contains reason if {
	_executes(input)
	not _may_receive(input)
	reason := {
		"code": "recipient_not_allowed",
		"message": sprintf(
			"recipient_account must match one of %v",
			[concat(", ", object.get(_section(input), "recipients", []))],
		),
	}
}

# METADATA
# title: Ceiling
# description: One spend of the role is at most its ceiling.
# custom:
#   code: spend_exceeds_ceiling
refusals contains reason if {
	_moves_money
	not _is_within_ceiling(input)
	reason := {
		"code": "spend_exceeds_ceiling",
		"message": sprintf("amount_cents must be at most %d", [_ceiling_cents(input)]),
	}
}

# METADATA
# title: Budgets
# description: The call names whoever has a budget, since otherwise there is none to charge.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	_moves_money
	not _is_budgeted(input)
	named := concat(", ", {limit.scope | some limit in _limits(input); not _charged(limit.scope, input)})
	reason := {
		"code": "spend_not_allowed",
		"message": sprintf("the call does not name whose budget it is: %v", [named]),
	}
}

# METADATA
# title: Rules that deny
# description: A spend rule with the action deny concerns this spend.
# custom:
#   code: spend_not_allowed
refusals contains reason if {
	_moves_money
	some rule in _concerned(input)
	rule.action == "deny"
	reason := {
		"code": "spend_not_allowed",
		"message": sprintf("the spend rule %v denies it", [rule.name]),
		"rule": rule.name,
	}
}

# METADATA
# title: Approvals
# description: Whose yes is needed, the tool's own demand first, then the rules in the order of the document.
approvals(call) := array.concat(
	[{"role": role} | role := tools.grant(call).approval],
	[{"role": object.get(rule, "role", ""), "rule": object.get(rule, "name", "")} |
		moves_money(call)
		not _declares(call)
		some rule in _concerned(call)
		rule.action == "approve"
	],
)

# METADATA
# title: Approval reasons
# description: One reason for each yes that is needed.
# custom:
#   code: approval_required
approval_reasons(call) := [reason |
	some demand in approvals(call)
	reason := object.union(
		object.remove(demand, ["role"]),
		{"code": "approval_required", "message": sprintf("needs the approval of the role %v", [demand.role])},
	)
]

# METADATA
# title: Hold
# description: The money that must be held before the call goes on, and the budgets that it is charged to.
hold(call) := {
	"ceiling_cents": call.spend.amount_cents,
	"budgets": _budgets(call),
	"price": price,
	"charged_on_error": object.get(price, "charged_on_error", false),
} if {
	price := tools.grant(call).price
} else := {
	"ceiling_cents": call.spend.amount_cents,
	"budgets": _budgets(call),
	"price": null,
	"charged_on_error": false,
} if {
	is_request(call)
	not _voids(call)
	not _declares(call)
}

# METADATA
# title: Spend request
# description: The agent asks the treasury itself, not a tool.
is_request(call) if call.action.kind == "spend"

# METADATA
# title: Money
# description: The call declares, asks for or costs money, so the spend rules judge it.
moves_money(call) if tools.grant(call).price

moves_money(call) if {
	call.action.kind == "spend"
	not _voids(call)
}

_moves_money if moves_money(input)

_section(call) := data.gateway.roles[call.principal.role].spend

_may_request(call) if {
	is_request(call)
	_section(call)
	call.action.name in {
		"treasury.create_intent",
		"treasury.authorize",
		"treasury.execute",
		"treasury.void",
	}
}

_voids(call) if call.action.name == "treasury.void"

_declares(call) if call.action.name == "treasury.create_intent"

_executes(call) if call.action.name == "treasury.execute"

_has_amount(call) if {
	amount_cents := call.spend.amount_cents
	is_number(amount_cents)
	amount_cents >= 1
	amount_cents <= 9007199254740991
	floor(amount_cents) == amount_cents
}

_is_in_currency(call) if call.spend.currency == data.gateway.policy.currency

_is_for_a_purpose(call) if call.spend.purpose in _section(call).purposes

_money_is_within(call) if {
	_has_amount(call)
	_is_in_currency(call)
	_is_within_ceiling(call)
	_is_budgeted(call)
	[rule | some rule in _concerned(call); rule.action == "deny"] == []
}

_is_within_ceiling(call) if call.spend.amount_cents <= _ceiling_cents(call)

_is_within_ceiling(call) if not _ceiling_cents(call)

_ceiling_cents(call) := data.gateway.roles[call.principal.role].spend.ceiling_cents

_may_be_paid(call) if {
	section := _section(call)
	not section.payees
}

_may_be_paid(call) if call.spend.payee in _section(call).payees

_may_be_paid(call) if {
	some payee in _section(call).payees
	contains(payee, "*")
	glob.match(payee, null, call.spend.payee)
}

_may_receive(call) if not _executes(call)

_may_receive(call) if {
	section := _section(call)
	not section.recipients
}

_may_receive(call) if {
	some recipient in _section(call).recipients
	not contains(recipient, "{payee}")
	glob.match(recipient, null, call.action.arguments.recipient_account)
}

_may_receive(call) if {
	payee := call.spend.payee
	payee != ""
	some recipient in _section(call).recipients
	named := replace(recipient, "{payee}", glob.quote_meta(payee))
	glob.match(named, null, call.action.arguments.recipient_account)
}

# All the limits that concern the call, the narrowest first: of the agent and its role, of its workflow and tenant.
_limits(call) := array.concat(
	[limit | some limit in data.gateway.roles[call.principal.role].budgets],
	[limit | some limit in data.gateway.policy.budgets],
)

_budgets(call) := [budget |
	some limit in _limits(call)
	budget := {
		"key": concat(":", [limit.scope, _charged(limit.scope, call)]),
		"window": limit.window,
		"limit_cents": limit.limit_cents,
	}
]

# Whoever is not named has no budget here, so a limit of theirs lets nothing be spent.
_charged(scope, call) := name if {
	name := object.get(call, _charged_at[scope], "")
	is_string(name)
	name != ""
}

_charged_at := {
	"agent": ["principal", "id"],
	"role": ["principal", "role"],
	"workflow": ["context", "workflow_id"],
	"tenant": ["principal", "tenant"],
}

_is_budgeted(call) if count(_budgets(call)) == count(_limits(call))

# The spend rules that concern a call, whatever they ask for.
_concerned(call) := [rule | some rule in data.gateway.spend.rules; _concerns(rule, call)]

# A rule concerns a spend unless every clause is refuted: what the input lacks refutes nothing.
_concerns(rule, call) if {
	some clause in rule.any
	[comparison |
		some comparison in clause
		_contradicts(comparison.op, _fact(comparison.field, call), comparison.value)
	] == []
}

_fact("amount_cents", call) := call.spend.amount_cents

_fact("currency", call) := call.spend.currency

_fact("purpose", call) := call.spend.purpose

_fact("payee", call) := call.spend.payee

_fact("role", call) := call.principal.role

_fact("agent", call) := call.principal.id

_fact("tool", call) := call.action.name if call.action.kind == "tool_call"

_fact("tool", call) := "" if is_request(call)

_fact("hour", call) := time.clock(time.parse_rfc3339_ns(call.context.at))[0]

_contradicts("==", fact, value) if fact != value

_contradicts("!=", fact, value) if fact == value

_contradicts("<", fact, value) if fact >= value

_contradicts("<=", fact, value) if fact > value

_contradicts(">", fact, value) if fact <= value

_contradicts(">=", fact, value) if fact < value

_contradicts("in", fact, value) if not fact in value

_contradicts("not in", fact, value) if fact in value
