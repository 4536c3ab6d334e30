"""Compliance: what policy makes of the event stream, written down as cases.

Control counts and looks up (`control.evidence`), Rego judges (`data.compliance.cases`), and what it finds is
a case for its kind and subject. Events may come twice: what is evidence already adds nothing. While OPA or
PostgreSQL is away the stream waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

from adapters.opa import OpaData
from control.evidence import Evidence
from control.observation import Observation, is_suspect
from schemas.events.registry import Event


class Violation(BaseModel):
    """What Rego finds: `codes` are those of the refusals that were counted, which become evidence too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    agent: Annotated[str, StringConstraints(max_length=200)]
    message: Annotated[str, StringConstraints(max_length=2_000)]
    codes: tuple[str, ...] = ()


_FOUND: Final = TypeAdapter(list[Violation])


@dataclass(frozen=True, slots=True)
class Limits:
    """When something is a violation, as Rego reads it in `input.limits`; and how long OPA may take, in s."""

    refusals_max: int
    refusals_window_s: int
    unknown_age_s_max: int
    opa_timeout_s: float

    def document(self) -> dict[str, int]:
        """What Rego reads."""
        return {
            "refusals_max": self.refusals_max,
            "refusals_window_s": self.refusals_window_s,
            "unknown_age_s_max": self.unknown_age_s_max,
        }


class Compliance:
    """A reader's handler; `judge` is for what the clock brings up."""

    durable: Final = "compliance"

    def __init__(self, evidence: Evidence, opa: OpaData, limits: Limits) -> None:
        self._evidence = evidence
        self._opa = opa
        self._limits = limits

    async def handle(self, events: Sequence[Event]) -> None:
        """Judge them. The recorder has gone before: what may become evidence is on record.

        Raises `OpaUnavailable` or `DatabaseUnavailable`; `ValueError` where Rego's answer is none.
        """
        if suspects := [event for event in events if is_suspect(event)]:
            await self.judge(await self._evidence.observe(suspects, self._limits.refusals_window_s))

    async def judge(self, observations: Sequence[Observation]) -> None:
        """Ask Rego, and open a case for each violation or add to the one that is open."""
        if not observations:
            return
        limits = self._limits.document()
        answers = await self._opa.violations(
            [_question(observation, limits) for observation in observations], self._limits.opa_timeout_s
        )
        for observation, answer in zip(observations, answers, strict=True):
            for violation in _FOUND.validate_python(answer):
                await self._evidence.keep(observation.event, violation, self._limits.refusals_window_s)


def _question(observation: Observation, limits: dict[str, int]) -> bytes:
    document: dict[str, Any] = {"event": observation.event, "facts": observation.facts, "limits": limits}
    return orjson.dumps(document)
