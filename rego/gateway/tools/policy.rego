# METADATA
# title: Tools
# description: |
#   Which tool a role may call, with which arguments, at what price. An exact name comes before patterns, the
#   first pattern that matches before later ones. In a pattern `*` stands for any characters, also for none
#   and for slashes and points.
#
#   What is permitted is said by functions of the call: in a batch of many calls, OPA evaluates them faster than rules
#   over a replaced `input`. Why something is not is said by rules over `input`.
# schemas:
#   - input: schema
package gateway.tools

# METADATA
# title: Grant
# description: What the role may do with this tool; undefined where it has none.
grant(call) := data.gateway.roles[call.principal.role].tools[call.action.name] if {
	call.action.kind == "tool_call"
} else := _matching(call)[0] if {
	call.action.kind == "tool_call"
}

# METADATA
# title: Permitted
# description: The role has a grant, the arguments keep its rules and the price is told. The refusals say why not.
permitted(call) if {
	granted := grant(call)
	_arguments_hold(call, granted)
	_is_priced(call, granted)
}

# METADATA
# title: Tool refusals
# description: The role has no grant for this tool.
# custom:
#   code: tool_not_allowed
refusals contains reason if {
	not _granted
	not input.action.kind == "spend"
	reason := {
		"code": "tool_not_allowed",
		"message": sprintf("the role %v may not call %v", [
			object.get(input, ["principal", "role"], ""),
			object.get(input, ["action", "name"], ""),
		]),
	}
}

# METADATA
# title: Argument refusals
# description: An argument is missing or breaks a limit of its rule.
# custom:
#   code: argument_refused
refusals contains reason if {
	_were_read(input)
	some name, rule in _granted.arguments
	some limit in _broken(name, rule)
	reason := {
		"code": "argument_refused",
		"message": sprintf("argument %v %v", [name, limit]),
	}
}

# METADATA
# title: Unnamed arguments
# description: An argument that the grant does not name is refused unless it says additional_arguments.
# custom:
#   code: argument_refused
refusals contains reason if {
	_granted.arguments
	not _granted.additional_arguments
	some name, _ in input.action.arguments
	not _granted.arguments[name]
	reason := {
		"code": "argument_refused",
		"message": sprintf("argument %v is not named by the policy", [name]),
	}
}

# METADATA
# title: Unread arguments
# description: Rules for arguments cannot be judged where the body was not read.
# custom:
#   code: argument_refused
refusals contains reason if {
	_granted.arguments
	not _were_read(input)
	reason := {
		"code": "argument_refused",
		"message": _unread,
	}
}

# METADATA
# title: Price refusals
# description: What the call costs is not what its price says.
# custom:
#   code: call_unpriceable
refusals contains reason if {
	_granted
	not _is_priced(input, _granted)
	reason := {
		"code": "call_unpriceable",
		"message": sprintf("the price of %v does not tell this amount", [input.action.name]),
	}
}

# METADATA
# title: Prices
# description: |
#   The table that gateways price calls with. Where a pattern of a role is priced, the role's free tools are
#   there too, with null, because they come before it.
prices := {
	"revision": data.gateway.policy.revision,
	"currency": data.gateway.policy.currency,
	"roles": {name: _prices_of(role) |
		some name, role in data.gateway.roles
	},
}

# For the refusals: OPA remembers of a rule that it is undefined, of a function it does not.
_granted := grant(input)

_matching(call) := [pattern.grant |
	some pattern in data.gateway.roles[call.principal.role].patterns
	glob.match(pattern.glob, null, call.action.name)
]

_arguments_hold(_, granted) if not granted.arguments

_arguments_hold(call, granted) if {
	is_object(granted.arguments)
	_were_read(call)
	_all_are_named(call, granted)
	[name |
		some name, rule in granted.arguments
		not _is_given(call, name)
		not rule.required == false
	] == []
	[word |
		some name, value in call.action.arguments
		some word, limit in granted.arguments[name]
		not _holds(word, limit, value)
	] == []
}

# Null and false are given too: they have the name of a type.
_is_given(call, name) if type_name(call.action.arguments[name])

_unread := "the body was not read, since its Content-Type is not application/json" if {
	input.resource.content == "opaque"
} else := "the arguments could not be read"

_were_read(call) if {
	call.resource.content in {"json", "none"}
	is_object(call.action.arguments)
}

_all_are_named(_, granted) if granted.additional_arguments

_all_are_named(call, granted) if {
	[name | some name, _ in call.action.arguments; not granted.arguments[name]] == []
}

_broken(name, rule) := {"is missing"} if {
	not _is_given(input, name)
	not rule.required == false
} else := {sprintf("breaks its rule %v: %v", [word, limit]) |
	some word, limit in rule
	not _holds(word, limit, input.action.arguments[name])
}

_holds("required", _, _)

_holds("type", limit, value) if type_name(value) == limit

_holds("type", "integer", value) if {
	is_number(value)
	floor(value) == value
}

_holds("enum", limit, value) if value in limit

_holds("const", limit, value) if value == limit

_holds("minimum", limit, value) if {
	is_number(value)
	value >= limit
}

_holds("maximum", limit, value) if {
	is_number(value)
	value <= limit
}

_holds("multiple_of", limit, value) if {
	is_number(value)
	tens := _tens_of(limit)
	_whole(value, tens) % _whole(limit, tens) == 0
}

_holds("pattern", limit, value) if {
	is_string(value)
	regex.match(limit, value)
}

_holds("min_length", limit, value) if {
	is_string(value)
	count(value) >= limit
}

_holds("max_length", limit, value) if {
	is_string(value)
	count(value) <= limit
}

# A rule for items is compiled to JSON Schema: rules nest, and functions of Rego may not.
_holds("items", limit, value) if {
	is_array(value)
	json.match_schema({"items": value}, limit)[0]
}

_holds("min_items", limit, value) if {
	is_array(value)
	count(value) >= limit
}

_holds("max_items", limit, value) if {
	is_array(value)
	count(value) <= limit
}

# OPA computes fractions in binary with 64 bits. Decimals are therefore told as whole numbers, which it computes
# exactly. A quotient of at most 18 digits is written as the decimal that it is, so it proves that nothing was
# rounded; a number with more digits is undefined.
_whole(number, tens) := whole if {
	whole := round(number * tens)
	abs(whole) <= 1000000000000000000
	whole / tens == number
}

# The smallest power of ten that makes the number whole.
_tens_of(number) := [tens | some tens in _tens; _whole(number, tens)][0]

_tens := [
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
	1000000000000, 10000000000000, 100000000000000, 1000000000000000,
]

_is_priced(call, granted) if {
	not granted.price
	call.spend == null
}

_is_priced(call, granted) if {
	price := granted.price
	_costs(price.kind, price, call)
	object.get(price, "currency", data.gateway.policy.currency) == call.spend.currency
}

_costs("fixed", price, call) if price.fixed_cents == call.spend.amount_cents

_costs("argument", price, call) if {
	_number(call, price.argument) == call.spend.amount_cents / price.minor_units
}

_costs("per_unit", price, call) if {
	units := _number(call, price.argument)
	tens := _tens_of(units)
	_whole(units, tens) * price.per_unit_cents == call.spend.amount_cents * tens
}

# A call is metered for max_seconds at most. What a part of the rate's seconds comes to is rounded up.
_costs("metered", price, call) if {
	whole := price.rate_cents * price.max_seconds
	call.spend.amount_cents * price.rate_seconds >= whole
	(call.spend.amount_cents - 1) * price.rate_seconds < whole
}

_number(call, path) := value if {
	value := object.get(call.action.arguments, split(path, "."), null)
	is_number(value)
}

_prices_of(role) := {
	"tools": {name: object.get(granted, "price", null) | some name, granted in role.tools},
	"patterns": [entry |
		some pattern in role.patterns
		entry := {"glob": pattern.glob, "price": object.get(pattern.grant, "price", null)}
	],
} if {
	some pattern in role.patterns
	pattern.grant.price
} else := {
	"tools": {name: granted.price | some name, granted in role.tools},
	"patterns": [],
}
