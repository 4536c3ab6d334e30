"""`GET /v1/decisions/{id}`: what was decided on one of the caller's own calls, and how it ended.

Answered from the journals of all workers on this machine.
"""

import asyncio
import re
import sqlite3
from pathlib import Path
from typing import Any, Final

from gateway.core.identify import Principal
from gateway.edge.ingress import Request
from gateway.edge.journal import journals
from gateway.edge.journal_reading import find
from gateway.errors import BadRequest, Unavailable
from gateway.ports import Gate

_ROUTE: Final = re.compile(rb"/v1/decisions/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})")
_FROM_OUTCOME: Final = ("outcome", "status", "code", "duration_ms", "journal_entry_id")


async def handle(gate: Gate, request: Request) -> None:
    """Answer with the decision. Raises `Refusal`."""
    principal = await gate.identity.identify(request.credential)
    route = _ROUTE.fullmatch(request.raw_path)
    if route is None:
        raise BadRequest("not_found", "there is no such route, or no such decision")
    if request.method not in {"GET", "HEAD"}:
        raise BadRequest("method_not_allowed", "a decision can only be read")
    await gate.journal.flush()
    decision = await asyncio.to_thread(_look_up, gate.settings.journal_dir, route[1].decode(), principal)
    if decision is None:
        raise BadRequest("not_found", "there is no such decision of yours")
    await request.answer(200, decision)


def _look_up(folder: Path, decision_id: str, principal: Principal) -> dict[str, Any] | None:
    """The decision, from whichever worker made it."""
    for path in journals(folder):
        try:
            records = find(path, decision_id, principal.tenant, principal.id)
        except sqlite3.Error as error:
            raise Unavailable("journal_unavailable", f"a journal cannot be read: {error}") from None
        if records:
            return _joined(records)
    return None


def _joined(records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Both records as one document; a call under way has the outcome null."""
    decision = dict(records["decided"])
    decision["id"] = decision.pop("decision_id")
    ended = records.get("completed", {})
    decision |= {name: ended.get(name) for name in _FROM_OUTCOME}
    if not decision["allow"]:
        decision["outcome"] = "refused"
    return decision
