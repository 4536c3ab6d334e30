"""What the ledger is asked to do: one act a command, and who asks for it once.

An act names an intent or a hold. Two commands about the same one, with the same key or with the same
warrant are never carried out together: the later waits for the next batch, and finds what the earlier left.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schemas.ids import digest
from schemas.warrant import Warrant
from treasury.core.intent import Intent


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and what makes it happen once. `command` is the route."""

    gateway: str
    tenant: str
    principal: str
    correlation_id: str
    command: str
    key: str
    request_sha256: str

    def sha256(self) -> str:
        """What must be the same for an answer to be given again."""
        return digest([self.command, self.principal, self.request_sha256])


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, and kept. A refusal's body is `{code, detail}`."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Declare:
    """Keep an intent."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Authorize:
    """Authorize an intent that was declared before, and hold its money."""

    warrant: Warrant
    intent_id: UUID


@dataclass(frozen=True, slots=True)
class Spend:
    """Declare and authorize in one go."""

    warrant: Warrant
    intent: Intent


@dataclass(frozen=True, slots=True)
class Execute:
    """Capture an authorized spend; all that is left where `amount_cents` is None."""

    warrant: Warrant
    intent_id: UUID
    recipient_account: str
    amount_cents: int | None


@dataclass(frozen=True, slots=True)
class Void:
    """Release what is held for an intent."""

    warrant: Warrant
    intent_id: UUID


@dataclass(frozen=True, slots=True)
class CaptureHold:
    """Settle a paid call that was made; what is left becomes free."""

    hold_id: UUID
    recipient_account: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Accrue:
    """Capture what a metered call has used since the last time; the rest stays held."""

    hold_id: UUID
    recipient_account: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class VoidHold:
    """Release the hold of a paid call that certainly failed."""

    hold_id: UUID


@dataclass(frozen=True, slots=True)
class MarkUnknown:
    """Keep the hold of a paid call whose outcome nobody knows."""

    hold_id: UUID


@dataclass(frozen=True, slots=True)
class Expire:
    """End a hold whose time is up, unless somebody settled it meanwhile."""

    hold_id: UUID


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Settle a hold of unknown outcome as a statement tells; None for `amount_cents` voids it."""

    hold_id: UUID
    amount_cents: int | None


HoldAct = CaptureHold | Accrue | VoidHold | MarkUnknown | Expire | Reconcile
Act = Declare | Authorize | Spend | Execute | Void | HoldAct


@dataclass(frozen=True, slots=True)
class Command:
    """An act in a tenant. What the ledger does by itself is asked for by nobody: no key, no answer kept."""

    tenant: str
    correlation_id: str
    act: Act
    asked: Asked | None = None

    @classmethod
    def of(cls, asked: Asked, act: Act) -> "Command":
        """The command of somebody who asks."""
        return cls(asked.tenant, asked.correlation_id, act, asked)

    @property
    def declared(self) -> Intent | None:
        """The intent that the command brings along."""
        return self.act.intent if isinstance(self.act, Declare | Spend) else None

    @property
    def intent_id(self) -> UUID | None:
        """The intent that the command names."""
        if isinstance(self.act, Authorize | Execute | Void):
            return self.act.intent_id
        return self.declared.id if self.declared else None

    @property
    def hold_id(self) -> UUID | None:
        """The hold that the command names."""
        if isinstance(self.act, HoldAct):
            return self.act.hold_id
        return None

    @property
    def warrant(self) -> Warrant | None:
        """The warrant that it uses up."""
        return self.act.warrant if isinstance(self.act, Authorize | Spend | Execute | Void) else None

    def alone(self) -> set[tuple[str, str, str]]:
        """What no other command of its batch may touch."""
        warrant, asked = self.warrant, self.asked
        names = (
            ("intent", self.intent_id),
            ("hold", self.hold_id),
            ("key", asked.key if asked else None),
            ("warrant", warrant.jti if warrant else None),
        )
        return {(self.tenant, noun, str(name)) for noun, name in names if name is not None}
