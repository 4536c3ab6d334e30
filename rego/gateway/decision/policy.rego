# METADATA
# title: Decision
# description: |
#   The answer to every call: the only entrypoint. A call is allowed when all positive facts about it hold and
#   nobody has to be asked; whatever an input lacks is a fact that does not hold. The refusals say which.
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
	"allow": _allow,
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
	not _is_active_version
	reason := {
		"code": "policy_version_inactive",
		"message": sprintf("policy version %v is not active", [input.context.policy_version]),
	}
}

_is_active_version if {
	object.get(input, ["context", "policy_version"], null) in {null, data.gateway.policy.version}
}

_is_permitted if {
	tools.permitted
	spend.call_permitted
	_is_active_version
}

_is_permitted if {
	spend.request_permitted
	_is_active_version
}

default _allow := false

_allow if {
	_is_permitted
	spend.approvals == []
}

# A person is asked only for what nothing else refuses.
_reasons := spend.approval_reasons if {
	_is_permitted
} else := _refusals

_refusals := [reason | some reason in ((tools.refusals | spend.refusals) | version_refusals)] if {
	count(((tools.refusals | spend.refusals) | version_refusals)) > 0
} else := [{"code": "tool_not_allowed", "message": "the call cannot be judged"}]

_obligations := {
	"approval": _approval,
	"hold": _hold,
	"redact": [],
	"rate_limit": object.get(data.gateway.roles, [input.principal.role, "rate_limit"], {}),
} if {
	_is_permitted
} else := {"approval": {}, "hold": {}, "redact": [], "rate_limit": {}}

default _approval := {}

_approval := spend.approvals[0]

default _hold := {}

_hold := spend.hold
