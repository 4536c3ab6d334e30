package system.authz_test

import data.system.authz

tokens := {crypto.sha256("g"): "gateway", crypto.sha256("o"): "operator", crypto.sha256("c"): "control"}

may(token, method, path) if {
	authz.allow with input as {"identity": token, "method": method, "path": split(path, "/")}
		with data.system.tokens as tokens
}

test_health_is_open if {
	authz.allow with input as {"method": "GET", "path": ["health"]}
	not authz.allow with input as {"method": "POST", "path": ["health"]}
}

test_the_gateway_has_two_paths if {
	may("g", "POST", "v0/data/gateway/decision/batch")
	may("g", "POST", "v0/data/gateway/tools/prices")
	not may("g", "POST", "v1/data/gateway/decision/batch")
	not may("g", "GET", "v0/data/gateway/decision/batch")
	not may("g", "PUT", "v0/data/gateway/decision/batch")
	not may("g", "POST", "v0/data/gateway/decision/batch/x")
	not may("g", "POST", "v1/data/system/tokens")
	not may("g", "POST", "v1/data")
	not may("g", "POST", "v1/query")
	not may("g", "PUT", "v1/policies/x")
}

test_control_asks_about_events_alone if {
	may("c", "POST", "v0/data/compliance/cases/batch")
	not may("c", "POST", "v1/data/compliance/cases/batch")
	not may("c", "GET", "v0/data/compliance/cases/batch")
	not may("c", "POST", "v0/data/compliance/cases")
	not may("c", "POST", "v0/data/gateway/decision/batch")
	not may("c", "PUT", "v1/policies/x")
	not may("g", "POST", "v0/data/compliance/cases/batch")
}

test_the_operator_reads_and_puts if {
	may("o", "GET", "v1/data/gateway/roles")
	may("o", "POST", "v1/query")
	may("o", "PUT", "v1/policies/x")
	may("o", "PATCH", "v1/data/gateway/roles")
}

test_nobody_changes_the_rights if {
	not may("o", "PUT", "v1/data/system/tokens")
	not may("o", "PATCH", "v1/data")
	not may("o", "DELETE", "v1/data/system")
}

test_strangers_get_nothing if {
	not may("x", "GET", "v1/data/gateway/roles")
	not may("", "POST", "v0/data/gateway/decision/batch")
	not authz.allow with input as {"method": "POST", "path": ["v1", "data", "gateway", "decision", "batch"]}
		with data.system.tokens as tokens
	not authz.allow with input as {"identity": "g", "path": ["v1", "data", "gateway", "decision", "batch"]}
		with data.system.tokens as tokens
	not authz.allow with input as {"identity": "o", "path": ["v1", "data", "system"]}
		with data.system.tokens as tokens
	not authz.allow with input as {"identity": "o", "method": "GET"} with data.system.tokens as {}
}
