"""Budgets in the policy document: whose they are, over which window, and what contradicts itself."""

from pathlib import Path
from typing import Any

import pytest

from tollhouse.policy.compile import policy_data
from tollhouse.policy.reader import read_policy
from tollhouse.policy.status import budgets
from tollhouse.problems import DocumentError

HEAD = 'version: "1.0"\ncurrency: USD\n'
WHOLE = f"""{HEAD}budgets:
  tenant: {{day_cents: 900, month_cents: 9000}}
  workflow: {{lifetime_cents: 500}}
roles:
  executor:
    daily_budget_cents: 600
    budgets:
      role: {{hour_cents: 600, month_cents: 6000}}
      agent: {{hour_cents: 100, lifetime_cents: 3000}}
  clerk:
    budgets: {{role: {{day_cents: 0}}}}
  idler: {{}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def compiled(folder: Path, text: str) -> Any:
    return policy_data(read_policy(written(folder, text)))["gateway"]


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_policy(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def limit(scope: str, window: str, limit_cents: int) -> dict[str, Any]:
    return {"scope": scope, "window": window, "limit_cents": limit_cents}


@pytest.mark.requirement("POL-03")
def test_budgets_become_data_the_narrowest_first(tmp_path: Path) -> None:
    data = compiled(tmp_path, WHOLE)
    assert data["policy"]["budgets"] == [
        limit("workflow", "lifetime", 500),
        limit("tenant", "day", 900),
        limit("tenant", "month", 9000),
    ]
    assert data["roles"]["executor"]["budgets"] == [
        limit("agent", "hour", 100),
        limit("agent", "lifetime", 3000),
        limit("role", "hour", 600),
        limit("role", "day", 600),
        limit("role", "month", 6000),
    ]
    assert data["roles"]["clerk"]["budgets"] == [limit("role", "day", 0)]
    assert "budgets" not in data["roles"]["idler"]


@pytest.mark.requirement("POL-03")
def test_the_daily_budget_is_the_roles_by_another_name(tmp_path: Path) -> None:
    short = compiled(tmp_path, f"{HEAD}roles: {{r: {{daily_budget_cents: 7}}}}")
    long = compiled(tmp_path, f"{HEAD}roles: {{r: {{budgets: {{role: {{day_cents: 7}}}}}}}}")
    assert short == long
    assert short["policy"]["budgets"] == []


@pytest.mark.requirement("POL-03")
@pytest.mark.parametrize(
    ("budgets", "told"),
    [
        ("{}", "3:10: budgets: says no limit; allowed here: tenant, workflow"),
        ("", "3:9: budgets: must be given or left out, got nothing"),
        ("{tenant: {}}", "budgets.tenant: says no limit; allowed here: day_cents, hour_cents,"),
        ("{tenant: }", "budgets.tenant: must be given or left out, got nothing"),
        ("{tenant: {day_cents: }}", "budgets.tenant.day_cents: must be given or left out, got nothing"),
        ("{tenant: {day_cents: 0.5}}", "budgets.tenant.day_cents: must be a whole number of cents, got 0.5"),
        ("{tenant: {day_cents: '5'}}", "budgets.tenant.day_cents: must be a whole number of cents, got '5'"),
        ("{tenant: {day_cents: -1}}", "budgets.tenant.day_cents: must be greater than or equal to 0"),
        ("{tenant: {day_cents: 9007199254740992}}", "must be less than or equal to 9007199254740991"),
        ("{tenant: {week_cents: 5}}", "budgets.tenant.week_cents: unknown key; allowed here: day_cents,"),
        ("{agent: {day_cents: 5}}", "budgets.agent: unknown key; allowed here: tenant, workflow"),
        ("5", "budgets: must be a mapping, got 5"),
    ],
)
def test_a_wrong_budget_is_told_with_its_place(tmp_path: Path, budgets: str, told: str) -> None:
    assert told in "\n".join(problems(tmp_path, f"{HEAD}budgets: {budgets}\nroles: {{}}\n"))


@pytest.mark.requirement("POL-03")
def test_a_role_has_no_budget_for_its_tenant(tmp_path: Path) -> None:
    [told] = problems(tmp_path, f"{HEAD}roles:\n  r:\n    budgets: {{tenant: {{day_cents: 5}}}}")
    assert told.startswith("policy.yaml:5:15: roles.r.budgets.tenant: unknown key; allowed here: agent, role")


@pytest.mark.requirement("POL-03")
@pytest.mark.parametrize("cents", [4, 5, 6])
def test_one_budget_is_said_once(tmp_path: Path, cents: int) -> None:
    role = f"daily_budget_cents: 5\n    budgets: {{role: {{day_cents: {cents}}}}}"
    [told] = problems(tmp_path, f"{HEAD}roles:\n  r:\n    {role}")
    said = "roles.r.daily_budget_cents (line 5) says it already: keep one of the two"
    assert told == f"policy.yaml:6:33: roles.r.budgets.role.day_cents: {said}"


@pytest.mark.requirement("POL-03")
def test_a_limit_above_one_that_contains_it_is_a_mistake(tmp_path: Path) -> None:
    text = WHOLE.replace("month_cents: 9000", "month_cents: 800")
    told = problems(tmp_path, text.replace("agent: {hour_cents: 100", "agent: {hour_cents: 700"))
    month = "the 800 of budgets.tenant.month_cents (line 4), which contains it"
    hour = "the 600 of roles.executor.budgets.role.hour_cents (line 10), which contains it"
    assert told == [
        f"policy.yaml:4:23: budgets.tenant.day_cents: 900 is above {month}",
        f"policy.yaml:10:44: roles.executor.budgets.role.month_cents: 6000 is above {month}",
        f"policy.yaml:11:27: roles.executor.budgets.agent.hour_cents: 700 is above {hour}",
    ]


@pytest.mark.requirement("POL-03")
@pytest.mark.parametrize(
    ("tenant", "workflow", "role", "agent", "faulty"),
    [
        ("day_cents: 5", "hour_cents: 6", "", "", "budgets.workflow.hour_cents"),
        ("day_cents: 5", "", "hour_cents: 6", "", "roles.r.budgets.role.hour_cents"),
        ("month_cents: 5", "", "", "day_cents: 6", "roles.r.budgets.agent.day_cents"),
        ("", "", "month_cents: 5", "month_cents: 6", "roles.r.budgets.agent.month_cents"),
        ("", "", "", "month_cents: 6, lifetime_cents: 5", "roles.r.budgets.agent.month_cents"),
        ("lifetime_cents: 5", "lifetime_cents: 6", "", "", "budgets.workflow.lifetime_cents"),
        # These are no mistakes: equal, a longer window, neither within the other, or a prepaid budget.
        ("day_cents: 5", "day_cents: 5", "day_cents: 5", "day_cents: 5", None),
        ("hour_cents: 5", "day_cents: 6", "day_cents: 6", "day_cents: 6", None),
        ("", "day_cents: 6", "day_cents: 5", "day_cents: 4", None),
        ("lifetime_cents: 0", "day_cents: 5", "day_cents: 5", "lifetime_cents: 5", None),
    ],
)
def test_what_contains_what(
    tmp_path: Path, tenant: str, workflow: str, role: str, agent: str, faulty: str | None
) -> None:
    def scopes(**said: str) -> str:
        named = ", ".join(f"{name}: {{{limits}}}" for name, limits in said.items() if limits)
        return f"{{{named}}}" if named else ""

    shared, own = scopes(tenant=tenant, workflow=workflow), scopes(role=role, agent=agent)
    text = HEAD + (f"budgets: {shared}\n" if shared else "")
    path = written(tmp_path, text + "roles:\n  r: " + (f"{{budgets: {own}}}" if own else "{}"))
    if faulty is None:
        read_policy(path)
        return
    with pytest.raises(DocumentError) as caught:
        read_policy(path)
    [problem] = caught.value.problems
    assert problem.text.startswith(f"{faulty}: 6 is above ")


@pytest.mark.requirement("POL-03")
def test_the_status_shows_every_limit(tmp_path: Path) -> None:
    data = compiled(tmp_path, WHOLE)
    assert budgets(data["policy"], data["roles"]) == [
        ("tenant", "none", "900", "9000", "none"),
        ("each workflow", "none", "none", "none", "500"),
        ("role clerk", "none", "0", "none", "none"),
        ("role executor", "600", "600", "6000", "none"),
        ("each agent of executor", "100", "none", "none", "3000"),
    ]
    assert budgets({}, {"idler": {}}) == []
