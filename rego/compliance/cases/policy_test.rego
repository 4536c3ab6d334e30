package compliance.cases_test

import data.compliance.cases

limits := {"refusals_max": 20, "refusals_window_s": 60, "unknown_age_s_max": 900}

observed(event_type, facts) := {
	"event": {"event_type": event_type, "workflow_id": "w-1", "payload": {"hold_id": "h-1", "principal": "scout"}},
	"facts": object.union({"agent": "scout"}, facts),
	"limits": limits,
}

kinds(observation) := {violation.kind | some violation in cases.violations with input as observation}

refused(action, code) := observed("gateway.decided", {"action": action, "code": code, "refusals": {code: 1}})

test_a_clean_flow_opens_nothing if {
	every event_type in [
		"treasury.intent_created", "treasury.authorized", "treasury.executed", "treasury.voided",
		"treasury.hold_unknown", "gateway.decided", "gateway.completed", "compliance.case_opened",
	] {
		kinds(observed(event_type, {})) == set()
		kinds(observed(event_type, {"action": "treasury.execute", "refusals": {}, "unknown_age_s": 0})) == set()
	}
	kinds(refused("bank.send_money", "spend_exceeds_ceiling")) == set()
	kinds(refused("treasury.authorize", "spend_exceeds_ceiling")) == set()
}

test_an_execution_without_authorization if {
	every event_type in ["gateway.decided", "gateway.completed"] {
		observation := observed(event_type, {"action": "treasury.execute", "code": "no_authorization_record"})
		some violation in cases.violations with input as observation
		violation == {
			"kind": "execution_without_authorization",
			"subject": "workflow/w-1/agent/scout",
			"agent": "scout",
			"message": "scout tried to execute a spend that nobody authorized",
			"codes": [],
		}
	}
	kinds(refused("treasury.authorize", "no_authorization_record")) == set()
	kinds(refused("treasury.execute", "authorization_not_approved")) == set()
	kinds(observed("agent.action", {"action": "treasury.execute", "code": "no_authorization_record"})) == set()
}

test_an_execution_above_its_ceiling if {
	kinds(refused("treasury.execute", "spend_exceeds_ceiling")) == {"execution_above_ceiling"}
	some violation in cases.violations with input as refused("treasury.execute", "spend_exceeds_ceiling")
	violation.subject == "workflow/w-1/agent/scout"
}

counted(refusals) := observed("gateway.decided", {"action": "a.b", "code": "tool_not_allowed", "refusals": refusals})

test_refused_too_often if {
	kinds(counted({"tool_not_allowed": 20})) == {"refused_too_often"}
	kinds(counted({"tool_not_allowed": 19})) == set()
	kinds(counted({"tool_not_allowed": 19, "approval_required": 50})) == set()
	some violation in cases.violations with input as counted({"tool_not_allowed": 15, "rate_limited": 6})
	violation == {
		"kind": "refused_too_often",
		"subject": "agent/scout",
		"agent": "scout",
		"message": "scout was refused 21 times within 60 s",
		"codes": ["rate_limited", "tool_not_allowed"],
	}
}

test_what_is_no_fault_of_the_agent_is_not_counted if {
	every code in ["approval_required", "policy_unavailable", "upstream_timeout"] {
		kinds(observed("gateway.decided", {"code": code, "refusals": {code: 500, "tool_not_allowed": 30}})) == set()
	}
}

unknown(age_s) := observed("treasury.hold_unknown", {"unknown_age_s": age_s})

test_an_outcome_unknown_for_too_long if {
	kinds(unknown(900)) == set()
	some violation in cases.violations with input as unknown(900.5)
	violation.kind == "hold_unknown_too_long"
	violation.subject == "hold/h-1"
	violation.agent == "scout"
	kinds(observed("treasury.authorized", {"unknown_age_s": 901})) == set()
}

test_missing_fields_open_nothing if {
	kinds({}) == set()
	kinds({"event": {"event_type": "gateway.decided"}}) == set()
	kinds(object.remove(counted({"tool_not_allowed": 99}), ["limits"])) == set()
	kinds(object.remove(unknown(901), ["limits"])) == set()
	kinds({"event": {"event_type": "treasury.hold_unknown"}, "facts": {}, "limits": limits}) == set()
}

test_many_are_judged_in_order if {
	some_found := cases.batch with input as {"observations": [
		counted({}),
		refused("treasury.execute", "no_authorization_record"),
		unknown(901),
	]}
	[count(found) | some found in some_found] == [0, 1, 1]
}
