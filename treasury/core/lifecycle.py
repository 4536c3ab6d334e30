"""The states of a noun and which may follow which.

The same tables stand in the database (`treasury.transitions`), which refuses every other step; a test
holds the two equal. The empty state stands for "not there yet".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

UNBORN: Final = ""


class IllegalTransition(Exception):
    """A step that no table allows: a fault of ours, never of who asked."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`moves` gives for each state those that may follow it."""

    noun: str
    moves: Mapping[str, frozenset[str]]

    def step(self, old: str, new: str) -> str:
        """`new`, if it may follow `old`; raises `IllegalTransition` otherwise."""
        if new not in self.moves.get(old, frozenset()):
            raise IllegalTransition(f'{self.noun} cannot go from "{old}" to "{new}"')
        return new

    def pairs(self) -> frozenset[tuple[str, str, str]]:
        """Every `(noun, from, to)`."""
        return frozenset((self.noun, old, new) for old, news in self.moves.items() for new in news)


def lifecycle(noun: str, **moves: str) -> Lifecycle:
    """A table written as `born="a b", a="c"`: from each state, the states that may follow."""
    return Lifecycle(
        noun, {UNBORN if old == "born" else old: frozenset(news.split()) for old, news in moves.items()}
    )
