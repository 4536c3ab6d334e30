# METADATA
# title: Decision
# description: |
#   The answer to every call: the only entrypoint. A call is allowed when all positive facts about it hold and
#   nobody has to be asked; whatever an input lacks is a fact that does not hold. The refusals say which.
#
#   Both questions are one function: of `input` for one call, of each member of `input.calls` for many.
# schemas:
#   - input: schema
package gateway.decision

import data.gateway.spend
import data.gateway.tools

# METADATA
# title: Decision
# description: Whether the call may go on, why not, and what the gateway must do if it does.
# entrypoint: true
decision := _verdict(input) if {
	input
} else := _verdict(null)

# METADATA
# title: Batch
# description: The decisions for `input.calls`, in their order.
# schemas:
#   - input: {type: object, properties: {calls: {type: array}}}
batch := [_verdict(call) | some call in input.calls]

# METADATA
# title: Version refusals
# description: A call that names a version of the policy is judged by that version or not at all.
# custom:
#   code: policy_version_inactive
version_refusals contains reason if {
	not _is_active_version(input)
	reason := {
		"code": "policy_version_inactive",
		"message": sprintf("policy version %v is not active", [input.context.policy_version]),
	}
}

# In this order: most calls are free; what is refused anyway asks nobody; a person is asked for the rest.
_verdict(call) := {
	"allow": true,
	"reasons": [],
	"obligations": _obligations(call, {}, {}),
	"policy": _policy,
} if {
	tools.permitted(call)
	spend.is_free(call)
	_is_active_version(call)
} else := {
	"allow": false,
	"reasons": _refusals(call),
	"obligations": _obligations(call, {}, {}),
	"policy": _policy,
} if {
	not _is_permitted(call)
} else := {
	"allow": true,
	"reasons": [],
	"obligations": _obligations(call, {}, _hold(call)),
	"policy": _policy,
} if {
	_is_permitted(call)
	spend.approvals(call) == []
} else := {
	"allow": false,
	"reasons": spend.approval_reasons(call),
	"obligations": _obligations(call, spend.approvals(call)[0], _hold(call)),
	"policy": _policy,
}

_obligations(call, approval, held) := {
	"approval": approval,
	"hold": held,
	"redact": [],
	"rate_limit": _rate_limit(call),
}

# Refused calls count too: whoever tries what it may not is no less limited.
default _rate_limit(_) := {}

_rate_limit(call) := data.gateway.roles[call.principal.role].rate_limit

_is_permitted(call) if {
	tools.permitted(call)
	spend.call_permitted(call)
	_is_active_version(call)
}

_is_permitted(call) if {
	spend.request_permitted(call)
	_is_active_version(call)
}

_is_active_version(call) if object.get(call, ["context", "policy_version"], null) == null

_is_active_version(call) if call.context.policy_version == data.gateway.policy.version

_refusals(call) := [reason | some reason in found] if {
	found := (tools.refusals | spend.refusals) | version_refusals with input as call
	count(found) > 0
} else := [{"code": "tool_not_allowed", "message": "the call cannot be judged"}]

default _hold(_) := {}

_hold(call) := spend.hold(call)

_policy := {
	"version": data.gateway.policy.version,
	"revision": data.gateway.policy.revision,
}
