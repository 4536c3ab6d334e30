"""What every route needs: who asks, and the service's parts, from the application's state."""

from typing import Annotated

from fastapi import Depends, Request

from adapters.metrics import Metrics
from control.config import Settings
from control.operators import Operator, Operators
from control.recorder import Recorder
from control.store import Store


class House:
    """The parts of the service, made once in `app`."""

    def __init__(
        self, settings: Settings, operators: Operators, store: Store, recorder: Recorder, metrics: Metrics
    ) -> None:
        self.settings = settings
        self.operators = operators
        self.store = store
        self.recorder = recorder
        self.metrics = metrics


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


InHouse = Annotated[House, Depends(_house)]


def _operator(request: Request, house: InHouse) -> Operator:
    return house.operators.identify(request.headers.get("authorization"), request.headers.get("x-api-key"))


Caller = Annotated[Operator, Depends(_operator)]
