# METADATA
# title: Decision
# description: |
#   The answer to every call: the only entrypoint. A call is allowed when no package refuses it and nobody has
#   to be asked. Refusals are negations of positive facts, so that an input that lacks something is refused.
# schemas:
#   - input: schema
package gateway.decision

import data.gateway.spend
import data.gateway.tools

# METADATA
# title: Decision
# description: Whether the call may go on, why not, and what the gateway must do if it does.
# entrypoint: true
decision := {
	"allow": _reasons == [],
	"reasons": _reasons,
	"obligations": _obligations,
	"policy": {
		"version": data.gateway.policy.version,
		"revision": data.gateway.policy.revision,
	},
}

# METADATA
# title: Batch
# description: The decisions for `input.calls`, in their order.
# schemas:
#   - input: {type: object, properties: {calls: {type: array}}}
batch := [answer |
	some call in input.calls
	answer := decision with input as call
]

# METADATA
# title: Version refusals
# description: A call that names a version of the policy is judged by that version or not at all.
# custom:
#   code: policy_version_inactive
version_refusals contains reason if {
	input.context.policy_version != null
	not _is_active_version
	reason := {
		"code": "policy_version_inactive",
		"message": sprintf("policy version %v is not active", [input.context.policy_version]),
	}
}

_is_active_version if input.context.policy_version == data.gateway.policy.version

_refusals := tools.refusals | version_refusals if {
	not spend.moves_money
	not spend.is_request
} else := (tools.refusals | spend.refusals) | version_refusals

# A person is asked only for what nothing else refuses.
_approval := spend.approvals[0] if {
	count(_refusals) == 0
} else := {}

_reasons := spend.approval_reasons if {
	count(_refusals) == 0
} else := [reason | some reason in _refusals]

_obligations := {
	"approval": _approval,
	"hold": _hold,
	"redact": [],
	"rate_limit": object.get(data.gateway.roles, [input.principal.role, "rate_limit"], {}),
} if {
	count(_refusals) == 0
} else := {"approval": {}, "hold": {}, "redact": [], "rate_limit": {}}

_hold := spend.hold if {
	spend.moves_money
} else := {}
