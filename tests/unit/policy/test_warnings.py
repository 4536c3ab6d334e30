"""What a policy document may say and probably does not mean."""

from pathlib import Path

import pytest

from tollhouse.policy.reader import review

pytestmark = pytest.mark.requirement("POL-02")
PRICE = "price: {fixed_cents: 5}"
EXAMPLES = Path(__file__).parents[3]


def warnings(folder: Path, *tools: str) -> list[str]:
    """What is told of a role with these tools, without the file's name."""
    path = folder / "policy.yaml"
    listed = "".join(f"      - {tool}\n" for tool in tools)
    path.write_text(f'version: "1"\ncurrency: USD\nroles:\n  r:\n    tools:\n{listed}  boss: {{}}\n')
    return [str(warning).removeprefix(f"{path}:") for warning in review(path)[1]]


@pytest.mark.parametrize(
    ("bound", "wider", "without"),
    [
        (f'{{name: "search.POST /pay", {PRICE}}}', "search.*", "price"),
        (f'{{name: "search.POST /pay", {PRICE}, approval: boss}}', '"search.POST *"', "price and approval"),
        ("{name: bank.send, arguments: {}}", '"*.send"', "arguments"),
        (f'{{name: "bank.send_*", {PRICE}}}', "bank.*", "price"),
        (f"{{name: bank.send, {PRICE}}}", "{name: bank.*, price: {fixed_cents: 4}}", "price"),
    ],
)
def test_what_a_wider_pattern_grants_again_unbound_is_told(
    tmp_path: Path, bound: str, wider: str, without: str
) -> None:
    for place, tools in (
        ("6:9: roles.r.tools[0]: ", (bound, wider)),
        ("7:9: roles.r.tools[1]: ", (wider, bound)),
    ):
        [told] = warnings(tmp_path, *tools)
        assert told.startswith(place)
        assert f"without its {without}: " in told


@pytest.mark.parametrize(
    "tools",
    [
        ("bank.send", "bank.*"),
        (f'{{name: "search.POST /pay", {PRICE}}}', '"search.GET *"'),
        (f"{{name: bank.send, {PRICE}}}", f"{{name: bank.*, {PRICE}}}"),
        (f"{{name: bank.send, {PRICE}}}", "bank.other"),
        (f"{{name: bank.*, {PRICE}}}", "bank.send"),
    ],
)
def test_what_no_other_spelling_escapes_is_not_told(tmp_path: Path, tools: tuple[str, ...]) -> None:
    assert warnings(tmp_path, *tools) == []


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("price", "cents"),
    [
        ("fixed_cents: 101", 101),
        ("fixed_cents: 100", None),
        ("per_second_cents: 2, max_seconds: 51", 102),
        ("per_minute_cents: 50, max_seconds: 121", 101),
        ("per_minute_cents: 50, max_seconds: 120", None),
        ("per_unit_cents: 500, argument: n", None),
    ],
)
def test_a_price_above_the_ceiling_is_told(tmp_path: Path, price: str, cents: int | None) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        f'version: "1"\ncurrency: USD\nroles:\n  r:\n    tools: [{{name: a.b, price: {{{price}}}}}]\n'
        "    spend: {purposes: [], ceiling_cents: 100}\n"
    )
    told = f"a.b costs up to {cents} cents and the role's ceiling is 100: every call of it is refused"
    found = [str(warning).partition("tools[0]: ")[2] for warning in review(path)[1]]
    assert found == ([told] if cents else [])


@pytest.mark.requirement("POL-03")
@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("payees: [a]", ["payees binds whom r may name, and any account may be credited"]),
        ("payees: []", []),
        ('payees: [a], recipients: ["ACC-{payee}"]', []),
        ("payees: [a], recipients: []", []),
        (
            'recipients: ["tollhouse:operating", "tollhouse:*"]',
            [
                (
                    "recipients names accounts of the ledger itself alone (tollhouse:…), which nobody may"
                    " credit: every execution of r is refused"
                )
            ],
        ),
        ('recipients: ["tollhouse:operating", "ACC-1"]', []),
        ("ceiling_cents: 5", []),
    ],
)
def test_accounts_that_anybody_may_be_credited_by_are_told(
    tmp_path: Path, section: str, told: list[str]
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        f'version: "1"\ncurrency: USD\nroles:\n  r:\n    spend: {{purposes: [p], {section}}}\n  boss: {{}}\n'
    )
    found = [str(warning).removeprefix(f"{path}:5:12: roles.r.spend: ") for warning in review(path)[1]]
    assert [warning.partition(" for it")[0] for warning in found] == told


@pytest.mark.parametrize(
    "path", ["examples/policy.yaml", "examples/quickstart/policy.yaml", "tollhouse/demo/policy.yaml"]
)
def test_our_own_documents_have_nothing_to_be_told(path: str) -> None:
    assert review(EXAMPLES / path)[1] == []


BY_AMOUNT = "price: {argument: amount}"
NEVER = [
    (
        f"{{name: bank.pay, arguments: {{to: {{}}}}, {BY_AMOUNT}}}",
        "amount tells the price, and is not named in",
    ),
    (f"{{name: bank.pay, arguments: {{}}, {BY_AMOUNT}}}", "amount tells the price, and is not named in"),
    (
        "{name: bank.pay, arguments: {a: {}}, price: {per_unit_cents: 2, argument: n}}",
        "n tells the price, and is",
    ),
    ('{name: "web.GET /pages", price: {per_unit_cents: 2, argument: n}}', "what stands in a query is text"),
    ('{name: "web.HEAD /pages/*", price: {argument: n}}', "what stands in a query is text"),
    (
        "{name: b.p, arguments: {o: {type: number}}, price: {argument: o.sum}}",
        "its rule lets it be no object",
    ),
    *(
        (f"{{name: bank.pay, arguments: {{amount: {rule}}}, {BY_AMOUNT}}}", "its rule lets it be no number")
        for rule in (
            "{type: string}",
            "{type: boolean}",
            "{pattern: '^[0-9]+$'}",
            "{max_items: 2}",
            "{enum: ['5', true]}",
            "{const: '5'}",
        )
    ),
]


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(("tool", "why"), NEVER)
def test_a_price_that_no_call_can_have_is_told(tmp_path: Path, tool: str, why: str) -> None:
    [told] = warnings(tmp_path, tool)
    assert told.startswith("6:9: roles.r.tools[0]: ")
    assert why in told
    assert told.endswith(" is refused")


@pytest.mark.requirement("GW-10")
def test_a_price_in_a_currency_that_is_not_the_documents_is_told(tmp_path: Path) -> None:
    priced = "{{name: bank.pay, price: {{argument: amount, currency: {}}}}}"
    assert warnings(tmp_path, priced.format("USD")) == []
    assert warnings(tmp_path, priced.format("EUR")) == [
        (
            "6:9: roles.r.tools[0]: bank.pay is priced in EUR, and the policy's currency is USD:"
            " every call of it is refused"
        )
    ]


@pytest.mark.requirement("POL-01")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("web.get /x", "methods are in capitals, GET /x"),
        ("web.Get /x/*", "methods are in capitals, GET /x/*"),
        ("web.GET /a/../b", "the path has a dot segment"),
        ("web.GET /*/..", "the path has a dot segment"),
        ("web.GET /a//b", "the path has an empty segment or a character that must not stand there"),
        ("web.GET /a b", "the path has an empty segment or a character that must not stand there"),
        ("web.GET /%61", "this path is written /a"),
        ("web.GET /x?n=3", "the query is no part of a tool's name, it is its arguments"),
    ],
)
def test_a_name_that_no_call_over_http_can_have_is_told(tmp_path: Path, name: str, why: str) -> None:
    assert warnings(tmp_path, f'"{name}"') == [f"6:9: roles.r.tools[0]: {name}: {why}: no call has this name"]


@pytest.mark.requirement("POL-01")
@pytest.mark.parametrize(("name", "half"), [("b.", "tool"), (".x", "server"), (".*", "server")])
def test_a_name_without_one_of_its_halves_is_told(tmp_path: Path, name: str, half: str) -> None:
    [told] = warnings(tmp_path, f'"{name}"')
    assert told == f"6:9: roles.r.tools[0]: {name} names no {half}: no call has this name"


@pytest.mark.requirement("POL-01")
@pytest.mark.parametrize(
    "name",
    [
        "web.GET /",
        "web.GET /a/*",
        "web.GET /a.b/..c",
        "web.GET /*%C3*",
        "web.GET /%C3%A9",
        "web.*",
        "web.GET*",
        "*.get_x",
        "approve_spend",
        "bank.get the balance",
    ],
)
def test_a_name_that_a_call_can_have_is_not_told(tmp_path: Path, name: str) -> None:
    assert warnings(tmp_path, f'"{name}"') == []


@pytest.mark.parametrize(
    "tool",
    [
        f"{{name: bank.pay, {BY_AMOUNT}}}",
        f"{{name: bank.pay, arguments: {{to: {{}}}}, additional_arguments: true, {BY_AMOUNT}}}",
        "{name: bank.pay, arguments: {o: {type: object}}, price: {argument: o.sum}}",
        '{name: "web.GET /pages", price: {fixed_cents: 2}}',
        '{name: "web.POST /GET%20/pages", price: {argument: n}}',
        "{name: web.GET, price: {argument: n}}",
        *(
            f"{{name: bank.pay, arguments: {{amount: {rule}}}, {BY_AMOUNT}}}"
            for rule in ("{}", "{type: integer}", "{maximum: 5}", "{enum: [1, 'x']}", "{const: 0.5}")
        ),
    ],
)
def test_a_price_that_a_call_can_have_is_not_told(tmp_path: Path, tool: str) -> None:
    assert warnings(tmp_path, tool) == []
