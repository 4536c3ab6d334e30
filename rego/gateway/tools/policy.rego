# METADATA
# title: Tools
# description: |
#   Which tool a role may call, with which arguments, at what price. An exact name comes before patterns, the
#   first pattern that matches before later ones. In a pattern `*` stands for any characters, also for none
#   and for slashes and points.
# schemas:
#   - input: schema
package gateway.tools

# METADATA
# title: Grant
# description: What the role may do with this tool; undefined where it has none.
grant := _role.tools[input.action.name] if {
	input.action.kind == "tool_call"
} else := _matching[0] if {
	input.action.kind == "tool_call"
}

# METADATA
# title: Permitted
# description: The role has a grant, the arguments keep its rules and the price is told. The refusals say why not.
permitted if {
	grant
	_arguments_hold
	_is_priced
}

# METADATA
# title: Tool refusals
# description: The role has no grant for this tool.
# custom:
#   code: tool_not_allowed
refusals contains reason if {
	not grant
	not _is_spend_request
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
	some name, rule in grant.arguments
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
	grant.arguments
	not grant.additional_arguments
	some name, _ in input.action.arguments
	not name in object.keys(grant.arguments)
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
	grant.arguments
	not _were_read
	reason := {
		"code": "argument_refused",
		"message": "the arguments could not be read",
	}
}

# METADATA
# title: Price refusals
# description: What the call costs is not what its price says.
# custom:
#   code: call_unpriceable
refusals contains reason if {
	grant
	not _is_priced
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

_role := data.gateway.roles[input.principal.role]

_matching := [pattern.grant |
	some pattern in _role.patterns
	glob.match(pattern.glob, null, input.action.name)
]

_is_spend_request if input.action.kind == "spend"

_arguments_hold if not grant.arguments

_arguments_hold if {
	_were_read
	_all_are_given
	_all_are_named
	not _one_breaks_its_rule
}

_all_are_given if {
	every name in object.keys(grant.arguments) - object.keys(input.action.arguments) {
		grant.arguments[name].required == false
	}
}

_all_are_named if grant.additional_arguments

_all_are_named if object.keys(input.action.arguments) - object.keys(grant.arguments) == set()

_one_breaks_its_rule if {
	some name, rule in grant.arguments
	value := input.action.arguments[name]
	some word, limit in rule
	not _holds(word, limit, value)
}

_were_read if {
	input.resource.content in {"json", "none"}
	is_object(input.action.arguments)
}

_broken(name, rule) := {"is missing"} if {
	not _is_given(name)
	not rule.required == false
} else := {sprintf("breaks its rule %v: %v", [word, limit]) |
	_is_given(name)
	some word, limit in rule
	not _holds(word, limit, input.action.arguments[name])
}

_is_given(name) if name in object.keys(input.action.arguments)

_holds("required", _, _)

_holds("type", "string", value) if is_string(value)

_holds("type", "number", value) if is_number(value)

_holds("type", "integer", value) if {
	is_number(value)
	floor(value) == value
}

_holds("type", "boolean", value) if is_boolean(value)

_holds("type", "array", value) if is_array(value)

_holds("type", "object", value) if is_object(value)

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
	limit * round(value / limit) == value
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

_is_priced if {
	not grant.price
	_names_no_spend
}

_is_priced if {
	_amount_cents(grant.price) == input.spend.amount_cents
	_currency(grant.price) == input.spend.currency
}

_names_no_spend if input.spend == null

_currency(price) := object.get(price, "currency", data.gateway.policy.currency)

_amount_cents(price) := price.fixed_cents if price.kind == "fixed"

_amount_cents(price) := input.spend.amount_cents if {
	price.kind == "argument"
	_argument(price) == input.spend.amount_cents / price.minor_units
}

_amount_cents(price) := input.spend.amount_cents if {
	price.kind == "per_unit"
	_argument(price) == input.spend.amount_cents / price.per_unit_cents
}

_argument(price) := value if {
	value := object.get(input.action.arguments, split(price.argument, "."), null)
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
