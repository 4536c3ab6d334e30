"""What is refused at the ways in before a tool is judged, to a caller that is known: it is on record."""

import pytest

from tests.integration.gateway.conftest import OTHER_KEY, Running, StartGateway, registry
from tests.integration.gateway.upstream import Upstream

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay", "arguments": {}}}


@pytest.mark.requirement("GW-01")
@pytest.mark.parametrize("path", ["/tools/search/", "/tools/search", "/tools/search/open/x"])
async def test_an_mcp_server_is_no_http_tool(path: str, start_gateway: StartGateway, tool: Upstream) -> None:
    known = registry(tool.url)
    known["servers"]["search"]["kind"] = "mcp"
    async with start_gateway(registry=known) as gateway:
        answer = await gateway.request("POST", path, OTHER_KEY, json=CALL)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        decision = await gateway.decision(answer.headers["x-decision-id"], OTHER_KEY)
    assert (decision["allow"], decision["reasons"][0]["code"]) == (False, "not_found")
    assert tool.requests == []


@pytest.mark.requirement("GW-01")
async def test_what_nobody_registered_is_told_to_those_alone_who_may_call_it(gateway: Running) -> None:
    listed = await gateway.get("/tools/absent/")
    assert (listed.status_code, listed.json()["code"]) == (404, "not_found")
    unlisted = await gateway.get("/tools/nowhere/")
    assert (unlisted.status_code, unlisted.json()["code"]) == (403, "tool_not_allowed")


@pytest.mark.requirement("AUD-01")
async def test_a_workflow_that_is_no_uuid_is_refused_by_its_header_and_on_record(
    gateway: Running, tool: Upstream
) -> None:
    answer = await gateway.get("/tools/search/open/x", headers={"x-workflow-id": "payday"})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "X-Workflow-Id"])
    decision = await gateway.decision(answer.headers["x-decision-id"])
    assert (decision["allow"], decision["reasons"][0]["code"]) == (False, "invalid")
    assert tool.requests == []


@pytest.mark.requirement("GW-04")
@pytest.mark.parametrize("base", ["/api", "/api/"])
async def test_an_http_tools_path_goes_below_its_servers(
    base: str, start_gateway: StartGateway, tool: Upstream
) -> None:
    async with start_gateway(registry=registry(tool.url + base)) as gateway:
        await gateway.get("/tools/search/open/x/?q=1")
    assert tool.requests[0].target == "/api/open/x/?q=1"
