"""A part of the policy document, as people write it.

What is not written has its default; a key that is written without a value says nothing and was surely not
meant. Most of what a policy may leave out are limits, so to take nothing for nothing said would lift them.
"""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Written(BaseModel):
    """No unknown keys, and none without a value, but for those where none (`null`) is a value."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    NULLABLE: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _is_given(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in cls.NULLABLE:
            raise ValueError("must be given or left out, got nothing")
        return value
