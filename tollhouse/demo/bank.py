"""A bank as an MCP server, built with the MCP SDK: it knows nothing of gateways or policies."""

from mcp.server.mcpserver import MCPServer

from tollhouse.demo.serving import serve

bank = MCPServer("bank", log_level="ERROR")
balances = {"ACC-1": 124_000, "ACC-7": 900}


@bank.tool()
def get_balance(account: str) -> str:
    """The balance of an account, in dollars."""
    return f"{account} holds {balances.get(account, 0) / 100:,.2f} USD"


@bank.tool()
def send_money(amount: float, account: str, memo: str = "") -> str:
    """Send dollars to an account."""
    balances["ACC-1"] -= round(amount * 100)
    balances[account] = balances.get(account, 0) + round(amount * 100)
    return f"sent {amount:,.2f} USD to {account}"


@bank.tool()
def close_account(account: str) -> str:
    """Close an account for good."""
    balances.pop(account, None)
    return f"{account} is closed"


if __name__ == "__main__":
    serve(bank.streamable_http_app())
