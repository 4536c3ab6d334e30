"""An agent with a few errands at the bank: a plain MCP client that knows a URL and a header.

BANK_URL and BANK_KEY are all that changes when a gateway comes between.
"""

import asyncio
import os
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("BANK_URL", "http://127.0.0.1:9101/mcp")
KEY = os.environ.get("BANK_KEY")
ERRANDS = [
    ("get_balance", {"account": "ACC-7"}),
    ("send_money", {"amount": 25, "account": "ACC-7"}),
    ("send_money", {"amount": 5000, "account": "ACC-7"}),
    ("close_account", {"account": "ACC-1"}),
]


async def main() -> None:
    """Do the errands, and say what came of each."""
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(URL, http_client=http)) as bank,
    ):
        for tool, arguments in ERRANDS:
            try:
                print(tool, "->", (await bank.call_tool(tool, arguments)).content[0].text)
            except MCPError as refusal:
                print(tool, "-> refused:", refusal.data["code"], refusal.data["decision_id"])


def reason(failure: BaseException) -> str:
    """What the groups that async libraries wrap an error in are about."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return str(failure)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (ExceptionGroup, MCPError, httpx2.HTTPError) as failure:
        sys.exit(f"nothing could be done at {URL}: {reason(failure)}")
