"""A bank as an MCP server over streamable HTTP. It knows nothing of gateways or policies.

python bank.py [PORT]
"""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

bank = MCPServer("bank")
balances_cents = {"ACC-1": 124_000, "ACC-7": 900}


@bank.tool()
def get_balance(account: str) -> str:
    """The balance of an account, in dollars."""
    return f"{account} holds {balances_cents.get(account, 0) / 100:,.2f} USD"


@bank.tool()
def send_money(amount: float, account: str) -> str:
    """Send dollars to an account."""
    balances_cents[account] = balances_cents.get(account, 0) + round(amount * 100)
    return f"sent {amount:,.2f} USD to {account}"


@bank.tool()
def close_account(account: str) -> str:
    """Close an account for good."""
    balances_cents.pop(account, None)
    return f"{account} is closed"


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9101
    uvicorn.run(bank.streamable_http_app(), port=port, log_level="warning")
