# METADATA
# title: Which events open a case
# description: |
#   Asked by control about every event of the stream. What an event shows alone is in `input.event`; what
#   control has counted or looked up for it is in `input.facts`; the limits are control's settings. A case is one for
#   its kind and subject: further violations add their evidence while it is open.
# schemas:
#   - input:
#       type: object
#       properties:
#         event:
#           type: object
#           properties:
#             event_type: {type: string}
#             workflow_id: {type: string}
#             payload:
#               type: object
#               properties: {hold_id: {type: string}, principal: {}}
#         facts:
#           type: object
#           properties:
#             agent: {type: string}
#             action: {type: string}
#             code: {type: string}
#             refusals: {type: object, additionalProperties: {type: integer}}
#             unknown_age_s: {type: number}
#         limits:
#           type: object
#           properties:
#             refusals_max: {type: integer}
#             refusals_window_s: {type: integer}
#             unknown_age_s_max: {type: integer}
#         observations: {type: array, items: {type: object}}
package compliance.cases

# METADATA
# title: Violations of many events
# description: For each observation (event, facts, limits) the list of its violations, in order.
# entrypoint: true
batch := [found |
	some observation in input.observations
	found := violations with input as observation
]

# METADATA
# title: Execution without authorization
# description: Somebody tried to spend what nobody authorized.
violations contains violation if {
	_executes
	input.facts.code == "no_authorization_record"
	violation := {
		"kind": "execution_without_authorization",
		"subject": sprintf("workflow/%s/agent/%s", [input.event.workflow_id, input.facts.agent]),
		"agent": input.facts.agent,
		"message": sprintf("%s tried to execute a spend that nobody authorized", [input.facts.agent]),
		"codes": [],
	}
}

# METADATA
# title: Execution above its ceiling
# description: Somebody tried to spend more than was authorized.
violations contains violation if {
	_executes
	input.facts.code == "spend_exceeds_ceiling"
	violation := {
		"kind": "execution_above_ceiling",
		"subject": sprintf("workflow/%s/agent/%s", [input.event.workflow_id, input.facts.agent]),
		"agent": input.facts.agent,
		"message": sprintf("%s tried to execute more than was authorized", [input.facts.agent]),
		"codes": [],
	}
}

# METADATA
# title: Refused too often
# description: |
#   One agent was refused as often as the limit within its window. Waiting for a person and what our own side could not
#   do are no fault of the agent.
violations contains violation if {
	not input.facts.code in _no_fault
	counted := {code: count | some code, count in input.facts.refusals; not code in _no_fault}
	refused := sum([count | some count in counted])
	refused >= input.limits.refusals_max
	violation := {
		"kind": "refused_too_often",
		"subject": sprintf("agent/%s", [input.facts.agent]),
		"agent": input.facts.agent,
		"message": sprintf(
			"%s was refused %d times within %d s",
			[input.facts.agent, refused, input.limits.refusals_window_s],
		),
		"codes": sort(object.keys(counted)),
	}
}

# METADATA
# title: Outcome unknown for too long
# description: Nobody has settled the hold of a call whose outcome is unknown.
violations contains violation if {
	input.event.event_type == "treasury.hold_unknown"
	input.facts.unknown_age_s > input.limits.unknown_age_s_max
	violation := {
		"kind": "hold_unknown_too_long",
		"subject": sprintf("hold/%s", [input.event.payload.hold_id]),
		"agent": input.event.payload.principal,
		"message": sprintf("nobody knows for %d s whether the tool acted", [floor(input.facts.unknown_age_s)]),
		"codes": [],
	}
}

_executes if {
	input.event.event_type in {"gateway.decided", "gateway.completed"}
	input.facts.action == "treasury.execute"
}

_no_fault := {
	"approval_required",
	"authorization_not_approved",
	"control_unavailable",
	"idempotency_in_flight",
	"internal",
	"journal_unavailable",
	"overloaded",
	"policy_unavailable",
	"treasury_unavailable",
	"upstream_invalid",
	"upstream_timeout",
	"upstream_unreachable",
}
