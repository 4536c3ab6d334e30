"""What every route needs: who asks, and the service's parts, from the application's state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from adapters.metrics import Metrics
from control.case_store import CaseStore
from control.config import Settings
from control.operators import Operator, Operators
from control.reader import Reader
from control.store import Store
from control.treasury import Treasury


@dataclass(frozen=True, slots=True)
class House:
    """The parts of the service, made once in `app`."""

    settings: Settings
    operators: Operators
    store: Store
    cases: CaseStore
    treasury: Treasury
    readers: Sequence[Reader]
    metrics: Metrics


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


InHouse = Annotated[House, Depends(_house)]


def _operator(request: Request, house: InHouse) -> Operator:
    return house.operators.identify(request.headers.get("authorization"), request.headers.get("x-api-key"))


Caller = Annotated[Operator, Depends(_operator)]
