"""Asking the treasury of a running stack by HTTP, as its operator."""

import os
from pathlib import Path
from typing import Any, Final

import httpx

from tollhouse.failure import fail
from tollhouse.ledger_source import ready

ANSWER_WITHIN_S: Final = 120.0
KEY_VARIABLE: Final = "TOLLHOUSE_OPERATOR_KEY"


def ask_treasury(
    data: Path | None,
    method: str,
    path: str,
    *,
    query: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What it answers; exit code 1 where no stack runs, nothing answers, or it refuses."""
    stack = ready(data)
    key = os.environ.get(KEY_VARIABLE) or stack["operator_key"]
    if key is None:
        fail(f"this stack has no operator: name one in its tollhouse.yaml, or a key in {KEY_VARIABLE}")
    try:
        answer = httpx.request(
            method,
            stack["treasury"] + path,
            params=query,
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=ANSWER_WITHIN_S,
        )
    except httpx.HTTPError as error:
        fail(f"the treasury does not answer: {error}")
    document: dict[str, Any] = answer.json()
    if answer.is_error:
        fail(f"the treasury refused it: {document['code']}: {document['detail']}")
    return document
