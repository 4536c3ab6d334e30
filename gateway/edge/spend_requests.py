"""What an agent asks of the treasury, read strictly: the body, its key, and the digest of both.

A body that cannot be taken is refused with every bad field by its `loc`. Whether an answer may be given
again is decided by key and digest, and the digest covers who asks, so that nobody gets another's answer.
Each agent's keys are its own: it takes none from another agent, nor from the gateway's own requests.
"""

import re
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.core.identify import Principal
from gateway.edge.ingress import Request
from gateway.edge.treasury import Once
from gateway.errors import BadRequest
from schemas.ids import digest, new_id
from schemas.strict_json import NotStrictJSON, read

_KEY: Final = re.compile(rb"[!-~]{1,200}")
_HEADER: Final = "Idempotency-Key"

Model = TypeVar("Model", bound=BaseModel)


async def body(request: Request) -> dict[str, Any]:
    """The body as one strict JSON object. Raises `BadRequest` (malformed, invalid, body_too_large)."""
    text = await request.body(request.settings.json_bytes_max)
    try:
        document: Any = read(text, request.settings.json_depth_max)
    except NotStrictJSON as error:
        raise BadRequest("malformed", f"the body is not strict JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadRequest("invalid", [{"loc": ["body"], "message": "the body must be an object"}])
    return document


def checked(model: type[Model], document: dict[str, Any]) -> Model:
    """The body as `model`. Raises `BadRequest` (invalid) with the place of each mistake."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = [
            {"loc": ["body", *fault["loc"]], "message": fault["msg"]}
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise BadRequest("invalid", faults) from None


def once(request: Request, principal: Principal, act: str, document: dict[str, Any]) -> Once:
    """The caller's idempotency key, or a fresh one. Raises `BadRequest` for a key that is none."""
    key = request.header(b"idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        fault = {"loc": ["header", _HEADER], "message": "1 to 200 visible ASCII characters"}
        raise BadRequest("invalid", [fault])
    asked = {"act": act, "principal": principal.id, "body": document}
    own = digest([principal.id, key.decode("ascii") if key else new_id()])
    return Once(f"agent:{own}", digest(asked))
