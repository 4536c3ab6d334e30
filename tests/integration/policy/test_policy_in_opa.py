"""The compiled policy in real OPA: what is missing never allows, and conditions mean what they say."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.decision import Decision, DecisionInput
from tollhouse.policy.compile import REGO, build_bundle
from tollhouse.policy.condition import NEGATED, Both, Comparison, Either, Node, Not, clauses

POLICY = """
version: "1.0"
currency: USD
roles:
  executor:
    tools:
      - search.*
      - name: bank.send_money
        arguments: {amount: {type: number, maximum: 500}, account: {pattern: "^ACC-[0-9]+$"}}
        price: {argument: amount, currency: USD}
      - {name: bank.close, arguments: {why: {enum: [a, b]}}, approval: executive}
    daily_budget_cents: 100000
    spend: {purposes: [payout], payees: ["vendor-*"], recipients: ["ACC-{payee}"], ceiling_cents: 100000}
  executive: {tools: [approve_spend]}
spend_rules:
  - {name: large, condition: "amount_cents > 50000", action: require_executive_approval}
  - {name: night, condition: "hour < 6 and (payee == 'vendor-x' or purpose == 'tool_call')", action: deny}
"""
NOON, NIGHT = "2026-01-01T12:00:00Z", "2026-01-01T03:00:00Z"


class Policy:
    """One bundle, asked through the same rule that gateways ask."""

    def __init__(self, opa: Path, bundle: Path) -> None:
        self._command = [str(opa), "eval", "--bundle", str(bundle), "--stdin-input", "--format", "values"]

    def ask(self, query: str, document: Any) -> Any:
        done = subprocess.run(
            [*self._command, query], input=orjson.dumps(document), capture_output=True, check=True
        )
        return orjson.loads(done.stdout)[0]

    def decide(self, calls: list[Any]) -> list[Any]:
        answers: list[Any] = self.ask("data.gateway.decision.batch", {"calls": calls})
        assert len(answers) == len(calls)
        return answers


@pytest.fixture(scope="module")
def policy(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "policy.yaml").write_text(POLICY)
    build_bundle(folder / "policy.yaml", folder / "bundle")
    return Policy(opa_binary, folder / "bundle")


def call(
    name: str,
    arguments: dict[str, Any],
    *,
    cents: int = 0,
    content: str = "json",
    at: str = NOON,
    version: str | None = None,
    **spend: str,
) -> dict[str, Any]:
    declared = {"amount_cents": cents, "currency": "USD", "purpose": "tool_call", "payee": "bank", **spend}
    document = {
        "principal": {"id": "scout", "role": "executor", "tenant": "acme", "user": None, "method": "api_key"},
        "action": {
            "kind": "spend" if name.startswith("treasury.") else "tool_call",
            "name": name,
            "arguments": arguments,
        },
        "resource": {"server": "bank", "host": "", "method": "", "path": "", "content": content},
        "spend": declared if cents else None,
        "context": {
            "workflow_id": "",
            "session_id": "",
            "at": at,
            "approval": None,
            "policy_version": version,
        },
    }
    DecisionInput.model_validate(document)
    return document


def spend(act: str = "authorize", cents: int = 500, **said: Any) -> dict[str, Any]:
    account = said.pop("account", "ACC-vendor-a")
    body = {"recipient_account": account} if act == "execute" else {}
    return call(f"treasury.{act}", body, cents=cents, **{"purpose": "payout", "payee": "vendor-a", **said})


GOOD = {"amount": 5, "account": "ACC-1"}
REFUSED = {
    "role": (call("bank.steal", {}), "tool_not_allowed"),
    "argument": (call("bank.send_money", {**GOOD, "amount": 501}, cents=50100), "argument_refused"),
    "pattern": (call("bank.send_money", {**GOOD, "account": "x"}, cents=500), "argument_refused"),
    "missing": (call("bank.send_money", {"amount": 5}, cents=500), "argument_refused"),
    "opaque": (call("bank.send_money", GOOD, cents=500, content="opaque"), "argument_refused"),
    "price": (call("bank.send_money", GOOD, cents=499), "call_unpriceable"),
    "unpriced": (call("bank.send_money", GOOD), "call_unpriceable"),
    "free": (call("search.x", {}, cents=5), "call_unpriceable"),
    "purpose": (spend(purpose="gifts"), "purpose_not_registered"),
    "payee": (spend(payee="friend"), "payee_not_allowed"),
    "recipient": (spend("execute", account="ACC-vendor-b"), "recipient_not_allowed"),
    "currency": (spend(currency="EUR"), "currency_not_allowed"),
    "ceiling": (spend(cents=100001), "spend_exceeds_ceiling"),
    "rule": (spend(payee="vendor-x", at=NIGHT), "spend_not_allowed"),
    "paid by night": (call("bank.send_money", GOOD, cents=500, at=NIGHT), "spend_not_allowed"),
    "unknown act": (spend("print"), "spend_not_allowed"),
    "version": (call("search.x", {}, version="0.9"), "policy_version_inactive"),
    "approval": (spend(cents=60000), "approval_required"),
    "execute": (spend("execute", cents=60000), "approval_required"),
    "tool approval": (call("bank.close", {"why": "a"}), "approval_required"),
}
# To leave these out is to ask for something else, which is allowed: no version named.
OTHER_QUESTIONS = {("version", ("context", "policy_version")), ("version", ("context",))}


def paths(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(part, dict):
        for name in part:
            yield (*path, name)
            yield from paths(part[name], (*path, name))


def without(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    part = changed
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return changed


@pytest.mark.requirement("POL-01")
@pytest.mark.requirement("POL-02")
@pytest.mark.requirement("POL-03")
@pytest.mark.requirement("POL-04")
def test_every_refusal_has_its_code_and_every_decision_its_form(policy: Policy) -> None:
    decisions = policy.decide([document for document, _ in REFUSED.values()])
    for (name, (_, code)), answer in zip(REFUSED.items(), decisions, strict=True):
        decision = Decision.model_validate_json(orjson.dumps(answer))
        assert (name, decision.allow) == (name, False)
        assert code in [reason.code for reason in decision.reasons], name
        assert all(reason.message for reason in decision.reasons)
        assert len(decision.policy.revision) == 64


@pytest.mark.requirement("POL-01")
def test_what_is_right_is_allowed(policy: Policy) -> None:
    acts = [spend(act) for act in ("create_intent", "authorize", "execute", "void")]
    declared = spend("create_intent", cents=60000)
    calls = [call("search.a/b", {}), call("bank.send_money", GOOD, cents=500), declared, *acts]
    assert [answer["allow"] for answer in policy.decide(calls)] == [True] * len(calls)


@pytest.mark.requirement("POL-04")
def test_a_folder_of_own_rego_names_its_revision(opa_binary: Path, tmp_path: Path) -> None:
    shutil.copytree(REGO / "gateway", tmp_path / "own" / "gateway")
    built = build_bundle(tmp_path / "own", tmp_path / "bundle")
    own = Policy(opa_binary, tmp_path / "bundle")
    named = own.decide([call("search.x", {})])[0]["policy"]
    assert named == {"version": built.version, "revision": built.revision}
    assert own.ask("data.gateway.tools.prices.revision", {}) == built.revision


@pytest.mark.requirement("POL-05")
def test_what_is_missing_never_turns_a_refusal_into_an_allowance(policy: Policy) -> None:
    cases = [
        (name, path, without(document, path))
        for name, (document, _) in REFUSED.items()
        for path in paths(document)
        if (name, path) not in OTHER_QUESTIONS
    ]
    for (name, path, _), answer in zip(cases, policy.decide([case[2] for case in cases]), strict=True):
        assert answer["allow"] is False, (name, path)
        assert answer["reasons"], (name, path)


BUDGETED = POLICY.replace(
    "roles:\n", "budgets: {workflow: {lifetime_cents: 1000}, tenant: {month_cents: 900000}}\nroles:\n", 1
).replace("    spend: {", "    budgets: {agent: {hour_cents: 700}}\n    spend: {", 1)


@pytest.fixture(scope="module")
def budgeted(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("budgeted")
    (folder / "policy.yaml").write_text(BUDGETED)
    build_bundle(folder / "policy.yaml", folder / "bundle")
    return Policy(opa_binary, folder / "bundle")


def in_workflow(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"context": document["context"] | {"workflow_id": "w-1"}}


@pytest.mark.requirement("POL-03")
def test_a_hold_names_every_budget_that_concerns_it(budgeted: Policy) -> None:
    calls = [in_workflow(spend()), in_workflow(call("bank.send_money", GOOD, cents=500))]
    for answer in budgeted.decide(calls):
        decision = Decision.model_validate_json(orjson.dumps(answer))
        assert decision.allow
        assert [tuple(budget.values()) for budget in answer["obligations"]["hold"]["budgets"]] == [
            ("agent:scout", 700, "hour"),
            ("role:executor", 100000, "day"),
            ("workflow:w-1", 1000, "lifetime"),
            ("tenant:acme", 900000, "month"),
        ]


@pytest.mark.requirement("POL-05")
def test_no_budget_is_passed_over_by_leaving_out_whose_it_is(budgeted: Policy) -> None:
    calls = [in_workflow(spend()), in_workflow(call("bank.send_money", GOOD, cents=500))]
    whose = [("principal", "id"), ("principal", "tenant"), ("context", "workflow_id"), ("context",)]
    for answer in budgeted.decide([without(document, path) for document in calls for path in whose]):
        assert answer["allow"] is False
        assert {reason["code"] for reason in answer["reasons"]} == {"spend_not_allowed"}
    free = without(in_workflow(call("search.x", {})), ("context", "workflow_id"))
    assert budgeted.decide([free])[0]["allow"] is True


@pytest.mark.requirement("POL-01")
def test_what_is_no_call_at_all_is_refused_with_a_reason(policy: Policy) -> None:
    for answer in policy.decide([{}, None, 1, "x", [], {"principal": None}, {"action": {"kind": "spend"}}]):
        assert answer["allow"] is False
        assert answer["reasons"]


@pytest.mark.requirement("POL-02")
def test_numbers_are_compared_exactly(policy: Policy) -> None:
    just_above = b'{"calls": [%s]}' % orjson.dumps(
        call("bank.send_money", {**GOOD, "amount": 77777}, cents=50000)
    ).replace(b"77777", b"500.00000000000000000000000001")
    answer = policy.ask("data.gateway.decision.batch", orjson.Fragment(just_above))[0]
    assert {reason["code"] for reason in answer["reasons"]} == {"argument_refused", "call_unpriceable"}


@pytest.mark.requirement("POL-02")
@given(cents=st.integers(1, 2**53 - 1))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_argument_tells_its_exact_price(policy: Policy, cents: int) -> None:
    amount = f"{cents // 100}.{cents % 100:02}".encode()
    document = orjson.dumps(call("bank.send_money", {**GOOD, "amount": 77777}, cents=cents))
    told = b'{"calls": [%s]}' % document.replace(b"77777", amount)
    answer = policy.ask("data.gateway.decision.batch", orjson.Fragment(told))[0]
    assert "call_unpriceable" not in {reason["code"] for reason in answer["reasons"]}


FACTS = st.fixed_dictionaries(
    {
        "amount_cents": st.integers(1, 5),
        "hour": st.integers(0, 4),
        **{
            name: st.sampled_from(["", "a", "b"])
            for name in ("currency", "purpose", "payee", "role", "agent")
        },
    }
)
ORDERS = {
    "==": lambda fact, value: fact == value,
    "!=": lambda fact, value: fact != value,
    "<": lambda fact, value: fact < value,
    "<=": lambda fact, value: fact <= value,
    ">": lambda fact, value: fact > value,
    ">=": lambda fact, value: fact >= value,
    "in": lambda fact, value: fact in value,
    "not in": lambda fact, value: fact not in value,
}
NUMBER, TEXT = st.integers(0, 5), st.sampled_from(["", "a", "b"])
COMPARISONS = st.one_of(
    st.builds(
        Comparison,
        st.sampled_from(["amount_cents", "hour"]),
        st.sampled_from([op for op in NEGATED if "in" not in op]),
        NUMBER,
    ),
    st.builds(
        Comparison,
        st.sampled_from(["currency", "purpose", "payee", "role", "agent"]),
        st.sampled_from(["==", "!="]),
        TEXT,
    ),
    st.builds(
        Comparison, st.just("payee"), st.sampled_from(["in", "not in"]), st.lists(TEXT, max_size=2).map(tuple)
    ),
)
NODES = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Both, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Either, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def holds(node: Node, facts: dict[str, Any]) -> bool:
    """The syntax tree evaluated directly: what the condition says."""
    match node:
        case Comparison(field, op, value):
            return bool(ORDERS[op](facts[field], value))
        case Not(inner):
            return not holds(inner, facts)
        case Both(parts):
            return all(holds(part, facts) for part in parts)
        case Either(parts):
            return any(holds(part, facts) for part in parts)


def as_input(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "principal": {"id": facts["agent"], "role": facts["role"]},
        "action": {"kind": "spend", "name": "treasury.authorize"},
        "spend": {name: facts[name] for name in ("amount_cents", "currency", "purpose", "payee")},
        "context": {"at": f"2026-01-01T{facts['hour']:02}:59:59Z"},
    }


@pytest.mark.requirement("POL-03")
@given(examples=st.lists(st.tuples(NODES, FACTS), min_size=20, max_size=20))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_compiled_condition_means_what_the_condition_says(opa_binary: Path, examples: Any) -> None:
    asked = [
        {
            "facts": as_input(facts),
            "any": [[comparison.data() for comparison in clause] for clause in clauses(node)],
        }
        for node, facts in examples
    ]
    query = """[concerned | some each in input.examples
        facts := each.facts
        rules := [{"name": "r", "action": "deny", "any": each["any"]}]
        refusals := data.gateway.spend.refusals with input as facts with data.gateway.spend.rules as rules
        concerned := count([1 | some refusal in refusals; refusal.rule == "r"]) == 1]"""
    command = [str(opa_binary), "eval", "--data", str(REGO), "--stdin-input", "--format", "values", query]
    text = orjson.dumps({"examples": asked})
    done = subprocess.run(command, input=text, capture_output=True, check=True)
    for (node, facts), concerned in zip(examples, orjson.loads(done.stdout)[0], strict=True):
        assert (node, facts, concerned) == (node, facts, holds(node, facts))
