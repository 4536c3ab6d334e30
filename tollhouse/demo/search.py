"""A search engine over HTTP: a tool that needs no MCP."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tollhouse.demo.serving import serve

FLIGHTS = ["LIS 07:40, 89 USD", "LIS 11:15, 120 USD", "LIS 19:05, 75 USD"]


async def flights(request: Request) -> JSONResponse:
    """Flights to a place; `authorization_seen` tells whether the agent's key came through."""
    found = [flight for flight in FLIGHTS if flight.startswith(request.query_params.get("to", ""))]
    return JSONResponse({"flights": found, "authorization_seen": "authorization" in request.headers})


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/flights", flights)]))
