package gateway.tools_test

import data.gateway.tools

called(name, arguments) := {
	"principal": {"id": "scout", "role": "executor", "tenant": "acme"},
	"action": {"kind": "tool_call", "name": name, "arguments": arguments},
	"resource": {"server": "", "content": "json"},
	"spend": null,
}

costing(document, amount_cents) := object.union(document, {"spend": {
	"amount_cents": amount_cents,
	"currency": "USD",
	"purpose": "tool_call",
	"payee": "",
}})

reasons(document) := [found |
	refusals := tools.refusals with input as document
	agrees(document, refusals)
	found := {reason | some refusal in refusals; reason := {refusal.code: refusal.message}}
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

permits(document) if tools.permitted(document)

codes(document) := {code | some reason in reasons(document); some code, _ in reason}

ruled(rule, value) := [found |
	grant := {"arguments": {"x": rule}, "additional_arguments": false}
	roles := {"executor": {"tools": {"t.t": grant}, "patterns": []}}
	found := codes(called("t.t", {"x": value})) with data.gateway.roles as roles
][0]

# METADATA
# description: Rule, a value that keeps it, values that break it.
cases := [
	{"rule": {"type": "string"}, "keeps": "x", "breaks": [1, true, null, [], {}]},
	{"rule": {"type": "number"}, "keeps": 0.5, "breaks": ["1", true, null]},
	{"rule": {"type": "integer"}, "keeps": 5, "breaks": [0.5, "5", true, 5.00000000000000000000000001]},
	{"rule": {"type": "boolean"}, "keeps": false, "breaks": [0, "false", null]},
	{"rule": {"type": "array"}, "keeps": [], "breaks": [{}, "[]", null]},
	{"rule": {"type": "object"}, "keeps": {}, "breaks": [[], "{}", null]},
	{"rule": {"enum": ["a", 1]}, "keeps": 1, "breaks": ["b", "1", null]},
	{"rule": {"const": null}, "keeps": null, "breaks": [false, 0, ""]},
	{"rule": {"const": true}, "keeps": true, "breaks": [false, 1, "true"]},
	{"rule": {"minimum": 0.01}, "keeps": 0.01, "breaks": [0.00999999999999999999999999, -1, "1", null, []]},
	{"rule": {"maximum": 500}, "keeps": 500, "breaks": [500.0000000000000000000000001, "1", null, true]},
	{"rule": {"multiple_of": 0.05}, "keeps": 19.95, "breaks": [0.01, 19.95000000000000000000001, "1", null]},
	{"rule": {"multiple_of": 0.01}, "keeps": 8.29, "breaks": [8.295, 8.2900000000000000001]},
	{"rule": {"multiple_of": 1e-7}, "keeps": 3e-7, "breaks": [3e-8, 1e-16]},
	{"rule": {"multiple_of": 3}, "keeps": 999999999999999999, "breaks": [1000000000000000000, 3e18, 4.5]},
	{"rule": {"multiple_of": 0.25}, "keeps": -0.75, "breaks": [0.7, true]},
	{"rule": {"pattern": "^A[0-9]+$"}, "keeps": "A1", "breaks": ["xA1", "A1\n", 1, null]},
	{"rule": {"min_length": 2}, "keeps": "éé", "breaks": ["é", [1, 2], 22]},
	{"rule": {"max_length": 2}, "keeps": "éé", "breaks": ["eee", [], 1]},
	{"rule": {"min_items": 1}, "keeps": [1], "breaks": [[], "x", {"a": 1}]},
	{"rule": {"max_items": 1}, "keeps": [1], "breaks": [[1, 2], "", {}]},
	{
		"rule": {"items": {"type": "object", "properties": {"items": {"items": {"maximum": 2}}}}},
		"keeps": [1, 2],
		"breaks": [[3], "x", {}],
	},
]

test_every_word_of_a_rule if {
	every case in cases {
		every value in case.breaks {
			ruled(case.rule, value) == {"argument_refused"}
		}
	}
}

test_a_limit_that_cannot_be_computed_with_refuses if {
	every limit in [0, 1e-16, 123456789012345678.9, "0.05", null] {
		ruled({"multiple_of": limit}, 0) == {"argument_refused"}
	}
}

test_rules_that_are_no_object_refuse if {
	grant := {"arguments": 5, "additional_arguments": true}
	roles := {"executor": {"tools": {"t.t": grant}, "patterns": []}}
	not tools.permitted(called("t.t", {})) with data.gateway.roles as roles
}

test_what_is_given_may_be_null_or_false if {
	every value in [null, false, 0, ""] {
		ruled({"enum": [null, false, 0, ""]}, value) == set()
	}
}

test_what_keeps_a_rule_is_allowed if {
	every case in cases {
		ruled(case.rule, case.keeps) == set()
	}
}

test_a_pattern_that_is_none_refuses if ruled({"pattern": "("}, "(") == {"argument_refused"}

test_an_exact_name_comes_before_patterns if {
	grant := tools.grant(called("search.flights", {}))
		with data.gateway.roles.executor.tools as {"search.flights": {"approval": "executive"}}
	grant.approval == "executive"
}

test_a_star_stands_for_any_remainder if {
	every name in ["search.x", "search.", "search.GET /a/b.c?d"] {
		codes(called(name, {})) == set()
	}
	every name in ["search", "searchx.y", "xsearch.y", "maps.GET /tile", "maps.POST /tiles/1", "Search.x"] {
		codes(called(name, {})) == {"tool_not_allowed"}
	}
}

test_another_role_has_other_tools if {
	codes(called("approve_spend", {})) == {"tool_not_allowed"}
}

test_other_kinds_of_action_are_not_tool_calls if {
	every kind in ["tool_list", "llm", "egress", "task", "", null] {
		document := object.union(called("bank.get_balance", {}), {"action": {"kind": kind}})
		codes(document) == {"tool_not_allowed"}
	}
}

test_a_spend_request_is_not_judged_here if {
	document := object.union(called("treasury.void", {}), {"action": {"kind": "spend"}})
	refusals := tools.refusals with input as document
	refusals == set()
	not permits(document)
}

test_arguments_of_a_bare_tool_are_free if {
	codes(called("bank.get_balance", {"any": [1]})) == set()
}

test_arguments_that_keep_their_rules if {
	codes(costing(called("bank.send_money", {"amount": 5, "account": "ACC-1"}), 500)) == set()
}

test_an_optional_argument_may_be_given if {
	arguments := {"amount": 5, "account": "ACC-1", "memo": "thanks"}
	codes(costing(called("bank.send_money", arguments), 500)) == set()
}

test_a_missing_argument_is_named if {
	reasons(costing(called("bank.send_money", {"amount": 5}), 500)) == {{"argument_refused": "argument account is missing"}}
}

test_the_broken_limit_is_named if {
	reasons(costing(called("bank.send_money", {"amount": 501, "account": "ACC-1"}), 50100)) == {{"argument_refused": "argument amount breaks its rule maximum: 500"}}
}

test_an_argument_that_is_not_named_is_refused if {
	reasons(costing(called("bank.send_money", {"amount": 5, "account": "ACC-1", "to": 1}), 500)) == {{"argument_refused": "argument to is not named by the policy"}}
}

test_a_body_that_nobody_read_is_refused_where_arguments_have_rules if {
	document := costing(called("bank.send_money", {"amount": 5}), 500)
	unread := "the body was not read, since its Content-Type is not application/json"
	reasons(object.union(document, {"resource": {"content": "opaque"}})) == {{"argument_refused": unread}}
	reasons(json.patch(document, [{"op": "remove", "path": "/resource"}])) == {{"argument_refused": "the arguments could not be read"}}
	codes(object.union(called("bank.get_balance", {}), {"resource": {"content": "opaque"}})) == set()
}

test_a_price_must_be_told if {
	paid := called("bank.send_money", {"amount": 5.5, "account": "ACC-1"})
	codes(costing(paid, 550)) == set()
	codes(paid) == {"call_unpriceable"}
	codes(costing(paid, 551)) == {"call_unpriceable"}
	codes(object.union(costing(paid, 550), {"spend": {"currency": "EUR"}})) == {"call_unpriceable"}
}

test_fixed_prices if {
	codes(costing(called("print.poster", {}), 700)) == set()
	codes(costing(called("print.poster", {}), 699)) == {"call_unpriceable"}
	codes(costing(called("maps.GET /tiles/1/2", {}), 5)) == set()
}

test_unit_prices if {
	codes(costing(called("print.pages", {"job": {"pages": 7}}), 14)) == set()
	codes(costing(called("print.pages", {"job": {"pages": 8}}), 14)) == {"call_unpriceable"}
	codes(costing(called("print.pages", {"job": {"pages": "7"}}), 14)) == {"call_unpriceable"}
	codes(costing(called("print.pages", {"job": {}}), 14)) == {"call_unpriceable"}
	codes(costing(called("print.pages", {"job": {"pages": 2.5}}), 5)) == set()
	codes(costing(called("print.pages", {"job": {"pages": 2.5000000000000000001}}), 5)) == {"call_unpriceable"}
}

test_metered_prices_are_those_of_their_longest_time if {
	codes(costing(called("gpu.run", {}), 1200)) == set()
	codes(costing(called("gpu.run", {}), 1199)) == {"call_unpriceable"}
	codes(costing(called("gpu.run", {}), 1201)) == {"call_unpriceable"}
	codes(called("gpu.run", {})) == {"call_unpriceable"}
	codes(object.union(costing(called("gpu.run", {}), 1200), {"spend": {"currency": "EUR"}})) == {"call_unpriceable"}
}

test_the_part_of_a_minute_is_rounded_up_once if {
	codes(costing(called("voice.POST /calls", {}), 5)) == set()
	codes(costing(called("voice.POST /calls", {}), 4)) == {"call_unpriceable"}
	codes(costing(called("voice.POST /calls", {}), 6)) == {"call_unpriceable"}
}

test_a_metered_price_that_lacks_a_word_is_none if {
	price := {"kind": "metered", "rate_cents": 2, "rate_seconds": 1, "max_seconds": 600}
	every word in ["rate_cents", "rate_seconds", "max_seconds"] {
		granted := {"price": object.remove(price, [word]), "additional_arguments": true}
		roles := {"executor": {"tools": {"t.t": granted}, "patterns": []}}
		codes(costing(called("t.t", {}), 1200)) == {"call_unpriceable"} with data.gateway.roles as roles
	}
}

test_a_free_tool_costs_nothing if {
	codes(costing(called("bank.get_balance", {}), 5)) == {"call_unpriceable"}
}

test_the_table_of_prices if {
	tools.prices.revision == data.gateway.policy.revision
	tools.prices.currency == "USD"
	tools.prices.roles.executor.tools["bank.get_balance"] == null
	tools.prices.roles.executor.tools["print.poster"].fixed_cents == 700
	[entry.price | some entry in tools.prices.roles.executor.patterns][0] == null
	tools.prices.roles.executor.patterns[1].price.fixed_cents == 5
	object.keys(tools.prices.roles.executive.tools) == {"print.poster"}
	tools.prices.roles.executive.patterns == []
}

test_additional_arguments_are_free_where_the_grant_says_so if {
	grant := {"arguments": {"x": {"type": "string"}}, "additional_arguments": true}
	roles := {"executor": {"tools": {"t.t": grant}, "patterns": []}}
	found := codes(called("t.t", {"x": "y", "more": [1]})) with data.gateway.roles as roles
	found == set()
}
