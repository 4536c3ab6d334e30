"""Why the treasury says no.

    Refused                  a request that is understood and may not be done; kept with its idempotency key
    └── NotAuthorized        the word that came with it is worth nothing (warrant, token); never kept

Each carries a code of `schemas.codes`, from which its HTTP status follows.
"""

from typing import Any

from schemas.codes import STATUS


class Refused(Exception):
    """Nothing was moved. `detail` is for people, `code` for machines."""

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail

    @property
    def status(self) -> int:
        """The HTTP status that the code stands for."""
        return STATUS[self.code]


class NotAuthorized(Refused):
    """The caller has not shown that it may ask for this; asking again with better proof is welcome."""
