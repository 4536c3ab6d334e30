"""The policy document: its mistakes, each with its line, and the data that it becomes."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from tollhouse.policy.argument_rule import ArgumentRule
from tollhouse.policy.commands import policy_app
from tollhouse.policy.compile import compile_policy, policy_data
from tollhouse.policy.reader import read_policy, review, roles_of
from tollhouse.problems import DocumentError

EXAMPLE = Path(__file__).parents[3] / "examples" / "policy.yaml"
HEAD = 'version: "1.0"\ncurrency: USD\nroles:\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        read_policy(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.requirement("POL-02")
@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (
            "{name: a.b, price: {fixed_cents: 1.5}}",
            "must be a whole number of cents, got 1.5",
        ),
        ("{name: a.b, price: {fixed_cents: 5, argument: x}}", "a price is {fixed_cents}"),
        (
            "{name: a.b, price: {argument: x, currency: XXX}}",
            "must be an ISO 4217 code such as USD, got 'XXX'",
        ),
        (
            "{name: a.b, price: {per_second_cents: 2}}",
            "{per_second_cents, max_seconds} (per minute, per hour), not {per_second_cents}",
        ),
        ("{name: a.b, price: {max_seconds: 60}}", "not {max_seconds}"),
        (
            "{name: a.b, price: {per_second_cents: 2, per_hour_cents: 2, max_seconds: 60}}",
            "not {max_seconds, per_hour_cents, per_second_cents}",
        ),
        ("{name: a.b, price: {per_second_cents: 2, max_seconds: 0}}", "greater than or equal to 1"),
        ("{name: a.b, price: {per_second_cents: 2, max_seconds: 86401}}", "less than or equal to 86400"),
        (
            "{name: a.b, price: {per_hour_cents: 9007199254740991, max_seconds: 2}}",
            "costs more than a ledger can hold",
        ),
        ("{name: a.b, arguments: {x: {maximum: '5'}}}", "roles.r.tools[0].arguments.x.maximum: must be a"),
        (
            "{name: a.b, arguments: {x: {max: 5}}}",
            "arguments.x.max: unknown key; allowed here: const,",
        ),
        ("{name: a.b, arguments: {x: {type: float}}}", "must be 'string', 'number'"),
        ("{name: a.b, arguments: {x: {pattern: 'a(?=b)'}}}", "RE2 has no look-around"),
        ("{name: a.b, arguments: {x: {pattern: '('}}}", "is not a regular expression"),
        (
            "{name: a.b, arguments: {x: {type: string, maximum: 5}}}",
            "maximum cannot be asked of",
        ),
        ("{name: a.b, arguments: {x: {minimum: 2, maximum: 1}}}", "minimum 2 is above maximum 1"),
        ("{name: a.b, arguments: {x: {multiple_of: 0}}}", "must be greater than 0"),
        (
            "{name: a.b, arguments: {x: {multiple_of: 1.5e-15}}}",
            "multiple_of: has more than 15 decimal places",
        ),
        ("{name: 'a.?*'}", "a pattern knows only *, not ?"),
        (
            "{name: a.b, approval: nobody}",
            "approval: nobody: the document has no such role; it has r",
        ),
        ("a.b\n      - a.b", "7:9: roles.r.tools[1]: a.b stands twice in this role"),
        ("5", "roles.r.tools[0]: must be a mapping, got 5"),
    ],
)
def test_a_wrong_tool_is_told_with_its_place(tmp_path: Path, tool: str, told: str) -> None:
    assert told in refusal(
        tmp_path, f"{HEAD}  r:\n    tools: \n      - {tool}\n".replace("tools: \n", "tools:\n")
    )


@pytest.mark.requirement("POL-03")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"{HEAD}  r: {{spend: {{purposes: [], recipients: ['ACC-[0-9]']}}}}",
            "spend.recipients[0]: an account has letters, digits and ._:@/-, a pattern also * and {payee}",
        ),
        (
            "version: 1.0\ncurrency: USD\nroles: {}",
            "1:10: version: must be text (put it in quotes), got 1.0",
        ),
        ("currency: USD\nroles: {}", "policy.yaml:1:1: version: is missing"),
        *(
            (
                f'version: "1"\ncurrency: {wrong}\nroles: {{}}',
                f"policy.yaml:2:11: currency: must be an {told}",
            )
            for wrong, told in (
                ("DOLLAR", "ISO 4217 code such as USD, got 'DOLLAR'"),
                ("usd", "ISO 4217 code such as USD, got 'usd'; did you mean USD?"),
                ("EURO", "ISO 4217 code such as USD, got 'EURO'; did you mean EUR?"),
                ("UDS", "ISO 4217 code such as USD, got 'UDS'; did you mean UZS or USD or AUD?"),
            )
        ),
        ('version: "1"\ncurrency: 840\nroles: {}', "policy.yaml:2:11: currency: must be text (put it in"),
        (f"{HEAD}  r: {{daily_budget_cents: -1}}", "daily_budget_cents: must be greater than or equal to 0"),
        (
            f"{HEAD}  r: {{budget: 1}}",
            "4:7: roles.r.budget: unknown key; allowed here: budgets, daily_budget_cents,",
        ),
        (
            f"{HEAD}  r: {{}}\nspend_rules:\n  - {{name: x, condition: 'amount > 1', action: deny}}",
            "spend_rules[0].condition: at line 1, column 1 of the condition: the field 'amount' does",
        ),
        (
            f"{HEAD}  r: {{}}\nspend_rules:\n  - {{name: x, condition: 'hour > 1', action: ask}}",
            "spend_rules[0].action: must be deny or require_<role>_approval, got 'ask'",
        ),
        (
            f"{HEAD}  r: {{}}\nspend_rules:\n- {{name: y, condition: hour > 1, action: require_x_approval}}",
            "spend_rules[0].action: x: the document has no such role; it has r",
        ),
        (
            f"{HEAD}  r: {{}}\nspend_rules:\n" + "  - {name: x, condition: 'hour > 1', action: deny}\n" * 2,
            "7:12: spend_rules[1].name: another rule is named x too",
        ),
    ],
)
def test_a_wrong_document_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


OPTIONAL = {
    "": ["tools", "daily_budget_cents", "budgets", "rate_limits", "spend"],
    "spend: {purposes: []": ["payees", "recipients", "ceiling_cents"],
    "tools: [{name: a.b": ["arguments", "additional_arguments", "price", "approval"],
    "tools: [{name: a.b, arguments: {x: {": [word for word in ArgumentRule.model_fields if word != "const"],
    "tools: [{name: a.b, arguments: {x: {items: {": ["maximum"],
}


@pytest.mark.requirement("POL-01")
@pytest.mark.parametrize(("within", "key"), [(w, key) for w, keys in OPTIONAL.items() for key in keys])
def test_a_key_without_a_value_is_no_limit_lifted(tmp_path: Path, within: str, key: str) -> None:
    """Such as what is left of a list whose items were commented out."""
    closing = "".join(
        {"{": "}", "[": "]"}[each] for each in reversed(re.sub(r"\[\]", "", within)) if each in "{["
    )
    between = "" if within.endswith("{") or not within else ", "
    told = refusal(tmp_path, f"{HEAD}  r: {{{within}{between}{key}: {closing}}}\n")
    assert f"{key}: must be given or left out, got nothing" in told


@pytest.mark.requirement("POL-02")
def test_null_is_a_value_of_an_argument(tmp_path: Path) -> None:
    rules = "{x: {const: null}, y: {enum: [null]}}"
    policy = read_policy(written(tmp_path, f"{HEAD}  r: {{tools: [{{name: a.b, arguments: {rules}}}]}}"))
    rule = (policy.roles["r"].tools[0].arguments or {})["x"]
    assert rule.data() == {"const": None}


@pytest.mark.requirement("POL-01")
def test_a_document_becomes_data(tmp_path: Path) -> None:
    tools = """
      - web.*
      - name: bank.send
        arguments: {amount: {maximum: 0.5}, tags: {items: {max_length: 3, items: {minimum: 1}}}}
        price: {argument: amount, currency: JPY}
        approval: r
"""
    policy = read_policy(written(tmp_path, f"{HEAD}  r:\n    tools:{tools}"))
    role: dict[str, Any] = policy_data(policy)["gateway"]["roles"]["r"]
    assert role["patterns"] == [{"glob": "web.*", "grant": {"additional_arguments": False}}]
    items = {"maxLength": 3, "items": {"minimum": 1}}
    assert role["tools"] == {
        "bank.send": {
            "arguments": {
                "amount": {"maximum": 0.5},
                "tags": {"items": {"type": "object", "properties": {"items": {"items": items}}}},
            },
            "additional_arguments": False,
            "approval": "r",
            "price": {
                "kind": "argument",
                "argument": "amount",
                "currency": "JPY",
                "minor_units": 1,
                "charged_on_error": False,
            },
        }
    }


@pytest.mark.requirement("POL-02")
@pytest.mark.parametrize(
    ("price", "data"),
    [
        ("{fixed_cents: 5}", {"kind": "fixed", "fixed_cents": 5}),
        (
            "{per_unit_cents: 2, argument: job.pages}",
            {"kind": "per_unit", "per_unit_cents": 2, "argument": "job.pages"},
        ),
        (
            "{per_second_cents: 2, max_seconds: 600}",
            {"kind": "metered", "rate_cents": 2, "rate_seconds": 1, "max_seconds": 600},
        ),
        (
            "{per_minute_cents: 3, max_seconds: 90}",
            {"kind": "metered", "rate_cents": 3, "rate_seconds": 60, "max_seconds": 90},
        ),
        (
            "{per_hour_cents: 250, max_seconds: 86400}",
            {"kind": "metered", "rate_cents": 250, "rate_seconds": 3600, "max_seconds": 86400},
        ),
        (
            "{argument: amount}",
            {"kind": "argument", "argument": "amount", "currency": "USD", "minor_units": 100},
        ),
    ],
)
def test_a_price_becomes_data(tmp_path: Path, price: str, data: dict[str, Any]) -> None:
    policy = read_policy(written(tmp_path, f"{HEAD}  r: {{tools: [{{name: a.b, price: {price}}}]}}"))
    role = policy_data(policy)["gateway"]["roles"]["r"]
    assert role["tools"]["a.b"]["price"] == {**data, "charged_on_error": False}


@pytest.mark.requirement("POL-02")
@pytest.mark.parametrize("limit", [3, 0.05, 1e-15, 0.000000000000007])
def test_a_multiple_stands_in_the_data_as_it_is_written(tmp_path: Path, limit: float) -> None:
    tool = f"{{name: a.b, arguments: {{x: {{multiple_of: {limit}}}}}}}"
    policy = read_policy(written(tmp_path, f"{HEAD}  r: {{tools: [{tool}]}}"))
    role = policy_data(policy)["gateway"]["roles"]["r"]
    assert role["tools"]["a.b"]["arguments"] == {"x": {"multiple_of": limit}}


def test_every_tool_is_said_explicitly(tmp_path: Path) -> None:
    policy, [warning] = review(written(tmp_path, f'{HEAD}  r: {{tools: ["*"]}}'))
    assert roles_of(policy) == {"r"}
    assert warning.text == "roles.r.tools[0]: * grants every tool of every server to r"


@pytest.mark.requirement("POL-04")
def test_equal_documents_give_equal_bytes_and_another_another_revision(tmp_path: Path) -> None:
    files, revision = compile_policy(read_policy(EXAMPLE))
    again, _ = compile_policy(read_policy(EXAMPLE))
    assert files == again
    assert len(revision.revision) == 64
    assert orjson.loads(files[".manifest"])["revision"] == revision.revision
    assert orjson.loads(files["data.json"])["gateway"]["policy"]["revision"] == revision.revision
    other = EXAMPLE.read_text().replace("maximum: 500", "maximum: 501")
    assert compile_policy(read_policy(written(tmp_path, other)))[1].revision != revision.revision


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    checked = run(policy_app, ["check", str(EXAMPLE)])
    assert checked.exit_code == 0
    assert "version 1.0, 2 roles, revision" in checked.output
    wrong = run(policy_app, ["check", str(written(tmp_path, "roles: {}"))])
    assert wrong.exit_code == 1
    assert "policy.yaml:1:1: version: is missing" in wrong.output
    assert run(policy_app, ["build", str(EXAMPLE), "--output", str(tmp_path / "out")]).exit_code == 0
    assert (tmp_path / "out" / "data.json").exists()
    assert (
        run(policy_app, ["build", str(tmp_path / "none"), "--output", str(tmp_path / "out")]).exit_code == 1
    )
    blocked = run(policy_app, ["build", str(EXAMPLE), "--output", str(tmp_path / "policy.yaml" / "out")])
    assert blocked.exit_code == 1
    every = written(tmp_path, f'{HEAD}  r: {{tools: ["*"]}}')
    told = "policy.yaml:4:15: roles.r.tools[0]: * grants every tool"
    assert told in run(policy_app, ["check", str(every)]).output


@pytest.mark.requirement("POL-04")
@pytest.mark.parametrize("version", ["\\0", "1\\n", "\\x7f", "\\x9b1"])
def test_a_version_has_nothing_in_it_that_cannot_be_seen(tmp_path: Path, version: str) -> None:
    told = refusal(tmp_path, f'version: "{version}"\ncurrency: USD\nroles: {{}}\n')
    assert told.startswith("policy.yaml:1:10: version: must have no control characters, and has '\\")


@pytest.mark.requirement("POL-02")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("minimum: .nan", "minimum: must be a number, got '.nan'"),
        ("maximum: true", "maximum: must be a number, got true"),
        ("enum: []", "enum: must have at least 1 member, got 0"),
        (f"enum: [{'1, ' * 1001}]", "enum: must have at most 1000 members, got 1001"),
        (f"pattern: {'a' * 501}", f"pattern: must have at most 500 characters, got '{'a' * 59}…"),
    ],
)
def test_a_mistake_is_told_once_and_in_plain_words(tmp_path: Path, words: str, told: str) -> None:
    found = refusal(tmp_path, f"{HEAD}  r: {{tools: [{{name: a.b, arguments: {{x: {{{words}}}}}}}]}}\n")
    assert found.partition("arguments.x.")[2] == told


@pytest.mark.requirement("POL-02")
def test_a_name_that_none_may_have_is_repeated(tmp_path: Path) -> None:
    told = "roles.'a b': must match ^[A-Za-z0-9_.-]{1,64}$, got 'a b'"
    assert refusal(tmp_path, f'{HEAD}  "a b": {{}}\n').endswith(told)
    rule = '{name: "", condition: hour < 1, action: deny}'
    told = refusal(tmp_path, f"{HEAD}  r: {{}}\nspend_rules: [{rule}]\n")
    assert told.endswith("name: must have at least 1 character, got ''")
