"""The gateway and policy tell one price: the same rule for a tool, the same amount for its arguments."""

import shutil
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.classify import Call
from gateway.core.decide import document, read
from gateway.core.hold import agrees
from gateway.core.identify import Principal
from gateway.core.price import price, table
from gateway.errors import Denied
from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS
from schemas.ids import canonical
from tests.fixtures.servers import StartOpa
from tests.fixtures.tollroad import daily

POLICY = Path(__file__).parents[3] / "rego" / "gateway"
SCOUT = Principal(id="scout", role="executor", tenant="acme", method="api_key")
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Judge:
    """OPA with the shipped policy, asked under roles that each question brings along."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url)

    def ask(self, rule: str, roles: dict[str, Any], asked: dict[str, Any] | None = None) -> Any:
        query = f"x := data.gateway.{rule} with input as input.asked with data.gateway.roles as input.roles"
        body = canonical({"query": query, "input": {"roles": roles, "asked": asked}})
        answer = self._client.post("/v1/query", content=body).raise_for_status()
        return orjson.loads(answer.content)["result"][0]["x"]

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def judge(start_opa: StartOpa, tmp_path: Path) -> Iterator[Judge]:
    bundle = tmp_path / "bundle"
    shutil.copytree(POLICY, bundle / "gateway", ignore=shutil.ignore_patterns("*_test.rego", "data.*"))
    policy = {"version": "1.0", "revision": "ab" * 32, "currency": "USD"}
    data = {"gateway": {"policy": policy, "roles": {}, "spend": {"rules": []}}}
    (bundle / "data.json").write_bytes(orjson.dumps(data))
    judge = Judge(start_opa([bundle]).url)
    yield judge
    judge.close()


def fixed(cents: int) -> dict[str, Any]:
    return {"kind": "fixed", "fixed_cents": cents, "charged_on_error": False}


def agreed(judge: Judge, roles: dict[str, Any], call: Call) -> int | None:
    """What both say that the call costs; None where it is free or not allowed to the role."""
    spend = price(call, SCOUT, table(judge.ask("tools.prices", roles)))
    verdict = read(
        judge.ask("decision.decision", roles, document(call, SCOUT, spend, "2026-01-01T00:00:00Z"))
    )
    codes = {reason["code"] for reason in verdict.reasons}
    assert codes <= {"tool_not_allowed"}
    assert agrees(spend, verdict)
    if not spend or codes:
        return None
    assert verdict.obligations["hold"]["ceiling_cents"] == spend.amount_cents
    return spend.amount_cents


names = st.text(alphabet="ab.*/ ", min_size=1, max_size=6)
grants = st.one_of(st.just({}), st.integers(1, 9).map(lambda cents: {"price": fixed(cents)}))
tools = st.dictionaries(names, grants, max_size=3)
patterns = st.lists(st.builds(lambda glob, grant: {"glob": glob, "grant": grant}, names, grants), max_size=3)


@pytest.mark.requirement("GW-10")
@MANY
@given(tools=tools, patterns=patterns, name=names)
def test_both_find_the_same_price_for_every_name(
    judge: Judge, tools: dict[str, Any], patterns: list[dict[str, Any]], name: str
) -> None:
    roles = {"executor": {"tools": tools, "patterns": patterns, "budgets": [daily(100)]}}
    server, _, tool = name.partition(".")
    agreed(judge, roles, Call(kind="tool_call", server=server, tool=tool))


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-14")
@MANY
@given(
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
    cents=st.integers(min_value=1, max_value=AMOUNT_CENTS_MAX),
)
def test_both_tell_the_same_amount_of_an_argument(judge: Judge, currency: str, cents: int) -> None:
    exponent = EXPONENTS[currency]
    amount = Decimal(cents).scaleb(-exponent)
    rule = {"kind": "argument", "argument": "order.amount", "currency": currency, "charged_on_error": False}
    granted = {"price": rule | {"minor_units": 10**exponent}}
    roles = {"executor": {"tools": {"bank.pay": granted}, "patterns": []}}
    call = Call(
        kind="tool_call", server="bank", tool="pay", arguments={"order": {"amount": amount}}, content="json"
    )
    spend = price(call, SCOUT, table(judge.ask("tools.prices", roles)))
    assert spend is not None
    assert spend.amount_cents == cents
    verdict = read(
        judge.ask("decision.decision", roles, document(call, SCOUT, spend, "2026-01-01T00:00:00Z"))
    )
    codes = {reason["code"] for reason in verdict.reasons}
    assert codes == (set() if currency == "USD" else {"currency_not_allowed"})


@pytest.mark.requirement("GW-10")
@MANY
@given(
    units=st.decimals(min_value=Decimal("0.01"), max_value=10**6, places=2),
    cents=st.integers(min_value=1, max_value=10**6),
)
def test_both_tell_the_same_amount_of_units(judge: Judge, units: Decimal, cents: int) -> None:
    rule = {"kind": "per_unit", "per_unit_cents": cents, "argument": "pages", "charged_on_error": False}
    roles = {"executor": {"tools": {"bank.scan": {"price": rule}}, "patterns": []}}
    call = Call(kind="tool_call", server="bank", tool="scan", arguments={"pages": units}, content="json")
    try:
        total = agreed(judge, roles, call)
    except Denied:
        assert (units * cents) % 1 != 0
    else:
        assert total == units * cents


@pytest.mark.requirement("TRE-15")
@MANY
@given(
    cents=st.integers(min_value=1, max_value=10**6),
    seconds=st.sampled_from([1, 60, 3_600]),
    longest=st.integers(min_value=1, max_value=86_400),
)
def test_both_tell_the_same_ceiling_of_a_metered_call(
    judge: Judge, cents: int, seconds: int, longest: int
) -> None:
    rate = {"rate_cents": cents, "rate_seconds": seconds, "max_seconds": longest}
    rule = {"kind": "metered", **rate, "charged_on_error": True}
    roles = {"executor": {"tools": {"gpu.run": {"price": rule}}, "patterns": []}}
    total = agreed(judge, roles, Call(kind="tool_call", server="gpu", tool="run"))
    assert total is not None
    assert total - 1 < Fraction(cents * longest, seconds) <= total
