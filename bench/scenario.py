"""What is measured: one agent posts distinct JSON bodies to one HTTP tool, and policy looks into each.

The tool takes an account and an amount; the role's rule checks both. Around it the role has as many other
tools as a busy team would. Envoy and its peers ask OPA the same Rego about the same input document: there it
is the body of the request itself, since Envoy's HTTP check passes nothing else on, so Envoy is spared the
work of knowing the caller.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

AGENT: Final = "scout"
KEY: Final = "bench-key-of-scout"
ROLE: Final = "executor"
TENANT: Final = "acme"
SERVER: Final = "shop"
PATH: Final = "/v1/payments"
OTHER_TOOLS: Final = 50

_RULE: Final = {
    "arguments": {
        "account": {"pattern": "^ACC-[0-9]+$"},
        "amount": {"type": "number", "maximum": 500},
    },
    "additional_arguments": False,
    "redact": [],
}
_ENVOY_REGO: Final = """package bench

import data.gateway.decision

allow.call if decision.decision.allow == true

grpc if {
	judged := decision.decision with input as input.parsed_body
	judged.allow == true
}
"""

_LUA: Final = """
local count = 0
local thread_number = 0
function setup(thread)
  thread:set("number", thread_number)
  thread_number = thread_number + 1
end
function request()
  count = count + 1
  local body = string.format([==[%s]==], number * 100000000 + count, count %% 500)
  return wrk.format("POST", %s, headers, body)
end
function init(args)
  headers = {%s}
end
"""


def bundle(folder: Path, rego: Path) -> Path:
    """The shipped Rego with the bench's role, and beside it the rule that Envoy asks for."""
    target = folder / "policy"
    for source in rego.rglob("*.rego"):
        if not source.name.endswith("_test.rego") and "system" not in source.parts:
            copy = target / source.relative_to(rego)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text())
    tools = {f"{SERVER}.POST {PATH}": _RULE}
    tools |= {f"{SERVER}.POST /v1/other-{number}": _RULE for number in range(OTHER_TOOLS)}
    data = {
        "gateway": {
            "policy": {"version": "1.0", "revision": "0" * 64, "currency": "USD"},
            "roles": {ROLE: {"tools": tools, "patterns": [], "redact": []}},
            "spend": {"rules": []},
        }
    }
    (target / "data.json").write_text(json.dumps(data))
    (target / "bench.rego").write_text(_ENVOY_REGO)
    return target


def registry(folder: Path, upstream_port: int) -> Path:
    """The gateway's registry: one agent, one tool server."""
    path = folder / "registry.json"
    key = hashlib.sha256(KEY.encode()).hexdigest()
    document = {
        "tenant": TENANT,
        "servers": {SERVER: {"kind": "http", "url": f"http://127.0.0.1:{upstream_port}"}},
        "keys": {key: {"agent": AGENT, "role": ROLE, "tenant": TENANT}},
    }
    path.write_text(json.dumps(document))
    return path


def call_script(folder: Path) -> Path:
    """wrk's script for the gateway, and for the upstream alone."""
    body = '{"account":"ACC-%d","amount":%d}'
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return _script(folder / "call.lua", body, headers)


def input_script(folder: Path) -> Path:
    """wrk's script for Envoy: the body is the whole input document."""
    document: dict[str, Any] = {
        "principal": {"id": AGENT, "role": ROLE, "tenant": TENANT, "user": None, "method": "api_key"},
        "action": {
            "kind": "tool_call",
            "name": f"{SERVER}.POST {PATH}",
            "arguments": {"account": "ACC-%d", "amount": "%d"},
        },
        "resource": {"server": SERVER, "host": "", "method": "POST", "path": PATH, "content": "json"},
        "spend": None,
        "context": {
            "workflow_id": "0198f3e0-0000-7000-8000-000000000000",
            "session_id": "",
            "at": "2026-01-01T00:00:00Z",
            "approval": None,
            "policy_version": None,
        },
    }
    body = json.dumps(document, separators=(",", ":")).replace('"%d"', "%d")
    return _script(folder / "input.lua", body, {"content-type": "application/json"})


def _script(path: Path, body: str, headers: dict[str, str]) -> Path:
    fields = ",".join(f'["{name}"]="{value}"' for name, value in headers.items())
    path.write_text(_LUA % (body, "nil", fields))
    return path
