"""What a policy document may say and probably does not mean."""

from pathlib import Path

import pytest

from tollhouse.policy.document import PolicyDocument
from tollhouse.policy.reader import read_policy, warnings_of

pytestmark = pytest.mark.requirement("POL-02")
PRICE = "price: {fixed_cents: 5}"
EXAMPLES = Path(__file__).parents[3]


def policy(folder: Path, *tools: str) -> PolicyDocument:
    path = folder / "policy.yaml"
    listed = "".join(f"      - {tool}\n" for tool in tools)
    path.write_text(f'version: "1"\ncurrency: USD\nroles:\n  r:\n    tools:\n{listed}  boss: {{}}\n')
    return read_policy(path)


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
    for tools in ((bound, wider), (wider, bound)):
        (told,) = warnings_of(policy(tmp_path, *tools))
        assert told.startswith("roles.r.tools: ")
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
    assert warnings_of(policy(tmp_path, *tools)) == []


@pytest.mark.parametrize(
    "path", ["examples/policy.yaml", "examples/quickstart/policy.yaml", "tollhouse/demo/policy.yaml"]
)
def test_our_own_documents_have_nothing_to_be_told(path: str) -> None:
    assert warnings_of(read_policy(EXAMPLES / path)) == []
