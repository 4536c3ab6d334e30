"""The claims of a warrant whose signature holds: is it for this, from there, here, and now?

Whatever is wrong, the answer is the same `no_authorization_record`: without a good warrant there is no
authorization. That a warrant is used once is kept by the database, in the commit of what it allowed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from schemas.warrant import LIFETIME_S, Act, Warrant
from treasury.core.intent import Intent
from treasury.errors import NotAuthorized

LEEWAY_S: Final = 5
CODE: Final = "no_authorization_record"


@dataclass(frozen=True, slots=True)
class Expected:
    """Who shows the warrant, in whose name, and for what. `at` is the database's time."""

    gateway: str
    tenant: str
    principal: str
    act: Act
    at: datetime


def read(claims: dict[str, Any]) -> Warrant:
    """The claims as a warrant; `NotAuthorized` for a member missing, unknown or of another type."""
    try:
        return Warrant.model_validate(claims)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise NotAuthorized(CODE, f"the warrant is not complete or not exact: {fields}") from None


def check(warrant: Warrant, expected: Expected) -> None:
    """Raise `NotAuthorized` unless the warrant is for exactly this caller, act and time."""
    at_s = expected.at.timestamp()
    faults = {
        "it was issued by another gateway": warrant.iss != expected.gateway,
        "it is for another tenant": warrant.tenant != expected.tenant,
        "it is for another principal": warrant.principal != expected.principal,
        "it is good for another act": warrant.act != expected.act,
        "it is not good yet": warrant.iat > at_s + LEEWAY_S,
        "it has expired": warrant.exp <= at_s,
        "it lives longer than a warrant may": not 0 < warrant.exp - warrant.iat <= LIFETIME_S,
    }
    _refuse_first(faults)


def check_intent(warrant: Warrant, intent: Intent) -> None:
    """Raise `NotAuthorized` unless the warrant was written for exactly this intent."""
    faults = {
        "it is for another intent": warrant.intent_id != str(intent.id),
        "it was written for other terms": warrant.intent_sha256 != intent.sha256(),
        "it is in another currency": warrant.currency != intent.money.currency,
        "its principal did not declare the intent": warrant.principal != intent.principal,
    }
    _refuse_first(faults)


def _refuse_first(faults: dict[str, bool]) -> None:
    for fault, present in faults.items():
        if present:
            raise NotAuthorized(CODE, f"the warrant was refused: {fault}")
