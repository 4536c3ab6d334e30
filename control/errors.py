"""Why control does not answer: one exception, whose code says the rest (`schemas.codes`)."""

from typing import Any

from schemas.codes import STATUS


class Refusal(Exception):
    """The request ends here with this code; `detail` is for people."""

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail

    @property
    def status(self) -> int:
        """The HTTP status that the code stands for."""
        return STATUS[self.code]
