"""Why the gateway says no, or cannot say anything.

    Refusal                     every answer that is not the upstream's own
    ├── Unauthenticated         401: no credential, or not a valid one
    ├── Denied                  403: policy (or a budget, a ceiling, a lockout) says no; has reasons
    ├── BadRequest              400, 405, 413, 422, 431: the request itself is at fault
    ├── UpstreamFailed          502, 504: the tool could not be reached, or answered garbage
    │   └── OutcomeUnknown      the request was sent and the tool may have acted
    ├── Stopped                 403, 409: the gateway ended a metered call that was under way
    └── Unavailable             503: something that we need is gone; carries Retry-After

Each carries its code (`schemas.codes`), from which its HTTP status follows. The edges catch `Refusal`
alone and write it in their own protocol.
"""

from typing import TYPE_CHECKING, Any

from schemas.codes import STATUS

if TYPE_CHECKING:
    from gateway.core.permit import Permit
    from gateway.core.settle import Settlement


class Refusal(Exception):
    """Nothing (more) reaches the tool. `detail` is for people, `code` for machines.

    `workflow_id` is set where only the treasury could tell to which workflow the request belongs.
    """

    def __init__(
        self,
        code: str,
        detail: Any,
        *,
        reasons: tuple[dict[str, Any], ...] = (),
        approval_id: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.reasons = reasons
        self.approval_id = approval_id
        self.retry_after_s = retry_after_s
        self.decision_id: str | None = None
        self.workflow_id: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status that the code stands for."""
        return STATUS[self.code]


class Unauthenticated(Refusal):
    """The caller is not known."""


class Denied(Refusal):
    """The caller is known and may not. `permit` is the call as it was judged, once it is on the journal."""

    permit: "Permit | None" = None


class BadRequest(Refusal):
    """The request cannot be understood in only one way, or breaks a limit."""


class UpstreamFailed(Refusal):
    """The tool certainly did not act, or answered with an error that we could not pass on."""


class OutcomeUnknown(UpstreamFailed):
    """The request was sent and no (whole) answer came: the tool may have acted."""


class Stopped(Refusal):
    """The gateway ended a metered call while the tool worked for it: the tool may have acted."""


class Unavailable(Refusal):
    """OPA, the treasury or the journal did not answer in time: refused, nothing upstream.

    `withdrawal` is set where the treasury may have placed a hold all the same.
    """

    withdrawal: "Settlement | None" = None
