"""Serve somebody else's MCP server over streamable HTTP: here the reference server for time zones.

It speaks stdio when it is run as its authors meant. Its server object speaks either way.

    pip install mcp-server-time
    python third_party_server.py [PORT]
"""

import sys

import uvicorn
from mcp_server_time.server import create_server

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9103
    uvicorn.run(create_server("UTC").streamable_http_app(), port=port, log_level="warning")
