# METADATA
# title: Who may ask OPA what
# description: |
#   OPA asks this before it answers any request, on the port and on the Unix socket. A bearer token is known
#   by its SHA-256 in `data.system.tokens`, which gives it an identity; each identity has its own few paths.
# schemas:
#   - input: {type: object, properties: {path: {type: array, items: {type: string}}, method: {type: string}, identity: {type: string}}}
package system.authz

# METADATA
# title: Allow
# description: Health is open; everything else needs a token with the right to it.
default allow := false

allow if {
	input.path[0] == "health"
	input.method == "GET"
}

allow if {
	_identity == "gateway"
	input.method == "POST"
	input.path in {
		["v0", "data", "gateway", "decision", "batch"],
		["v0", "data", "gateway", "tools", "prices"],
	}
}

allow if {
	_identity == "control"
	input.method == "POST"
	input.path == ["v0", "data", "compliance", "cases", "batch"]
}

allow if {
	_identity == "operator"
	not _changes_rights
}

_identity := data.system.tokens[crypto.sha256(input.identity)]

# Nobody may put rights for themselves: tokens and this package come with the bundle alone.
_changes_rights if {
	not _asks
	not _is_of_gateway
}

_asks if input.method in {"GET", "POST"}

_is_of_gateway if array.slice(input.path, 0, 3) in {["v1", "data", "gateway"]}

_is_of_gateway if array.slice(input.path, 0, 2) in {["v1", "policies"]}
