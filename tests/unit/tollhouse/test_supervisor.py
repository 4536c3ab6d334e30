"""The life of a member, step by step, with a clock that the test turns."""

import errno
from dataclasses import dataclass, field

import pytest

from tollhouse.local.child import StartFailed
from tollhouse.local.supervisor import PAUSE_MAX_S, TOLD_WITHIN_S, Member, Supervisor, pause_s


@dataclass
class Process:
    """A child that lives until the test says otherwise."""

    pid: int
    ended: int | None = None
    refused: Exception | None = None

    def start(self) -> None:
        if self.refused:
            raise self.refused

    def code(self) -> int | None:
        return self.ended


@dataclass
class Server:
    """A server whose children and readiness the test decides on."""

    answers: bool = True
    refused: Exception | None = None
    children: list[Process] = field(default_factory=list)

    def prepare(self) -> Process:
        self.children.append(Process(pid=100 + len(self.children), refused=self.refused))
        return self.children[-1]

    def is_ready(self) -> bool:
        return self.answers


@dataclass
class Told:
    """A witness that remembers, in order."""

    news: list[tuple[str, str, object]] = field(default_factory=list)

    def restarted(self, name: str, pid: int) -> None:
        self.news.append(("restarted", name, pid))

    def answers(self, name: str, pid: int) -> None:
        self.news.append(("answers", name, pid))

    def exited(self, name: str, code: int) -> None:
        self.news.append(("exited", name, code))

    def cannot_start(self, name: str, why: str) -> None:
        self.news.append(("cannot start", name, why))


class House:
    """One member under a supervisor, and what was told."""

    def __init__(self, *, restart: bool = True) -> None:
        self.now_s = 1000.0
        self.witness = Told()
        self.told = self.witness.news
        self.server = Server()
        self.member = Member("opa", self.server, 1.0, clock=lambda: self.now_s)
        self.supervisor = Supervisor([self.member], self.witness, restart=restart)
        self.member.start()
        self.member.state = "up"

    def dies(self, code: int = -9) -> None:
        self.server.children[-1].ended = code

    def looks(self) -> None:
        self.supervisor.look(self.member)


@pytest.mark.requirement("OPS-01")
def test_what_dies_is_started_at_once_and_told_when_it_answers() -> None:
    house = House()
    house.server.answers = False
    house.dies()
    house.looks()
    assert len(house.server.children) == 2
    assert house.told == []
    house.server.answers = True
    house.looks()
    assert house.told == [("restarted", "opa", 101), ("answers", "opa", 101)]


@pytest.mark.requirement("OPS-01")
def test_a_slow_start_is_told_in_time_and_that_it_answers_when_it_does() -> None:
    house = House()
    house.server.answers = False
    house.dies()
    house.looks()
    house.now_s += TOLD_WITHIN_S + 0.1
    house.looks()
    house.looks()
    assert house.told == [("restarted", "opa", 101)]
    house.server.answers = True
    house.looks()
    house.looks()
    assert house.told[1:] == [("answers", "opa", 101)]


@pytest.mark.requirement("OPS-01")
def test_one_that_dies_before_it_answers_is_never_said_to_run_again() -> None:
    house = House()
    house.server.answers = False
    for _ in range(3):
        house.dies()
        house.looks()
        house.now_s += TOLD_WITHIN_S + 0.1
        house.looks()
    assert {news for news, _, _ in house.told} == {"restarted"}


def test_what_keeps_dying_waits_longer_each_time() -> None:
    house = House()
    for _ in range(3):
        house.dies()
        house.looks()
        house.now_s += PAUSE_MAX_S
        house.looks()
        house.looks()
    assert house.member.quick_deaths == 3
    house.now_s += 60
    house.dies()
    house.looks()
    assert house.member.quick_deaths == 0


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize(
    "refused", [OSError(errno.ENOSPC, "No space left on device"), StartFailed("initdb failed")], ids=repr
)
def test_what_cannot_be_started_is_said_once_and_tried_again(refused: Exception) -> None:
    house = House()
    house.server.refused = refused
    house.dies()
    for _ in range(3):
        house.looks()
        house.looks()
        house.now_s += PAUSE_MAX_S
    assert house.told == [("cannot start", "opa", str(refused))]
    assert len(house.server.children) == 1 + 3
    house.server.refused = None
    house.looks()
    house.looks()
    assert house.told[1:] == [("restarted", "opa", 104), ("answers", "opa", 104)]


def test_pauses_grow_to_a_limit() -> None:
    pauses = [pause_s(deaths) for deaths in range(12)]
    assert pauses[:2] == [0.0, 0.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_MAX_S


@pytest.mark.requirement("OPS-01")
def test_without_restart_the_end_is_told_and_the_rest_lives_on() -> None:
    house = House(restart=False)
    house.dies(code=-9)
    house.looks()
    house.looks()
    assert house.told == [("exited", "opa", -9)]
    assert len(house.server.children) == 1
